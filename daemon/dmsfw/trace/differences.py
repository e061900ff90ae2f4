"""What a part of its way has made of a packet, as far as it makes a difference to the rest."""

from __future__ import annotations

from collections.abc import Iterable

from dmsfw.trace.branches import NOTHING, Ended, Live, Share
from dmsfw.trace.packet import Packet
from dmsfw.trace.result import Step, Verdict

ROUTED_BY = frozenset({"src", "dst", "mark"})
"""Fields that the host's own packet is routed again for, where rules of OUTPUT have changed them."""


def is_other(sent: Packet, packet: Packet) -> bool:
    """It is, or may be, another to the routing than the one that was sent."""
    not_known = (packet.unknown - sent.unknown) & ROUTED_BY
    is_changed = any(getattr(packet, name) != getattr(sent, name) for name in ROUTED_BY)
    return packet.to_host or bool(not_known) or is_changed


def is_marked_only(before: Live, ended: Iterable[Ended]) -> bool:
    """More of it has some mark now than had it before, and still the destination that it had."""
    destinations = {one.dst for one in before}
    had = _by_mark(before.items())
    has = _by_mark((one.packet, one.share) for one in ended if one.packet.dst in destinations)
    return any(has[mark] > had.get(mark, NOTHING) for mark in has)


def _by_mark(packets: Iterable[tuple[Packet, Share]]) -> dict[int, Share]:
    found: dict[int, Share] = {}
    for packet, share in packets:
        found[packet.mark] = found.get(packet.mark, NOTHING) + share
    return found


def stops(ended: Iterable[Ended]) -> tuple[Share, Share]:
    """How much of the packet was stopped, and how much may be."""
    found = kinds(ended)
    doubtful = found.pop(Verdict.UNCERTAIN, NOTHING)
    return sum(found.values(), NOTHING), doubtful


def kinds(ended: Iterable[Ended]) -> dict[Verdict, Share]:
    """How much of the packet was stopped in which way."""
    found: dict[Verdict, Share] = {}
    for one in ended:
        if one.verdict is not Verdict.PASSES:
            found[one.verdict] = found.get(one.verdict, NOTHING) + one.share
    return found


def is_policy(trail: tuple[Step, ...]) -> bool:
    """No rule decided, but the policy of a chain."""
    place = trail[-1].place
    return place is not None and place.number == 0
