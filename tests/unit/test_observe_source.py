"""A source: paced, remembered, and never asked in vain."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from dmsfw.errors import ObserveError
from dmsfw.observe.backoff import CEILING_S, FIRST_S, FLOOR_S, Backoff
from dmsfw.observe.rhythm import SETTLE_S, Paced, Poke, Quiet
from dmsfw.observe.source import Source
from tests.unit.observe_support import PATIENCE_S, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Rig:
    """A source whose readings a test writes, and what it said."""

    def __init__(self, **options: Any) -> None:
        self.value: object = 1
        self.reads = 0
        self.changes: list[tuple[str, str]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.closed = threading.Event()
        options = {"every_s": 3600.0, "close": self.closed.set, **options}
        self.source: Source[object] = Source("it", self._read, lambda *said: self.changes.append(said), **options)

    def _read(self) -> object:
        self.reads += 1
        value = self.value
        self.gate.wait(PATIENCE_S)
        if isinstance(value, Exception):
            raise value
        return value


@pytest.fixture
def rig() -> Iterator[Callable[..., Rig]]:
    rigs: list[Rig] = []

    def make(*, reads: int = 1, **options: Any) -> Rig:
        rigs.append(Rig(**options))
        rigs[-1].source.start()
        until(lambda: rigs[-1].reads >= reads and (not reads or rigs[-1].changes), "the first reading")
        return rigs[-1]

    yield make
    for each in rigs:
        each.gate.set()
        each.source.stop()
        assert each.closed.wait(PATIENCE_S)


def test_the_first_reading_needs_no_poke_and_wakes(rig: Callable[..., Rig]) -> None:
    it = rig()
    assert it.changes == [("it", "it")]
    assert it.source.reading is not None
    assert it.source.reading.value == 1
    assert it.source.age_s is not None
    assert (it.source.error, it.source.failing_since) == ("", None)


def test_a_poke_is_read_and_wakes_even_when_nothing_differs(rig: Callable[..., Rig]) -> None:
    it = rig()
    it.source.poke("docker")
    until(lambda: it.changes[1:] == [("it", "docker")])


def test_a_minor_poke_wakes_only_when_something_differs(rig: Callable[..., Rig]) -> None:
    it = rig()
    it.source.poke("netlink", minor=True)
    until(lambda: it.reads == 2)
    it.value = 2
    it.source.poke("netlink", minor=True)
    until(lambda: it.reads == 3 and len(it.changes) > 1)
    assert it.changes[1:] == [("it", "netlink")]


def test_a_poke_during_a_reading_earns_another(rig: Callable[..., Rig]) -> None:
    it = rig()
    it.gate.clear()
    it.source.poke("docker")
    until(lambda: it.reads == 2)
    it.value = "news"
    it.source.poke("docker")
    it.gate.set()
    until(lambda: it.source.reading is not None and it.source.reading.value == "news")


def test_a_burst_during_a_reading_is_one_more_reading(rig: Callable[..., Rig]) -> None:
    it = rig()
    it.gate.clear()
    it.source.poke("docker")
    until(lambda: it.reads == 2)
    for _ in range(50):
        it.source.poke("docker")
    it.gate.set()
    until(lambda: len(it.changes) == 3)
    it.source.stop()
    assert it.reads == 3


def test_a_minor_burst_settles_to_one_reading_and_an_echo(rig: Callable[..., Rig]) -> None:
    it = rig(echo_s=0.05)
    for _ in range(29):
        it.source.poke("netlink", minor=True)
    until(lambda: it.reads == 3, "the reading and its echo")
    it.value = 2
    it.source.poke("netlink", minor=True)
    until(lambda: it.reads == 5)
    assert [trigger for _, trigger in it.changes] == ["it", "netlink"]


def test_news_that_only_the_echo_hears_wakes(rig: Callable[..., Rig]) -> None:
    it = rig(echo_s=0.05)
    it.source.poke("netlink", minor=True)
    until(lambda: it.reads == 2)
    it.value = "late"
    until(lambda: len(it.changes) == 2)
    assert it.source.reading is not None
    assert it.source.reading.value == "late"


@pytest.mark.parametrize(
    ("error", "text"),
    [(ObserveError("x", "gone"), "gone"), (ZeroDivisionError("by nought"), "ZeroDivisionError: by nought")],
)
def test_a_failure_keeps_the_last_good_reading_and_says_why(
    rig: Callable[..., Rig], error: Exception, text: str
) -> None:
    it = rig(jitter=lambda: 0.0)
    it.value = error
    with capture_logs() as said:
        it.source.poke("docker")
        until(lambda: it.reads > 4, "more attempts")
        assert it.source.error == text
        assert it.source.failing_since is not None
        assert it.source.failing_since <= time.monotonic()
        assert it.source.reading is not None
        assert it.source.reading.value == 1
        it.value = 1
        until(lambda: not it.source.error)
        until(lambda: len(it.changes) == 3)
    assert [(line["event"], line["log_level"]) for line in said] == [
        ("source does not answer", "warning"),
        ("source answers again", "info"),
    ]
    assert said[0]["error"] == text


def test_a_poke_ends_the_backoff(rig: Callable[..., Rig]) -> None:
    it = rig(jitter=lambda: 1e6)
    it.value = ObserveError("x", "gone")
    it.source.poke("docker")
    until(lambda: it.source.error)
    it.value = 5
    it.source.poke("docker socket")
    until(lambda: not it.source.error)


def test_a_source_without_a_timer_reads_only_when_poked(rig: Callable[..., Rig]) -> None:
    it = rig(reads=0, every_s=None, audible=False)
    assert it.source.age_s is None
    it.value = ObserveError("x", "gone")
    with capture_logs() as said:
        it.source.poke("detours")
        until(lambda: it.source.error)
        it.value = 1
        it.source.poke("detours")
        until(lambda: not it.source.error)
    assert said == []
    assert it.reads == 2


def test_a_source_reads_by_its_timer(rig: Callable[..., Rig]) -> None:
    it = rig(every_s=0.01)
    until(lambda: it.reads > 3)
    assert len(it.changes) == 1


def test_backoff_doubles_to_its_ceiling_and_never_spins() -> None:
    steep = Backoff(jitter=lambda: 1.0)
    waits = [steep.next_s() for _ in range(40)]
    assert waits[:6] == pytest.approx([FIRST_S * 2**n for n in range(6)])
    assert max(waits) == waits[-1] == CEILING_S
    steep.reset()
    assert steep.next_s() == FIRST_S
    assert Backoff(jitter=lambda: 0.0).next_s() == FLOOR_S


def test_a_storm_of_pokes_is_paced_and_leaves_a_reserve_for_the_one_that_matters() -> None:
    paced, at = Paced(), 100.0
    minor = Poke("netlink", minor=True, first_at=at - 1, last_at=at)
    served = 0
    while paced.wait_s(minor, at) <= 0:
        paced.begin(at)
        served += 1
    assert served == 7
    assert paced.wait_s(Poke("docker", minor=False), at) <= 0
    assert 0 < paced.wait_s(minor, at) <= 1.0


def test_a_minor_poke_settles_from_its_first_sibling_on() -> None:
    poke = Poke.merge(Poke.merge(None, "netlink", 10.0, minor=True), "netlink", 10.015, minor=True)
    assert Paced().wait_s(poke, 10.015) == pytest.approx(SETTLE_S - 0.015)
    major = Poke.merge(poke, "docker", 10.016, minor=False)
    assert (major.trigger, Paced().wait_s(major, 10.016)) == ("docker", 0.0)
    assert Poke.merge(major, "netlink", 10.017, minor=True).minor is False


def test_what_is_nice_to_know_waits_for_quiet_but_not_for_ever() -> None:
    quiet = Quiet(quiet_s=1.0, spacing_s=5.0)
    assert quiet.wait_s(Poke("detours", minor=True, first_at=50.0, last_at=50.5), 50.6) == pytest.approx(0.9)
    assert quiet.wait_s(Poke("detours", minor=True, first_at=40.0, last_at=50.5), 50.6) < 0
    quiet.begin(51.0)
    assert quiet.wait_s(Poke("detours", minor=True, first_at=51.0, last_at=51.0), 52.0) == pytest.approx(4.0)
