"""Grants in the tongue of iptables: one spec per rule. Pure.

For each grant a filter rule, with masquerading a nat rule, and once per subnet and uplink a rule for the replies.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from dmsfw.decide.marks import comment, masqueraded
from dmsfw.model import ID_LENGTH, Grant, PortRange, Ports, Subnet, Version, version_of

TableName = Literal["filter", "nat"]

MULTIPORT_SLOTS = 15
"""Ports that one multiport match holds (XT_MULTI_PORTS); a range takes two."""

COMMENT_BYTES = 255
"""Longest comment (XT_MAX_COMMENT_LEN is 256 with its NUL); python-iptables cuts the rest in silence."""


class TableKey(NamedTuple):
    """One table of one address family, in the order in which tables are opened: nat before filter."""

    version: Version
    name: TableName

    @property
    def command(self) -> str:
        """The program that a person would type for it."""
        return "iptables" if self.version == 4 else "ip6tables"  # noqa: PLR2004 - an address family

    @property
    def place(self) -> str:
        """What a plan calls it."""
        return f"ipv{self.version} {self.name}"

    @property
    def builtin(self) -> str:
        """The kernel's chain that our hook stands in."""
        return "FORWARD" if self.name == "filter" else "POSTROUTING"

    @property
    def own(self) -> str:
        """Our chain."""
        return f"DMSFW-{self.builtin}"


TABLES: tuple[TableKey, ...] = (
    TableKey(4, "nat"),
    TableKey(4, "filter"),
    TableKey(6, "nat"),
    TableKey(6, "filter"),
)


@dataclass(frozen=True, slots=True)
class RuleSpec:
    """One rule. An empty or missing field does not restrict. `states` in the order in which iptables shows them."""

    version: Version
    table: TableName
    chain: str
    target: str
    in_device: str = ""
    out_device: str = ""
    source: Subnet | None = None
    destination: Subnet | None = None
    proto: str = ""
    ports: Ports = ()
    multiport: bool = False
    states: tuple[str, ...] = ()
    comment: str = ""

    @property
    def key(self) -> TableKey:
        """The table that it belongs to."""
        return TableKey(self.version, self.table)

    @property
    def text(self) -> str:
        """The rule as `iptables-save` shows it, without counters."""
        return " ".join(self._words())

    def _words(self) -> Iterator[str]:
        yield f"-A {self.chain}"
        for flag, value in (("-s", self.source), ("-d", self.destination)):
            if value is not None and value.prefixlen:
                yield f"{flag} {value}"
        for flag, name in (("-i", self.in_device), ("-o", self.out_device), ("-p", self.proto)):
            if name:
                yield f"{flag} {name}"
        yield from self._match_words()
        yield f"-j {self.target}"

    def _match_words(self) -> Iterator[str]:
        if self.ports:
            match, flag = ("multiport", "--dports") if self.multiport else (self.proto, "--dport")
            yield f"-m {match} {flag} {dports(self.ports)}"
        if self.states:
            yield f"-m conntrack --ctstate {','.join(self.states)}"
        if self.comment:
            yield f'-m comment --comment "{self.comment}"'


def dports(ports: Ports) -> str:
    """Write ports as iptables does: `465,1000:2000`."""
    return ",".join(str(first) if first == last else f"{first}:{last}" for first, last in ports)


def hook(key: TableKey) -> RuleSpec:
    """The one rule in a chain of the kernel's that leads to ours."""
    spec = RuleSpec(key.version, key.name, key.builtin, key.own)
    return _named(spec, "networks of Docker")


def render(grants: Iterable[Grant]) -> dict[TableKey, tuple[RuleSpec, ...]]:
    """Every rule that the grants ask for, by table, without hooks. Tables in which nothing is due are empty."""
    rules: dict[TableKey, dict[RuleSpec, None]] = {key: {} for key in TABLES}
    for grant in grants:
        for spec in rules_of(grant):
            rules[spec.key][spec] = None
    return {key: tuple(specs) for key, specs in rules.items()}


def rules_of(grant: Grant) -> tuple[RuleSpec, ...]:
    """The rules of one grant. Grants of the same subnet and uplink share the rule for the replies."""
    return tuple(_rules(grant))


def _rules(grant: Grant) -> Iterator[RuleSpec]:
    version = version_of(grant.subnet)
    why = " / ".join(grant.whys)
    for ports in _slots(grant.ports):
        multiport = len(ports) > 1 or (bool(ports) and grant.proto == "sctp")
        traffic = RuleSpec(
            version,
            "filter",
            "DMSFW-FORWARD",
            "ACCEPT",
            out_device=grant.uplink,
            source=grant.subnet,
            destination=grant.destination,
            proto=_proto(grant, version),
            ports=ports,
            multiport=multiport,
            comment=comment(grant.id, why, COMMENT_BYTES),
        )
        yield replace(traffic, in_device=grant.bridge, states=("NEW", "RELATED", "ESTABLISHED"))
        if masqueraded(grant):
            yield replace(traffic, table="nat", chain="DMSFW-POSTROUTING", target="MASQUERADE")
    yield _replies(grant, version)


def _replies(grant: Grant, version: Version) -> RuleSpec:
    spec = RuleSpec(
        version,
        "filter",
        "DMSFW-FORWARD",
        "ACCEPT",
        in_device=grant.uplink,
        out_device=grant.bridge,
        destination=grant.subnet,
        states=("RELATED", "ESTABLISHED"),
    )
    return _named(spec, f"replies to {grant.network}")


def _named(spec: RuleSpec, why: str) -> RuleSpec:
    identity = hashlib.sha256(spec.text.encode()).hexdigest()[:ID_LENGTH]
    return replace(spec, comment=comment(identity, why, COMMENT_BYTES))


def _proto(grant: Grant, version: Version) -> str:
    if grant.proto == "all":
        return ""
    return "ipv6-icmp" if grant.proto == "icmp" and version == 6 else grant.proto  # noqa: PLR2004


def _slots(ports: Ports) -> Iterator[Ports]:
    """Cut ports into groups that one multiport match can hold. No ports at all is one group of none."""
    group: list[PortRange] = []
    for port in ports:
        if _taken((*group, port)) > MULTIPORT_SLOTS:
            yield tuple(group)
            group = []
        group.append(port)
    yield tuple(group)


def _taken(ports: Sequence[PortRange]) -> int:
    return sum(1 if first == last else 2 for first, last in ports)
