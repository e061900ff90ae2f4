"""Grants in words: the sentence of each network in `status`, and the log entries of a pass. Pure."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from dmsfw.model import PROTOS_WITH_PORTS, Grant, Network, PortRange, Proto, Subnet, ports_text
from dmsfw.report.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NO_GRANT = "is selected, but nothing is opened for it"
"""Said of a selected network without a grant: no uplink is up, or no subnet of the policies' family."""


class Right(NamedTuple):
    """One thing that may pass by one uplink. `ports` None: all of them."""

    uplink: str
    proto: Proto
    ports: PortRange | None
    destination: Subnet | None

    @property
    def order(self) -> tuple[str, str, tuple[int, ...], str]:
        """Sort by what a reader compares: uplink, protocol, port, destination."""
        return (self.uplink, self.proto, tuple(self.ports or ()), str(self.destination or ""))


def sentence(network: Network, grants: Iterable[Grant]) -> str:
    """Say in one sentence what `network` may reach, of all `grants`; other networks' grants are passed over."""
    return "; ".join(sentences(network, grants))


def sentences(network: Network, grants: Iterable[Grant]) -> tuple[str, ...]:
    """Say what `network` may reach: one sentence for the subnets that may reach the same (IPv6 often may less)."""
    alike: dict[frozenset[Right], list[Subnet]] = defaultdict(list)
    for subnet, rights in _rights_by_subnet(network, grants).items():
        alike[rights].append(subnet)
    if not alike:
        return (f"{_head(network, network.subnets)} {NO_GRANT}",)
    return tuple(f"{_head(network, subnets)} may reach {_clauses(rights)}" for rights, subnets in alike.items())


def grants_of(network: Network, grants: Iterable[Grant]) -> list[Grant]:
    """Return the grants of `network`. Docker allows two networks of one name: the bridge tells them apart."""
    return [grant for grant in grants if grant.network == network.name and grant.bridge == network.device]


def lines_for_change(before: Sequence[Grant], after: Sequence[Grant]) -> list[tuple[str, dict[str, Any]]]:
    """Return the log entries (message, keys) of a pass that went from the grants `before` to those `after`.

    One per network and bridge, those closed first: a recreated network is closed on its old bridge and opened on its
    new one. Who asks for a grant is no change.
    """
    old, new = _by_bridge(before), _by_bridge(after)
    closed = [("network closed", _keys(old[key])) for key in sorted(old.keys() - new.keys())]
    opened = [("network opened", _keys(new[key])) for key in sorted(new.keys() - old.keys())]
    both = sorted(old.keys() & new.keys())
    return closed + opened + [("network changed", _keys(new[key])) for key in both if _ids(old[key]) != _ids(new[key])]


def ports_of(grants: Iterable[Grant]) -> str:
    """Write what grants open as the log does: `tcp/465,587 udp/53`, `tcp/445@192.168.100.10`, `icmp`, `all`."""
    ports: dict[tuple[Proto, str], set[PortRange | None]] = defaultdict(set)
    for grant in grants:
        ports[grant.proto, _place(grant.destination, "@")].update(grant.ports or (None,))
    return " ".join(f"{_with_ports(proto, found)}{place}" for (proto, place), found in sorted(ports.items()))


def joined(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _head(network: Network, subnets: Sequence[Subnet]) -> str:
    where = ", ".join([clean(network.device) if network.device else "no bridge", *map(str, subnets)])
    return f"{clean(network.name)} ({where})"


def _rights_by_subnet(network: Network, grants: Iterable[Grant]) -> dict[Subnet, frozenset[Right]]:
    rights: dict[Subnet, set[Right]] = defaultdict(set)
    for grant in grants_of(network, grants):
        for ports in grant.ports or (None,):
            rights[grant.subnet].add(Right(grant.uplink, grant.proto, ports, grant.destination))
    return {subnet: _without_the_said(found) for subnet, found in rights.items()}


def _without_the_said(rights: set[Right]) -> frozenset[Right]:
    """Leave out what "everything" by the same uplink says already."""
    whole = {right.uplink for right in rights if right.proto == "all" and right.destination is None}
    return frozenset(right for right in rights if right.uplink not in whole or right[1:] == ("all", None, None))


def _clauses(rights: Iterable[Right]) -> str:
    """Group rights: what passes by the same uplinks is one clause, ports to the same place are one list."""
    uplinks: dict[tuple[Any, ...], list[str]] = defaultdict(list)
    for right in sorted(rights, key=lambda right: right.order):
        uplinks[right[1:]].append(right.uplink)
    ports: dict[tuple[Any, ...], list[PortRange | None]] = defaultdict(list)
    for (proto, found, destination), ways in uplinks.items():
        ports[tuple(ways), proto, destination].append(found)
    places: dict[tuple[Any, ...], list[Subnet | None]] = defaultdict(list)
    for (ways, proto, destination), ranges in ports.items():
        places[ways, proto, tuple(ranges)].append(destination)
    clauses: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for (ways, proto, ranges), destinations in places.items():
        clauses[ways].append(_phrase(proto, ranges, destinations))
    return joined([f"{', '.join(phrases)} via {joined(ways)}" for ways, phrases in clauses.items()])


def _phrase(proto: Proto, ranges: Sequence[PortRange | None], destinations: Sequence[Subnet | None]) -> str:
    if None in ranges:
        what = "everything" if proto == "all" else f"any {proto} port" if proto in PROTOS_WITH_PORTS else proto
    else:
        what = f"{proto} {','.join(map(str, ranges))}"
    places = [] if None in destinations else [_place(destination) for destination in destinations]
    return f"{what} at {joined(places)}" if places else what


def _with_ports(proto: Proto, found: set[PortRange | None]) -> str:
    """`tcp/465,587`, `tcp/any` where any grant says any, `icmp`."""
    if proto not in PROTOS_WITH_PORTS:
        return proto
    return f"{proto}/{ports_text(() if None in found else tuple(sorted(filter(None, found))))}"


def _place(destination: Subnet | None, before: str = "") -> str:
    """An address without the length that says nothing."""
    if destination is None:
        return ""
    single = destination.prefixlen == destination.max_prefixlen
    return before + str(destination.network_address if single else destination)


def _by_bridge(grants: Iterable[Grant]) -> dict[tuple[str, str], list[Grant]]:
    found: dict[tuple[str, str], list[Grant]] = defaultdict(list)
    for grant in grants:
        found[grant.network, grant.bridge].append(grant)
    return found


def _ids(grants: Iterable[Grant]) -> set[str]:
    return {grant.id for grant in grants}


def _keys(grants: Sequence[Grant]) -> dict[str, Any]:
    return {
        "network": clean(grants[0].network),
        "bridge": grants[0].bridge,
        "subnet": ",".join(sorted({str(grant.subnet) for grant in grants}, key=lambda text: (":" in text, text))),
        "ports": ports_of(grants),
        "uplink": ",".join(sorted({grant.uplink for grant in grants})),
        "rules": len(grants),
    }
