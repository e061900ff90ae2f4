"""The different ends that a packet may come to, from all that its possibilities came to."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from dmsfw.trace.branches import Ended
from dmsfw.trace.packet import Packet
from dmsfw.trace.result import End, Verdict


def ends(found: list[Ended]) -> tuple[End, ...]:
    """The different ends, the one with the greatest share first."""
    grouped: dict[object, Ended] = {}
    for one in found:
        leaves = _leaving(one.packet) if one.verdict is Verdict.PASSES else ()
        key = (one.verdict, tuple((step.place, step.does) for step in one.trail), leaves)
        before = grouped.get(key)
        grouped[key] = one if before is None else _together(before, one)
    ordered = sorted(grouped.values(), key=lambda one: -one.share)
    end = partial(_end, alone=len(ordered) == 1)
    return tuple(map(end, ordered))


def _leaving(packet: Packet) -> tuple[object, ...]:
    """What tells packets that pass apart. Two may look alike, and one of them be translated to what it had before."""
    return packet.ends, packet.out_device, packet.connection.nat


def _together(one: Ended, other: Ended) -> Ended:
    """Two that end alike; what their connection was marked with is known only if it is the same."""
    connection = one.packet.connection
    if connection.mark != other.packet.connection.mark:
        connection = replace(connection, mark=None)
    return replace(one, share=one.share + other.share, packet=replace(one.packet, connection=connection))


def _end(one: Ended, *, alone: bool) -> End:
    local = one.verdict is Verdict.PASSES and not one.packet.out_device
    return End(one.verdict, one.trail, one.packet, local=local, sure=alone)
