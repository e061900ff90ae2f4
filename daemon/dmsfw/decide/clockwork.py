"""What is due without any event, and when. Time is a value here, in seconds of a monotonic clock."""

from __future__ import annotations

from dataclasses import dataclass

LOOK_S = 1.0
"""Seconds between looks for writers that nothing else tells of: 4 us a table, 0.1 ms where it is compared."""

COMPARE_S = 30.0
"""Seconds between whole passes without any event: what a look at a large table cannot see."""


@dataclass(slots=True)
class Clockwork:
    """When something is due without any event. Monotonic seconds."""

    look_at: float = 0.0
    compare_at: float = 0.0
    resync_at: float = 0.0
    retry_at: float = float("inf")
    serve_at: float = float("inf")

    @property
    def next_at(self) -> float:
        """The earliest of them."""
        return min(self.look_at, self.compare_at, self.resync_at, self.retry_at, self.serve_at)
