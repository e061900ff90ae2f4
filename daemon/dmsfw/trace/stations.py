"""The order in which the kernel asks tables and base chains on a hook: by priority, those of nftables in between.

Chains that translate are asked by connection tracking, all at one place of the hook whatever their priority is, which
orders them among themselves (nf_nat_inet_fn). Of two with one priority the one that was made last comes first; where
they are in different tables, that cannot be seen (Group).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, permutations

from dmsfw.trace.host import Host
from dmsfw.trace.nft.model import HOOKS as NFT_HOOKS
from dmsfw.trace.nft.model import Base, Chain, Table
from dmsfw.trace.nft.walk import BaseWalk
from dmsfw.trace.packet import Family
from dmsfw.trace.ruleset import Ruleset
from dmsfw.trace.scene import Scene
from dmsfw.trace.walk import Note, Walk

TABLES = {
    "PREROUTING": {"raw": -300, "mangle": -150, "nat": -100},
    "INPUT": {"mangle": -150, "filter": 0, "security": 50, "nat": 100},
    "FORWARD": {"mangle": -150, "filter": 0, "security": 50},
    "OUTPUT": {"raw": -300, "mangle": -150, "nat": -100, "filter": 0, "security": 50},
    "POSTROUTING": {"mangle": -150, "nat": 100},
}
"""Tables of iptables by hook, with their priorities (linux/netfilter_ipv4.h)."""

LATE_SECURITY = 150
"""The priority of iptables-nft's table security."""

TRACKING = -200
"""Connection tracking in PREROUTING and OUTPUT: what comes before it sees no connection."""

NAT = {"PREROUTING": -100, "INPUT": 100, "FORWARD": 100, "OUTPUT": -100, "POSTROUTING": 100}
"""Where translations are asked for."""

REROUTE = frozenset({"mangle", "route"})
"""Tables of iptables and kinds of nft's chains that have what they marked in OUTPUT routed again.

Those that translate look at the destination only (nf_nat_ipv4_local_fn).
"""

MOST_TRIED = 4
"""So many of one priority are followed in every order that may be."""

JUDGES = 0
"""The priority of chains whose word is told of a packet that passes."""


@dataclass(frozen=True, slots=True)
class Station:
    """A table or base chain on a hook. `walk` makes a walk through it; `table`: for those of nftables with a space.

    `reroutes`: what it marks in OUTPUT is routed again. `variant`: of iptables, where the host has rules of both.
    """

    priority: int
    translates: bool
    walk: Callable[[Scene, Note], Walk | BaseWalk]
    table: str
    reroutes: bool = False
    variant: str = ""

    @property
    def title(self) -> str:
        """The table, told from all others."""
        return f"{self.variant} {self.table}".strip()


@dataclass(frozen=True, slots=True)
class Group:
    """All of one priority, in the order that is likely: iptables' first, which makes a table when a rule is."""

    stations: tuple[Station, ...]

    @property
    def in_known_order(self) -> bool:
        """The chains of one table of nftables tell by their handles which was made last."""
        return len(self.stations) == 1 or (len(self._tables) == 1 and " " in self._tables[0])

    @property
    def others(self) -> Iterator[Group]:
        """The other orders in which they may stand; of very many, those with each of them first, and with it last."""
        orders = permutations(self.stations) if len(self.stations) <= MOST_TRIED else self._moved()
        return (Group(order) for order in orders if order != self.stations and self._may_be(order))

    def _moved(self) -> Iterator[tuple[Station, ...]]:
        yield self.stations[::-1]
        for one in self.stations:
            same = _of_table(self.stations, one.table) if " " in one.table else (one,)
            rest = tuple(other for other in self.stations if other not in same)
            yield same + rest
            yield rest + same

    def _may_be(self, order: tuple[Station, ...]) -> bool:
        """No two of them are turned whose order is known."""
        return all(_of_table(order, table) == _of_table(self.stations, table) for table in self._tables if " " in table)

    @property
    def _tables(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(one.table for one in self.stations))

    def __str__(self) -> str:
        titles = dict.fromkeys(one.title for one in self.stations)
        return f"{' and '.join(titles)} at priority {self.stations[0].priority}"


def _of_table(order: tuple[Station, ...], table: str) -> tuple[Station, ...]:
    return tuple(one for one in order if one.table == table)


def groups(asked: Iterable[Station]) -> Iterator[Group]:
    """Sorted stations by their priority."""
    for _, same in groupby(asked, key=lambda one: one.priority):
        yield Group(tuple(same))


def stations(host: Host, family: Family, hook: str) -> list[Station]:
    """All of a hook, in order."""
    rulesets = host.rulesets(family)
    found = [station for ruleset in rulesets for station in _of_iptables(ruleset, hook)]
    found += _of_nftables(host, family, hook, rulesets)
    return sorted(found, key=lambda one: one.priority)


def _of_iptables(ruleset: Ruleset, hook: str) -> Iterator[Station]:
    for name, priority in TABLES[hook].items():
        table = ruleset.tables.get(name)
        if table is not None:
            late = name == "security" and ruleset.is_nft
            walk = _walk(ruleset, name)
            yield Station(
                LATE_SECURITY if late else priority, name == "nat", walk, name, name in REROUTE, ruleset.variant
            )


def _walk(ruleset: Ruleset, name: str) -> Callable[[Scene, Note], Walk]:
    return lambda scene, note: Walk(ruleset.tables[name], ruleset.variant, scene, note)


def _of_nftables(host: Host, family: Family, hook: str, rulesets: tuple[Ruleset, ...]) -> Iterator[Station]:
    listed = host.nftables()
    name = next(nft for nft, iptables in NFT_HOOKS.items() if iptables == hook)
    for table, chain, base in listed.asked(family, name) if listed is not None else ():
        does_nothing = not chain.rules and not base.drops
        if not does_nothing and not _is_of_iptables(table, chain, rulesets):
            walk = _base_walk(table, chain, base)
            yield Station(base.priority, base.kind == "nat", walk, table.title, base.kind in REROUTE)


def _base_walk(table: Table, chain: Chain, base: Base) -> Callable[[Scene, Note], BaseWalk]:
    return lambda scene, note: BaseWalk(table, chain, base, scene, note)


def _is_of_iptables(table: Table, chain: Chain, rulesets: tuple[Ruleset, ...]) -> bool:
    """It was listed by iptables-nft-save, and is not to be asked twice."""
    listed = [one.tables[table.name] for one in rulesets if one.is_nft and table.name in one.tables]
    return table.family != "inet" and any(chain.name in one.chains for one in listed)
