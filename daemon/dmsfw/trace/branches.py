"""All that a packet may have become at one point of its way, each with its share of the possibilities.

Where it is not known whether a rule matches, both outcomes are followed, each with half the share; where they meet
again as the same packet they are one again. A share is no probability: it tells whether all possibilities come by, as
those with a whole share (1) do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from dmsfw.trace.packet import Packet
from dmsfw.trace.result import Step, Verdict

Share = Fraction
WHOLE = Fraction(1)
NOTHING = Fraction(0)

Live = dict[Packet, Share]


@dataclass(frozen=True, slots=True)
class Ended:
    """An end, or an ACCEPT that ends one table only (verdict PASSES)."""

    verdict: Verdict
    trail: tuple[Step, ...]
    packet: Packet
    share: Share


def add(live: Live, packet: Packet, share: Share) -> None:
    """Put a possibility to the others."""
    live[packet] = live.get(packet, NOTHING) + share


@dataclass(slots=True)
class Flow:
    """What came out of a chain: `back` at its end or by a RETURN, `ended` there."""

    back: Live = field(default_factory=dict)
    ended: list[Ended] = field(default_factory=list)
