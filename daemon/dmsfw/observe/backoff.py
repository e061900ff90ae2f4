"""How long to wait before something that failed is tried again: exponential, with full jitter and a ceiling."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_S = 0.2
"""Upper end of the first wait."""

CEILING_S = 10.0
"""The longest wait."""

FLOOR_S = 0.05
"""The shortest wait: the jitter may come out as nothing, and nothing must spin."""

DOUBLINGS = 6
"""After so many the ceiling is reached (0.2 s * 2**6 = 12.8 s); counting on would only make the power large."""


@dataclass(slots=True)
class Backoff:
    """Ask `next_s` after each failure, `reset` after a success. `jitter` returns 0.0 to 1.0."""

    jitter: Callable[[], float] = random.random
    failures: int = 0

    def next_s(self) -> float:
        """Seconds to wait now."""
        upper = min(CEILING_S, FIRST_S * (1 << self.failures))
        self.failures = min(self.failures + 1, DOUBLINGS)
        return max(FLOOR_S, self.jitter() * upper)

    def reset(self) -> None:
        """Begin anew with short waits."""
        self.failures = 0
