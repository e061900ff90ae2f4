"""Chains beside those that are followed, which a routed packet passes as well: on devices, and in bridges."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dmsfw.trace.nft.model import Base, Nftables, Table

INGOING = frozenset({"ingress", "prerouting", "input"})
OUTGOING = frozenset({"egress", "output", "postrouting"})
ON_DEVICES = frozenset({"ingress", "egress"})
QUIET = frozenset({"match", "accept", "continue", "return", "jump", "goto", "counter", "log", "limit", "last", "flow"})
"""Statements that end no packet and change none."""


def beside(nftables: Nftables, arriving: Iterable[str], leaving: Iterable[str]) -> Iterator[str]:
    """Names of those that may stop or change a packet that comes in by one of some devices and leaves by one of others.

    Which devices are bridges, and which lie below others, is not looked at: a chain of bridges counts for each.
    """
    for table in nftables.tables:
        for chain in table.chains.values():
            base = chain.base
            if base is None or table.dormant or not (base.drops or chain.rules):
                continue
            if _is_passed(table, base, set(arriving) - {""}, set(leaving) - {""}) and (
                base.drops or not _is_quiet(table)
            ):
                where = f" on {', '.join(base.devices)}" if base.devices else ""
                yield f"{table.title} {chain.name}{where}"


def _is_passed(table: Table, base: Base, arriving: set[str], leaving: set[str]) -> bool:
    passed = arriving if base.hook in INGOING else leaving if base.hook in OUTGOING else set[str]()
    if base.hook in ON_DEVICES and base.devices:
        return bool(passed & set(base.devices))
    return bool(passed) if base.hook in ON_DEVICES else table.family == "bridge" and bool(passed - {"lo"})


def _is_quiet(table: Table) -> bool:
    """Nothing in the table does more than to let pass what it matches, and to count it."""
    bodies = (statement for chain in table.chains.values() for rule in chain.rules for statement in rule.body)
    return all(isinstance(statement, dict) and statement.keys() <= QUIET for statement in bodies)
