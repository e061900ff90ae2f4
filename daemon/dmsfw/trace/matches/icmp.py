"""Tests of ICMP types. iptables-save prints numbers, `8` or `3/4`; names are read as well."""

from __future__ import annotations

from collections.abc import Iterable

from dmsfw.trace.answer import NO, Answer, told
from dmsfw.trace.matches.option import Option, Test, asked
from dmsfw.trace.packet import Packet
from dmsfw.trace.scene import Scene

NAMES = {
    "--icmp-type": {
        "echo-reply": "0",
        "pong": "0",
        "destination-unreachable": "3",
        "port-unreachable": "3/3",
        "fragmentation-needed": "3/4",
        "echo-request": "8",
        "ping": "8",
        "time-exceeded": "11",
    },
    "--icmpv6-type": {
        "destination-unreachable": "1",
        "packet-too-big": "2",
        "time-exceeded": "3",
        "echo-request": "128",
        "echo-reply": "129",
        "neighbour-solicitation": "135",
        "neighbour-advertisement": "136",
    },
}

PROTOCOLS = {"--icmp-type": "icmp", "--icmpv6-type": "icmpv6"}


def types(options: Iterable[Option]) -> list[Test]:
    """`-m icmp` and `-m icmp6`. Raises: ValueError for a name that is not known."""
    return [asked(_type(option), option) for option in options]


def icmp_type(text: str, proto: str) -> tuple[int, int]:
    """Type and code (0 unless said) of a packet of `icmp` or `icmpv6`. Raises: ValueError."""
    kind, code = read_type("--icmp-type" if proto == "icmp" else "--icmpv6-type", text)
    return kind, code or 0


def read_type(option: str, text: str) -> tuple[int, int | None]:
    """Type, and code if one is said. Raises: ValueError, KeyError for another option."""
    number, found, code = NAMES[option].get(text, text).partition("/")
    kind = int(number), int(code) if found else None
    if not 0 <= kind[0] <= 255 or not 0 <= (kind[1] or 0) <= 255:  # noqa: PLR2004 - bytes
        raise ValueError(f"{text} is no type of ICMP")
    return kind


def _type(option: Option) -> Test:
    if option.name not in PROTOCOLS:
        raise ValueError(f"{option.name} is not known")
    any_type = option.name == "--icmp-type" and option.value in {"any", "255"}
    kind, code = (255, None) if any_type else read_type(option.name, option.value)
    proto = PROTOCOLS[option.name]

    def test(packet: Packet, _: Scene) -> Answer:
        if packet.proto != proto or packet.icmp is None:
            return NO
        return told(any_type or (packet.icmp[0] == kind and code in {None, packet.icmp[1]}))

    return test
