"""What a rule may ask of a packet: each expression of nft becomes a Field, which knows how nft writes its values.

A field that a packet does not have (a port of TCP in a packet of UDP) ends the rule, whatever was asked of it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from ipaddress import ip_address
from typing import NamedTuple

from dmsfw.trace.nft import names, tracking
from dmsfw.trace.nft.field import Field, not_followed
from dmsfw.trace.nft.values import Value, anything, exactly, interval, masked
from dmsfw.trace.packet import EPHEMERAL, WITH_PORTS, Packet
from dmsfw.trace.scene import Scene

ALL_PORTS = (0, 65535)
TRANSPORTS = frozenset({"tcp", "udp", "udplite", "sctp", "dccp", "icmp", "icmpv6", "ah", "esp", "comp", "igmp", "gre"})
MANY = 256
"""Fields of headers that are kept: most of thousands of rules ask for the same."""

TO_ALL = "255.255.255.255"


def field(expression: object) -> Field:
    """The field that an expression means. Raises: ValueError, TypeError, KeyError for one that is none."""
    if not isinstance(expression, dict) or len(expression) != 1:
        raise ValueError("it is not followed")
    kind, body = next(iter(expression.items()))
    return KINDS[kind](body) if kind in KINDS else not_followed(kind)


def _meta(body: dict[str, str]) -> Field:
    return META.get(body["key"]) or not_followed(f"meta {body['key']}")


def _payload(body: dict[str, str]) -> Field:
    if "protocol" not in body or "tunnel" in body:
        return not_followed("the packet's raw content")
    return _header(body["protocol"], body["field"])


@lru_cache(MANY)
def _header(protocol: str, name: str) -> Field:
    found = PAYLOAD.get((protocol, name)) or PORTS.get(name, {}).get(protocol)
    found = found or not_followed(f"{protocol} {name}")
    return found._replace(value=_having(protocol, found.value))


def _having(protocol: str, value: Callable[[Packet, Scene], Value | None]) -> Callable[[Packet, Scene], Value | None]:
    """The value in packets of the protocol; nft asks for that, and does not always print that it does."""

    def asked(packet: Packet, scene: Scene) -> Value | None:
        of_other_family = protocol in {"ip", "ip6"} and (packet.family == 4) != (protocol == "ip")  # noqa: PLR2004 - its name
        of_other_transport = protocol in TRANSPORTS and packet.proto != protocol
        return None if of_other_family or of_other_transport else value(packet, scene)

    return asked


def _mask(body: list[object]) -> Field:
    """`mark & 0xff`. Raises: ValueError."""
    inner, raw = body
    of = field(inner)
    mask = interval(raw, of.scalar, of.bits)[0]

    def value(packet: Packet, scene: Scene) -> Value | None:
        found = of.value(packet, scene)
        return None if found is None else masked(found, mask)

    return of._replace(value=value)


def _fib(body: dict[str, object]) -> Field:
    ends = [end for end in ("saddr", "daddr") if body.get("flags") in (end, [end])]
    if body.get("result") != "type" or not ends:
        return not_followed("the routing table (fib)")
    return Field(names.named(names.ADDRESS_TYPES), 8, partial(_address_type, ends[0]))


def _address_type(end: str, packet: Packet, scene: Scene) -> Value | None:
    """Of IPv6 only whether it is the host's own: all other kinds hang on the routes (nft_fib_ipv6.c)."""
    name, address = ("src", packet.src) if end == "saddr" else ("dst", packet.dst)
    kind = None if name in packet.unknown else scene.host.address_kind(address)
    if kind is None:
        return anything(f"whether {address} is this host's is not known")
    number = names.ADDRESS_TYPES[kind.lower()]
    if packet.family == 4 or kind == "LOCAL":  # noqa: PLR2004 - its name
        return exactly(number)
    return Value(0, 0, names.ADDRESS_TYPES["local"], f"what routes say of {address} is not followed")


class Ends(NamedTuple):
    """The names of an end of a packet."""

    address: str
    port: str
    what: str


SOURCE, DESTINATION = Ends("src", "sport", "source"), Ends("dst", "dport", "destination")


def _address(ends: Ends, packet: Packet, _: Scene) -> Value:
    if ends.address in packet.unknown:
        return anything(f"the packet's {ends.what} address is not known here")
    return exactly(int(getattr(packet, ends.address)))


