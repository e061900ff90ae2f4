"""What a target does to a packet."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from dmsfw.trace.packet import Packet


class Kind(Enum):
    """How it goes on."""

    CONTINUES = auto()
    BREAKS = auto()
    """It goes on behind the rule; the rest of the rule is not for it."""

    RETURNS = auto()
    ACCEPTED = auto()
    DROPPED = auto()
    REJECTED = auto()
    UNCERTAIN = auto()
    """It may end here, in whatever way."""


@dataclass(frozen=True, slots=True)
class Effect:
    """One thing that may happen. `why`: what is not known, or what was assumed."""

    kind: Kind
    packet: Packet
    does: str
    why: str = ""
