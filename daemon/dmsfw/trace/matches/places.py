"""Tests of where a packet comes from and goes to: addrtype, iprange, set, physdev, mac, pkttype."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

from dmsfw.trace.answer import NO, YES, Answer, told, unknown
from dmsfw.trace.matches.builtin import number_of
from dmsfw.trace.matches.option import Option, Test, asked
from dmsfw.trace.packet import Family, Packet
from dmsfw.trace.scene import Scene

ADDRESS_KINDS = {4: {"LOCAL", "UNICAST", "BROADCAST", "MULTICAST"}, 6: {"LOCAL", "UNICAST", "MULTICAST"}}
ENDS = {"src": "src", "dst": "dst", "source": "src", "destination": "dst"}


def iprange(options: Iterable[Option], family: Family) -> list[Test]:
    """`-m iprange`. Raises: ValueError, OSError, KeyError."""
    ends = {"--src-range": "src", "--dst-range": "dst"}
    return [asked(_range(ends[option.name], option.value, family), option) for option in options]


def _range(end: str, text: str, family: Family) -> Test:
    first, _, last = text.partition("-")
    low, high = number_of(first, family), number_of(last or first, family)

    def test(packet: Packet, _: Scene) -> Answer:
        if end in packet.unknown:
            return unknown(f"the packet's {end} address is not known here")
        return told(low <= int(packet.src if end == "src" else packet.dst) <= high)

    return test


def addrtype(options: Iterable[Option], family: Family) -> list[Test]:
    """`-m addrtype`. Raises: ValueError."""
    options = list(options)
    limits = {option.name for option in options if option.name.startswith("--limit-iface-")}
    limit = "in_device" if "--limit-iface-in" in limits else "out_device" if limits else ""
    found = [option for option in options if option.name not in limits]
    return [asked(_kind(option, limit, family), option) for option in found]


def _kind(option: Option, limit: str, family: Family) -> Test:
    ends = {"--src-type": "src", "--dst-type": "dst"}
    if option.name not in ends:
        raise ValueError(f"{option.name} is not known")
    end, wanted = ends[option.name], frozenset(option.value.split(","))
    if not wanted <= ADDRESS_KINDS[family] or (family == 6 and len(wanted) > 1):  # noqa: PLR2004
        return lambda *_: unknown(f"the address type {option.value} is not followed")

    def test(packet: Packet, scene: Scene) -> Answer:
        if end in packet.unknown:
            return unknown(f"the packet's {end} address is not known here")
        address = packet.src if end == "src" else packet.dst
        device: str = getattr(packet, limit) if limit else ""
        kind = scene.host.address_kind(address, device)
        if kind is None:
            return unknown(f"whether {address} is this host's is not known")
        if family == 6 and wanted == {"UNICAST"}:  # noqa: PLR2004 - IPv6 counts its own addresses to them
            return told(kind != "MULTICAST")
        return told(kind in wanted)

    return test


def match_set(options: Iterable[Option], _: Family) -> list[Test]:
    """`-m set`. Raises: ValueError for more than membership."""
    return [asked(_set(option), option) for option in options]


def _set(option: Option) -> Test:
    if option.name != "--match-set" or len(option.values) != 2:  # noqa: PLR2004 - its name and its parts
        raise ValueError(f"{option.name} is not known")
    name, parts = option.values[0], tuple(option.values[1].split(","))

    def test(packet: Packet, scene: Scene) -> Answer:
        found = None if packet.unknown else scene.host.in_set(name, parts, packet)
        return unknown(f"whether it is in the set {name} could not be asked") if found is None else told(found)

    return test


def physdev(options: Iterable[Option], family: Family) -> list[Test]:
    """`-m physdev`: the bridge port of a packet. Only packets that are routed are followed. Raises: ValueError."""
    return [asked(_physdev(option, family), option) for option in options]


def _physdev(option: Option, family: Family) -> Test:
    if option.name in {"--physdev-is-bridged", "--physdev-is-out"}:
        return lambda *_: NO  # it is routed: it does not go from port to port, and its port out is not chosen yet
    if option.name == "--physdev-out":
        return _no_port if option.value.endswith("+") else lambda *_: NO
    if option.name not in {"--physdev-in", "--physdev-is-in"}:
        raise ValueError(f"{option.name} is not known")
    wanted = "+" if option.name == "--physdev-is-in" else option.value

    def test(packet: Packet, scene: Scene) -> Answer:
        if packet.physdev == "" or scene.host.sees_bridge_ports(family) is False or not packet.in_device:
            return NO
        if packet.physdev is None:
            return unknown("by which port of the bridge it comes is not known")
        is_prefix = wanted.endswith("+")
        return told(packet.physdev.startswith(wanted[:-1]) if is_prefix else packet.physdev == wanted)

    return test


def _no_port(_: Packet, __: Scene) -> Answer:
    return unknown("the bridge port that it leaves by is not known")


def mac(options: Iterable[Option], _: Family) -> list[Test]:
    """`-m mac`. Raises: ValueError."""
    return [asked(_mac(option), option) for option in options]


def _mac(option: Option) -> Test:
    if option.name != "--mac-source":
        raise ValueError(f"{option.name} is not known")
    wanted = option.value.lower()

    def test(packet: Packet, _: Scene) -> Answer:
        return told(packet.mac.lower() == wanted) if packet.mac else unknown("the sender's MAC address is not known")

    return test


def pkttype(options: Iterable[Option], _: Family) -> list[Test]:
    """`-m pkttype`: how the frame was addressed. One to a single address was sent to this host. Raises: ValueError."""
    return [asked(_pkttype(option), option) for option in options]


def _pkttype(option: Option) -> Test:
    if option.name != "--pkt-type" or option.value not in {"unicast", "host", "broadcast", "multicast"}:
        raise ValueError(f"{option.name} {option.value} is not known")

    def test(packet: Packet, _: Scene) -> Answer:
        if packet.dst.is_multicast or packet.dst == ip_address("255.255.255.255"):
            return unknown("how its frame is addressed is not known")
        return YES if option.value in {"unicast", "host"} else NO

    return test
