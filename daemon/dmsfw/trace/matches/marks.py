"""Tests of the packet's mark and of the connection's."""

from __future__ import annotations

from collections.abc import Iterable

from dmsfw.trace.answer import NO, Answer, told, unknown
from dmsfw.trace.matches.option import Option, Test, asked, value_and_mask
from dmsfw.trace.packet import Packet
from dmsfw.trace.scene import Scene


def mark(options: Iterable[Option]) -> list[Test]:
    """`-m mark`. Raises: ValueError."""
    return [asked(_mark(*_read(option)), option) for option in options]


def connmark(options: Iterable[Option]) -> list[Test]:
    """`-m connmark`. A packet without a connection never matches, `!` or not (xt_connmark.c). Raises: ValueError."""
    return [_tracked(asked(_connmark(*_read(option)), option)) for option in options]


def _read(option: Option) -> tuple[int, int]:
    if option.name != "--mark":
        raise ValueError(f"{option.name} is not known")
    return value_and_mask(option.value)


def _mark(value: int, mask: int) -> Test:
    def test(packet: Packet, _: Scene) -> Answer:
        if "mark" in packet.unknown:
            return unknown("the packet's mark is not known here")
        return told(packet.mark & mask == value)

    return test


def _connmark(value: int, mask: int) -> Test:
    def test(packet: Packet, _: Scene) -> Answer:
        found = packet.connection.mark
        return unknown("the connection's mark is not known") if found is None else told(found & mask == value)

    return test


def _tracked(test: Test) -> Test:
    return lambda packet, scene: NO if packet.ctstate in {"INVALID", "UNTRACKED"} else test(packet, scene)
