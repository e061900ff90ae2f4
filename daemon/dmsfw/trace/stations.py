"""The order in which the kernel asks tables and base chains on a hook: by priority, those of nftables in between.

Chains that translate are asked by connection tracking, all at one place of the hook whatever their priority is, which
orders them among themselves (nf_nat_inet_fn). Of two with one priority the one that was made last comes first; where
they are in different tables, that cannot be seen (Group).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

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

REROUTE = frozenset({"mangle", "nat", "route"})
"""Tables of iptables and kinds of nft's chains that have what they changed in OUTPUT routed again."""

JUDGES = 0
"""The priority of chains whose word is told of a packet that passes."""


@dataclass(frozen=True, slots=True)
class Station:
    """A table or base chain on a hook. `walk` makes a walk through it; `table`: for those of nftables with a space.

    `reroutes`: what it changes in OUTPUT is routed again.
    """

    priority: int
    translates: bool
    walk: Callable[[Scene, Note], Walk | BaseWalk]
    table: str
    reroutes: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """All of one priority, in the order that is likely: iptables' first, which makes a table when a rule is."""

    stations: tuple[Station, ...]

    @property
    def in_known_order(self) -> bool:
        """The chains of one table of nftables tell by their handles which was made last."""
        tables = {one.table for one in self.stations}
        return len(self.stations) == 1 or (len(tables) == 1 and " " in self.stations[0].table)

    @property
    def turned(self) -> Group:
        """The other way round."""
        return Group(self.stations[::-1])

    def __str__(self) -> str:
        tables = dict.fromkeys(one.table for one in self.stations)
        return f"{' and '.join(tables)} at priority {self.stations[0].priority}"


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
            yield Station(LATE_SECURITY if late else priority, name == "nat", walk, name, name in REROUTE)


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
