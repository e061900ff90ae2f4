"""The one wake that every event ends in: a set of trigger names and a descriptor to wait on."""

from __future__ import annotations

import os
import select
from contextlib import suppress


class Wake:
    """Set from any thread and from signal handlers; waited on and taken by one thread."""

    def __init__(self) -> None:
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._triggers: set[str] = set()
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)

    def set(self, trigger: str) -> None:
        """Wake the waiting thread. Neither blocks nor takes a lock, so a signal handler may call it."""
        self._triggers.add(trigger)  # one step in C, as `pop` is: neither a thread nor a signal comes between
        os.eventfd_write(self._fd, 1)

    def wait(self, timeout_s: float) -> None:
        """Sleep until somebody sets the wake, at most `timeout_s` seconds."""
        self._poll.poll(max(0, round(timeout_s * 1000 + 0.5)))

    def take(self) -> frozenset[str]:
        """Clear the wake and return what has been set since the last time. Whatever comes later wakes again."""
        with suppress(BlockingIOError):
            os.eventfd_read(self._fd)
        taken = set()
        while self._triggers:
            taken.add(self._triggers.pop())
        return frozenset(taken)

    def close(self) -> None:
        """Give the descriptor back. Nobody may set the wake any more."""
        os.close(self._fd)
