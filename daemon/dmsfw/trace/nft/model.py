"""What a listing of nftables is made of. A rule is read only when a packet comes to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dmsfw.trace.packet import Family

Listed = Any
"""What nft has listed: whatever JSON can say. Who takes it apart has to expect any shape."""

HOOKS = {name.lower(): name for name in ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")}
"""Hooks that a packet of IP passes, by the names of iptables."""

SEES = {4: frozenset({"ip", "inet"}), 6: frozenset({"ip6", "inet"})}
"""Families of tables that are asked about packets of a family."""


@dataclass(frozen=True, slots=True)
class Rule:
    """`number` counts from 1 within the chain; `body` are its statements as they were listed."""

    number: int
    handle: int
    body: tuple[object, ...]
    comment: str = ""


@dataclass(slots=True)
class Base:
    """What makes a chain a base chain. `kind`: filter, nat or route. `hook` by the name of nftables.

    `devices`: those that a chain of devices is on; empty: on all, or it is none of these.
    """

    kind: str
    hook: str
    priority: int
    drops: bool
    devices: tuple[str, ...] = ()


@dataclass(slots=True)
class Chain:
    """`handle`: the later a chain was made, the greater it is."""

    name: str
    handle: int = 0
    base: Base | None = None
    rules: list[Rule] = field(default_factory=list)


@dataclass(slots=True)
class Store:
    """A set or a map. `items`: its elements as they were listed."""

    items: list[object]


@dataclass(slots=True)
class Table:
    """A table, and all that it holds by name.

    `counters`: packets of named ones. `limits`: whether a named one is for what exceeds it. `cache`: what was made of
    the table's rules and sets when they were met.
    """

    family: str
    name: str
    handle: int = 0
    dormant: bool = False
    chains: dict[str, Chain] = field(default_factory=dict)
    stores: dict[str, Store] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)
    limits: dict[str, bool] = field(default_factory=dict)
    cache: dict[object, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """`inet fw4`."""
        return f"{self.family} {self.name}"


@dataclass(slots=True)
class Nftables:
    """The tables that decide about routed packets, and those of bridges and devices."""

    tables: list[Table] = field(default_factory=list)

    def asked(self, family: Family, hook: str) -> list[tuple[Table, Chain, Base]]:
        """The base chains of a hook, in the order in which the kernel asks them.

        Of two with one priority the one that was made last is asked first (nf_hook_entries_grow).
        """
        found = [
            (table, chain, chain.base)
            for table in self.tables
            if table.family in SEES[family] and not table.dormant
            for chain in table.chains.values()
            if chain.base is not None and chain.base.hook == hook
        ]
        return sorted(found, key=lambda one: (one[2].priority, -one[0].handle, -one[1].handle))
