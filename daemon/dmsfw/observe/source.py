"""A source of truth: read in a thread of its own, paced, and remembered when it does not answer.

1. A poke says "look again"; it is cleared *before* the reading begins, so that one during a reading earns another.
2. A source that cannot be read keeps its last good reading; it is tried again with backoff, and a poke ends the wait.
3. The daemon is woken after a reading that somebody asked for, after one that differs, and when the health changes;
   a reading by the clock or by netlink's noise that is like the last wakes nobody.
4. Between readings the thread sleeps on one condition: an idle source wakes up for its timer only.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog

from dmsfw.errors import ObserveError
from dmsfw.observe.backoff import Backoff
from dmsfw.observe.rhythm import Paced, Poke, Rhythm

T = TypeVar("T")
Changed = Callable[[str, str], None]
"""Called with the source's name and the trigger, in the source's thread."""

STOP_S = 0.4
"""How long `stop` waits for a thread. One that hangs in a reading is left behind; it is a daemon thread."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Reading(Generic[T]):
    """What a source said, and when (monotonic seconds)."""

    value: T
    at: float


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why a source does not answer, and since when (monotonic seconds)."""

    text: str
    since: float


class Source(Generic[T]):
    """One source, its thread and its last good reading. `read` returns a whole new value or raises.

    `every_s`: the longest time between two readings; None: only when poked. `echo_s`: after a minor poke's reading
    another follows so much later, for news that reach us before the one whom we ask has heard of them.
    `audible` False: its failures are not logged.
    """

    def __init__(
        self,
        name: str,
        read: Callable[[], T],
        on_change: Changed,
        *,
        every_s: float | None = None,
        echo_s: float | None = None,
        close: Callable[[], None] = lambda: None,
        rhythm: Rhythm | None = None,
        audible: bool = True,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.name = name
        self.reading: Reading[T] | None = None
        self._failure: _Failure | None = None
        self._read, self._on_change, self._close = read, on_change, close
        self._every_s, self._echo_s, self._audible = every_s, echo_s, audible
        self._rhythm = rhythm or Paced()
        self._backoff = Backoff(jitter=jitter)
        self._clock = clock
        self._due = math.inf if every_s is None else -math.inf
        self._poke: Poke | None = None
        self._stopped = False
        self._bell = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=f"dmsfw {name}", daemon=True)

    @property
    def age_s(self) -> float | None:
        """Seconds since the last good reading; None when there is none."""
        return None if (reading := self.reading) is None else max(0.0, self._clock() - reading.at)

    @property
    def error(self) -> str:
        """Why the last reading failed, in one line; empty when it did not."""
        return "" if (failure := self._failure) is None else failure.text

    @property
    def failing_since(self) -> float | None:
        """Monotonic seconds at which the source ceased to answer; None when it answers."""
        return None if (failure := self._failure) is None else failure.since

    def start(self) -> None:
        """Begin to read. A source with a timer reads at once."""
        self._thread.start()

    def poke(self, trigger: str, *, minor: bool = False) -> None:
        """Ask for a reading. Never blocks. `minor`: a hint that may settle, and wakes only when something differs."""
        with self._bell:
            self._poke = Poke.merge(self._poke, trigger, self._clock(), minor=minor)
            self._bell.notify()

    def stop(self) -> None:
        """End the thread; one that hangs in a reading ends when the reading does."""
        with self._bell:
            self._stopped = True
            self._bell.notify()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(STOP_S)

    def _run(self) -> None:
        while (poke := self._turn()) is not None:
            self._attempt(poke)
        self._close()

    def _turn(self) -> Poke | None:
        """Sleep until a reading is due and return who asked for it; None when the source is stopped."""
        with self._bell:
            while not self._stopped:
                now = self._clock()
                if (wait_s := self._wait_s(now)) <= 0:
                    return self._begin(now)
                self._bell.wait(None if wait_s == math.inf else wait_s)
        return None

    def _wait_s(self, now: float) -> float:
        if self._poke is None:
            return self._due - now
        return self._rhythm.wait_s(self._poke, now)

    def _begin(self, now: float) -> Poke:
        poke, self._poke = self._poke, None
        self._rhythm.begin(now)
        if poke is not None and not poke.minor:
            self._backoff.reset()
        return poke or Poke(self.name, minor=True, timed=True)

    def _attempt(self, poke: Poke) -> None:
        try:
            value = self._read()
        except ObserveError as error:
            self._failed(error.reason)
        except Exception as error:  # noqa: BLE001 - a hostile answer must not end the thread
            self._failed(f"{type(error).__name__}: {error}")
        else:
            self._succeeded(value, poke)

    def _succeeded(self, value: T, poke: Poke) -> None:
        now = self._clock()
        last, healed = self.reading, self._failure
        self.reading, self._failure = Reading(value, now), None
        self._backoff.reset()
        self._due = now + self._next_s(poke)
        if healed is not None and self._audible:
            log.info("source answers again", source=self.name, after_s=round(now - healed.since, 1))
        if not poke.minor or healed is not None or last is None or last.value != value:
            self._on_change(self.name, poke.trigger)

    def _next_s(self, poke: Poke) -> float:
        every_s = math.inf if self._every_s is None else self._every_s
        return every_s if self._echo_s is None or poke.timed or not poke.minor else min(self._echo_s, every_s)

    def _failed(self, reason: str) -> None:
        now = self._clock()
        known = self._failure
        self._failure = _Failure(reason, now if known is None else known.since)
        self._due = math.inf if self._every_s is None else now + self._backoff.next_s()
        if known is not None:
            return
        if self._audible:
            log.warning("source does not answer", source=self.name, error=reason)
        self._on_change(self.name, self.name)
