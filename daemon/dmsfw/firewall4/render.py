"""Grants as elements of sets. Pure.

1. A grant becomes one element for each of its port ranges, in a set that is accepted or in one that is masqueraded too;
   one with a destination has an element more, for where it comes from.
2. Elements of one set never overlap (see `boxes`): where two grants allow the same, one of them has the element.
3. What a destination's two sets together would allow, and no grant does, is refused aloud: nothing is ever widened.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv6Address

from dmsfw.decide.marks import comment, masqueraded
from dmsfw.firewall4.boxes import Box, Cutter, Labelled, Span
from dmsfw.firewall4.names import unsaid
from dmsfw.firewall4.sets import SETS, SetSpec
from dmsfw.model import PROTOCOL_NUMBERS, Grant, Subnet, Version, version_of

COMMENT_BYTES = 128
"""Longest comment of an element (NFTNL_UDATA_COMMENT_MAXLEN); nft refuses a longer one."""

Cell = tuple[str, Box]
"""A set's name and a key in it."""

Commented = tuple[str, Box, str]
"""The same, and the comment."""


@dataclass(frozen=True)
class Rendered:
    """What the grants ask of each set. `elements`: key to comment, by the set's name; all sets are there.

    `refused`: what cannot be said in sets, one sentence each. `bridges`: how many elements each bridge has, 0
    where all is refused.
    `said`: the grants that can be said to nft at all; `unsaid`: why others cannot, one sentence each.
    """

    elements: dict[str, dict[Box, str]]
    refused: tuple[str, ...] = ()
    bridges: tuple[tuple[str, int], ...] = ()
    count: int = field(default=0)
    said: tuple[Grant, ...] = ()
    unsaid: tuple[str, ...] = ()


class Renderer:
    """Turns grants into elements. Only grants that were not there a moment ago are worked out anew."""

    def __init__(self) -> None:
        self._grants: tuple[Grant, ...] | None = None
        self._last = Rendered({name: {} for name in SETS})
        self._known: dict[Grant, tuple[Commented, ...]] = {}
        self._cutters = {name: Cutter() for name in SETS}

    def rendered(self, grants: tuple[Grant, ...]) -> Rendered:
        """What these ask for; the very same object while they are the same."""
        if self._grants != grants:
            why = dict.fromkeys(filter(None, map(unsaid, grants)))
            said = tuple(grant for grant in grants if not unsaid(grant)) if why else grants
            self._known = {grant: self._known.get(grant) or tuple(_commented(grant)) for grant in said}
            self._grants, self._last = grants, replace(self._rendered(grants), said=said, unsaid=tuple(why))
        return self._last

    def _rendered(self, grants: tuple[Grant, ...]) -> Rendered:
        refused = dict(_refused(self._known))
        cells: dict[str, list[Labelled]] = {name: [] for name in SETS}
        bridges = dict.fromkeys((grant.bridge for grant in grants), 0)
        for grant, commented in self._known.items():
            if not (refused and grant in refused):  # a grant's hash takes 2 us
                bridges[grant.bridge] += len(commented)
                for name, box, label in commented:
                    cells[name].append((box, label))
        elements = {name: self._cutters[name].disjoint(boxes) for name, boxes in cells.items()}
        count = sum(map(len, elements.values()))
        return Rendered(elements, tuple(dict.fromkeys(refused.values())), tuple(sorted(bridges.items())), count)


def render(grants: Sequence[Grant]) -> Rendered:
    """All the elements that the grants ask for."""
    return Renderer().rendered(tuple(grants))


def _commented(grant: Grant) -> Iterator[Commented]:
    label = comment(grant.id, " / ".join(grant.whys), COMMENT_BYTES)
    yield from ((name, box, label) for name, box in _cells(grant))


def span_of(subnet: Subnet) -> Span:
    """All addresses of a subnet."""
    return Span(int(subnet.network_address), int(subnet.broadcast_address))


def address_text(number: int, version: Version) -> str:
    """Write an address."""
    return str(IPv4Address(number) if version == 4 else IPv6Address(number))  # noqa: PLR2004 - an address family


def _cells(grant: Grant) -> Iterator[Cell]:
    version = version_of(grant.subnet)
    source, proto = span_of(grant.subnet), _proto(grant)
    kind = "nat" if masqueraded(grant) else "out"
    if grant.destination is not None:
        yield _cell("from", version, (grant.bridge, grant.uplink, source))
    for ports in _ports(grant):
        suffix = "" if ports else "all"
        if grant.destination is None:
            yield _cell(f"{kind}{suffix}", version, (grant.bridge, grant.uplink, source, proto, *ports))
        else:
            there = span_of(grant.destination)
            yield _cell(f"{kind}to{suffix}", version, (grant.uplink, source, there, proto, *ports))


def _cell(kind: str, version: Version, box: Box) -> Cell:
    return SetSpec(kind, version).name, box


def _ports(grant: Grant) -> Iterator[tuple[Span, ...]]:
    """One for each range; one of none where any port will do."""
    yield from ((Span(first, last),) for first, last in grant.ports)
    if not grant.ports:
        yield ()


def proto_number(grant: Grant) -> int:
    """The protocol's number. Raises: KeyError for `all`."""
    name = "ipv6-icmp" if grant.proto == "icmp" and grant.subnet.version == 6 else grant.proto  # noqa: PLR2004 - an address family
    return PROTOCOL_NUMBERS[name]


def _proto(grant: Grant) -> Span:
    if grant.proto == "all":
        return Span(0, SetSpec("out", 4).highest("proto"))
    return Span(proto_number(grant), proto_number(grant))


def _refused(grants: Iterable[Grant]) -> Iterator[tuple[Grant, str]]:
    """Grants with a destination whose subnet another bridge has too: the pair of sets could not keep them apart."""
    kept: dict[tuple[str, int], list[tuple[Span, Grant]]] = defaultdict(list)
    judged: dict[tuple[str, str, Subnet], Grant | None] = {}  # a network has many grants, one for each destination
    for grant in grants:
        if grant.destination is None:
            continue
        place = (grant.uplink, grant.bridge, grant.subnet)
        if place not in judged:
            source, others = span_of(grant.subnet), kept[grant.uplink, grant.subnet.version]
            rivals = (one for span, one in others if source.meets(span) and one.bridge != grant.bridge)
            judged[place] = next(rivals, None)
            if judged[place] is None:
                others.append((source, grant))
        rival = judged[place]
        if rival is not None:
            yield grant, _overlap(grant, rival)


def _overlap(grant: Grant, rival: Grant) -> str:
    return (
        f"{grant.bridge} ({grant.subnet}) and {rival.bridge} ({rival.subnet}) overlap: on firewall4 only one of them "
        f"may have policies with dest_ip, and {grant.bridge} gets nothing by these"
    )
