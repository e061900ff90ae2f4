"""Tests of ports and TCP flags."""

from __future__ import annotations

from collections.abc import Iterable

from dmsfw.trace.answer import NO, Answer, any_of, told, unknown
from dmsfw.trace.matches.option import Option, Test, asked, numbers
from dmsfw.trace.packet import EPHEMERAL, WITH_PORTS, Packet
from dmsfw.trace.scene import Scene

ALL_PORTS = (0, 65535)
ALL_FLAGS = frozenset({"FIN", "SYN", "RST", "PSH", "ACK", "URG"})
MULTIPORT = {
    "--sports": ("sport",), "--source-ports": ("sport",), "--dports": ("dport",), "--destination-ports": ("dport",),
    "--ports": ("sport", "dport"),
}  # fmt: skip

Range = tuple[int, int]


def plain(options: Iterable[Option]) -> list[Test]:
    """`-m tcp`, `-m udp` and their like. Raises: ValueError."""
    return [_one(option) for option in options]


def multiport(options: Iterable[Option]) -> list[Test]:
    """`-m multiport`. Raises: ValueError, KeyError."""
    return [_several(option) for option in options]


def _one(option: Option) -> Test:
    if option.name in {"--sport", "--source-port"}:
        return asked(_ports("sport", [numbers(option.value)]), option)
    if option.name in {"--dport", "--destination-port"}:
        return asked(_ports("dport", [numbers(option.value)]), option)
    if option.name == "--tcp-flags" and len(option.values) == 2:  # noqa: PLR2004 - which, and which of them set
        return asked(_flags(*map(_names, option.values)), option)
    if option.name == "--syn":
        return asked(_flags(frozenset({"FIN", "SYN", "RST", "ACK"}), frozenset({"SYN"})), option)
    return lambda *_: unknown(f"{option.name} is not known")


def _several(option: Option) -> Test:
    if option.name not in MULTIPORT:
        return lambda *_: unknown(f"multiport {option.name} is not known")
    ranges = [numbers(one) for one in option.value.split(",")]
    tests = [_ports(end, ranges) for end in MULTIPORT[option.name]]
    return asked(lambda packet, scene: any_of(test(packet, scene) for test in tests), option)


def _ports(end: str, ranges: list[Range]) -> Test:
    def test(packet: Packet, _: Scene) -> Answer:
        if packet.proto not in WITH_PORTS:
            return NO
        low, high = _possible(packet, end)
        if any(first <= low and high <= last for first, last in ranges):
            return _YES
        if not any(first <= high and low <= last for first, last in ranges):
            return NO
        what = "source" if end == "sport" else "destination"
        return unknown(f"the {what} port is not known here")

    return test


_YES = told(matches=True)


def _possible(packet: Packet, end: str) -> Range:
    if packet.unknown and end in packet.unknown:
        return ALL_PORTS
    port: int | None = packet.sport if end == "sport" else packet.dport
    return EPHEMERAL if port is None else (port, port)


def _names(text: str) -> frozenset[str]:
    if text == "ALL":
        return ALL_FLAGS
    names = frozenset() if text == "NONE" else frozenset(text.split(","))
    if not names <= ALL_FLAGS:
        raise ValueError(f"{text} are no flags of TCP")
    return names


def _flags(mask: frozenset[str], wanted: frozenset[str]) -> Test:
    def test(packet: Packet, _: Scene) -> Answer:
        known = _known_flags(packet)
        if packet.tcp_flags & mask & known != wanted & known:
            return NO
        return _YES if mask <= known else unknown("which flags of TCP are set is not known")

    return test


def _known_flags(packet: Packet) -> frozenset[str]:
    """Of a first packet all; of a later one that no more is said of, only that it acknowledges."""
    if packet.flags or packet.ctstate == "NEW":
        return ALL_FLAGS
    return frozenset({"ACK"}) if packet.ctstate == "ESTABLISHED" else frozenset()
