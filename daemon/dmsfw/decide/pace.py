"""When the next pass may begin. Time is an argument, in seconds of any monotonic clock.

1. A single event is served at once: the bucket is full then.
2. A storm is paced: `BURST` passes at once, then `RATE` a second, and `SLOW_RATE` once the storm has lasted `LONG_S`.
3. Minor wakes (netlink's: a container start alone sends 29; containers that join or leave a network) never take the
   last `RESERVED` tokens, so that a network that comes in the middle of their noise is still served at once.
4. No wake waits longer than `CEILING_S`: the last change of a storm is never starved.
5. A clock that is set back costs no wake more than that: time is counted on from there.
"""

from __future__ import annotations

from dataclasses import dataclass

BURST = 10
"""Passes that may follow each other without any pause."""

RATE = 20.0
"""Passes a second in a storm."""

SLOW_RATE = 5.0
"""Passes a second in a storm that goes on and on."""

LONG_S = 10.0
"""A storm that has kept the bucket below full for so long is a long one."""

RESERVED = 3
"""Tokens that minor wakes leave in the bucket."""

CEILING_S = 1.0
"""The longest that a wake may wait."""


@dataclass(slots=True)
class Pace:
    """A token bucket. Ask `delay`, wait that long, then `spend` when the pass begins."""

    tokens: float = float(BURST)
    updated: float = 0.0
    full_at: float = 0.0

    def delay(self, now: float, *, minor: bool = False) -> float:
        """Seconds until a pass may begin; 0.0 is now. `minor`: a wake that must leave the reserve alone."""
        self._refill(now)
        needed = (RESERVED if minor else 0) + 1.0 - self.tokens
        return 0.0 if needed <= 0 else min(needed / self._rate(now), CEILING_S)

    def spend(self, now: float) -> None:
        """Take one token for a pass that begins now. The bucket never goes below empty."""
        self._refill(now)
        self.tokens = max(0.0, self.tokens - 1.0)

    def _refill(self, now: float) -> None:
        elapsed = max(0.0, now - self.updated)
        self.tokens = min(float(BURST), self.tokens + elapsed * self._rate(now))
        self.updated = now
        if self.tokens >= BURST:
            self.full_at = self.updated

    def _rate(self, now: float) -> float:
        return SLOW_RATE if now - self.full_at > LONG_S else RATE