def _port(ends: Ends, packet: Packet, _: Scene) -> Value:
    if packet.proto not in WITH_PORTS:
        return anything(f"{packet.proto} has no ports")
    port: int | None = getattr(packet, ends.port)
    low, high = EPHEMERAL if port is None else (port, port)
    if ends.port in packet.unknown:
        low, high = ALL_PORTS
    return Value(low, high, why=f"the {ends.what} port is not known here")


def _flags(packet: Packet, _: Scene) -> Value:
    """Of a first packet all; of a later one that no more is said of, only that it acknowledges."""
    found = sum(names.FLAGS[name.lower()] for name in packet.tcp_flags)
    said = packet.flags or packet.ctstate == "NEW"
    known = 0x3F if said else names.FLAGS["ack"] if packet.ctstate == "ESTABLISHED" else 0
    return Value(found & known, found & known, ~0xFF | known, "which flags of TCP are set is not known")


def _icmp(at: int, packet: Packet, _: Scene) -> Value | None:
    return None if packet.icmp is None else exactly(packet.icmp[at])


def _mark(packet: Packet, _: Scene) -> Value:
    return anything("the packet's mark is not known here") if "mark" in packet.unknown else exactly(packet.mark)


def _packet_type(packet: Packet, _: Scene) -> Value:
    if packet.dst.is_multicast or packet.dst == ip_address(TO_ALL):
        return anything("how its frame is addressed is not known")
    return exactly(names.PACKET_TYPES["host"])


def _number(packet: Packet, _: Scene) -> Value:
    return exactly(packet.number)


def _version(packet: Packet, _: Scene) -> Value:
    return exactly(packet.family)


def _family(packet: Packet, _: Scene) -> Value:
    return exactly(names.FAMILIES[f"ipv{packet.family}"])


def _ethertype(packet: Packet, _: Scene) -> Value:
    return exactly(names.ETHERTYPES["ip" if packet.family == 4 else "ip6"])  # noqa: PLR2004 - its name


def _in(packet: Packet, _: Scene) -> Value:
    return exactly(names.name_number(packet.in_device))


def _out(packet: Packet, _: Scene) -> Value:
    return exactly(names.name_number(packet.out_device))


META = {
    "iifname": Field(names.pattern, 128, _in),
    "oifname": Field(names.pattern, 128, _out),
    "iif": Field(names.device, 128, _in),
    "oif": Field(names.device, 128, _out),
    "l4proto": Field(names.proto, 8, _number),
    "nfproto": Field(names.named(names.FAMILIES), 8, _family),
    "protocol": Field(names.named(names.ETHERTYPES), 16, _ethertype),
    "mark": Field(names.number, 32, _mark),
    "pkttype": Field(names.named(names.PACKET_TYPES), 8, _packet_type),
}
PAYLOAD = {
    ("ip", "saddr"): Field(names.address4, 32, partial(_address, SOURCE)),
    ("ip", "daddr"): Field(names.address4, 32, partial(_address, DESTINATION)),
    ("ip", "protocol"): Field(names.proto, 8, _number),
    ("ip", "version"): Field(names.number, 4, _version),
    ("ip6", "saddr"): Field(names.address6, 128, partial(_address, SOURCE)),
    ("ip6", "daddr"): Field(names.address6, 128, partial(_address, DESTINATION)),
    ("ip6", "nexthdr"): Field(names.proto, 8, _number),
    ("ip6", "version"): Field(names.number, 4, _version),
    ("tcp", "flags"): Field(names.named(names.FLAGS), 8, _flags),
    ("icmp", "type"): Field(names.named(names.ICMP_TYPES), 8, partial(_icmp, 0)),
    ("icmp", "code"): Field(names.named(names.ICMP_CODES), 8, partial(_icmp, 1)),
    ("icmpv6", "type"): Field(names.named(names.ICMPV6_TYPES), 8, partial(_icmp, 0)),
    ("icmpv6", "code"): Field(names.named(names.ICMPV6_CODES), 8, partial(_icmp, 1)),
}
PORTED = (*sorted(WITH_PORTS), "th")
PORTS = {
    ends.port: {protocol: Field(names.number, 16, partial(_port, ends)) for protocol in PORTED}
    for ends in (SOURCE, DESTINATION)
}
KINDS: dict[str, Callable[..., Field]] = {
    "meta": _meta,
    "payload": _payload,
    "ct": tracking.field,
    "fib": _fib,
    "&": _mask,
}
