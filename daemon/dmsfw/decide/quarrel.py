"""Somebody keeps undoing our rules: how to go on without a busy loop. Time is an argument, in seconds.

1. Repairs are made at once, as long as there are few of them: a firewall's restart needs some.
2. More than `FEW` within `WINDOW_S` are a quarrel: from then on one a `SPACING_S`, until `WINDOW_S` pass without any.
3. So are `OFTEN` that keep `APART_S` from each other, within `LONG_S`: a writer that takes no lock is seen by the look
   at the tables only, once a second, and would never be too many.
4. What is not a repair (a network that comes, another configuration) is never held back by it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

FEW = 50
"""Repairs that are no quarrel: a restart of the firewall is a dozen programs, each of which wakes a pass, and an owner
who restarts it again and again is not our enemy. Who undoes us at once each time is known within three seconds."""

WINDOW_S = 10.0
"""The time within which they are counted."""

OFTEN, LONG_S, APART_S = 30, 60.0, 0.5
"""An owner at work does not undo the rules every other second for a minute."""

SPACING_S = 1.0
"""Seconds between two repairs in a quarrel."""


@dataclass(slots=True)
class Quarrel:
    """Counts repairs. It is on from the first one too many until there has been none for a while."""

    _is_on: bool = False
    _times: deque[float] = field(default_factory=lambda: deque(maxlen=FEW + 1))
    _apart: deque[float] = field(default_factory=lambda: deque(maxlen=OFTEN))

    def repaired(self, now: float) -> None:
        """Note a repair."""
        goes_on = self.is_on(now)
        if self._is_on and not goes_on:
            self._apart.clear()  # the one that is over does not count for the next
        self._times.append(now)
        if not self._apart or now - self._apart[-1] >= APART_S:
            self._apart.append(now)
        self._is_on = goes_on or self._is_too_much(now)

    def _is_too_much(self, now: float) -> bool:
        at_once = len(self._times) > FEW and now - self._times[0] <= WINDOW_S
        steadily = len(self._apart) == OFTEN and now - self._apart[0] <= LONG_S
        return at_once or steadily

    def is_on(self, now: float) -> bool:
        """Tell whether there is one."""
        return self._is_on and now - self._times[-1] <= WINDOW_S

    def delay(self, now: float) -> float:
        """Seconds until the next repair may be made; 0.0 is now."""
        if not self.is_on(now):
            return 0.0
        return min(max(0.0, self._times[-1] + SPACING_S - now), SPACING_S)
