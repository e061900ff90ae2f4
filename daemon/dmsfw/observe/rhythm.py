"""When a poke may be served. Time is an argument, in monotonic seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from dmsfw.decide.pace import Pace

SETTLE_S = 0.02
"""A minor poke waits so long for its siblings: one container start sends 29 netlink messages."""

QUIET_S = 1.0
SPACING_S = 5.0
PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class Poke:
    """That somebody asks for a reading. `minor`: only a hint. `timed`: nobody asked, the timer did."""

    trigger: str
    minor: bool
    first_at: float = 0.0
    last_at: float = 0.0
    timed: bool = False

    @staticmethod
    def merge(pending: Poke | None, trigger: str, now: float, *, minor: bool) -> Poke:
        """Add a poke to the one that waits already. The first one that is not minor gives its name."""
        if pending is None:
            return Poke(trigger, minor, now, now)
        if pending.minor and not minor:
            return Poke(trigger, minor=False, first_at=pending.first_at, last_at=now)
        return Poke(pending.trigger, pending.minor, pending.first_at, now)


class Rhythm(Protocol):
    """Says how long a poke still has to wait."""

    def wait_s(self, poke: Poke, now: float) -> float:
        """Seconds until `poke` may be served; nothing or less is now."""
        ...

    def begin(self, now: float) -> None:
        """Note that a reading begins now."""
        ...


@dataclass(slots=True)
class Paced:
    """At once while the bucket has tokens; a minor poke settles first and leaves the reserve."""

    pace: Pace = field(default_factory=Pace)

    def wait_s(self, poke: Poke, now: float) -> float:
        """Seconds until `poke` may be served."""
        settle_s = poke.first_at + SETTLE_S - now if poke.minor else 0.0
        return max(settle_s, self.pace.delay(now, minor=poke.minor))

    def begin(self, now: float) -> None:
        """Take a token."""
        self.pace.spend(now)


@dataclass(slots=True)
class Quiet:
    """For what is nice to know: when nobody has poked for `quiet_s`, and not more often than every `spacing_s`.

    Pokes that never cease are served after `PATIENCE_S` all the same.
    """

    quiet_s: float = QUIET_S
    spacing_s: float = SPACING_S
    began: float = float("-inf")

    def wait_s(self, poke: Poke, now: float) -> float:
        """Seconds until `poke` may be served."""
        calm = min(poke.last_at + self.quiet_s, poke.first_at + PATIENCE_S)
        return max(calm, self.began + self.spacing_s) - now

    def begin(self, now: float) -> None:
        """Remember when."""
        self.began = now
