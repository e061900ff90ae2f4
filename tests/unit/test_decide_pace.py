"""When the next pass may begin: bursts, storms, noise, and clocks that misbehave. Time is a number here."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dmsfw.decide.pace import BURST, CEILING_S, LONG_S, RATE, RESERVED, SLOW_RATE, Pace

UNHURRIED = settings(deadline=None)
START = 1_000_000.0


def passes(pace: Pace, start: float, seconds: float, *, minor: bool = False) -> list[float]:
    """When passes begin while wakes never end: each waits as long as it is told to."""
    begun: list[float] = []
    now = start
    while now < start + seconds:
        delay = pace.delay(now, minor=minor)
        if delay <= 1e-9:
            pace.spend(now)
            begun.append(now)
        now += max(delay, 1e-6)
    return begun


def test_a_single_event_is_served_at_once() -> None:
    pace = Pace()
    for hour in range(5):
        now = START + 3600 * hour
        assert pace.delay(now) == 0.0
        pace.spend(now)


def test_a_burst_is_served_without_any_pause_and_no_longer() -> None:
    pace = Pace()
    for _ in range(BURST):
        assert pace.delay(START) == 0.0
        pace.spend(START)
    assert pace.delay(START) == pytest.approx(1 / RATE)
    pace.spend(START)  # a pass that begins all the same costs nothing that is not there
    assert pace.delay(START) == pytest.approx(1 / RATE)


def test_a_storm_is_paced_and_a_long_one_more_slowly() -> None:
    pace = Pace()
    short = passes(pace, START, LONG_S)
    assert len(short) == pytest.approx(BURST + RATE * LONG_S, abs=2)
    long = passes(pace, START + LONG_S, 60)
    assert len(long) == pytest.approx(SLOW_RATE * 60, abs=BURST)


def test_a_network_that_is_made_anew_without_end_never_waits() -> None:
    """Compose does it 2.5 times a second at most: two passes each, and two containers that join and leave beside."""
    pace = Pace()
    for number in range(600):
        now = START + number * 0.4
        for at, minor in ((0.0, False), (0.1, True), (0.2, True), (0.3, False)):
            delay = pace.delay(now + at, minor=minor)
            assert minor or delay == 0.0
            if delay == 0.0:
                pace.spend(now + at)


def test_after_a_storm_the_bucket_is_full_again() -> None:
    pace = Pace()
    passes(pace, START, 30)
    calm = START + 30 + BURST / SLOW_RATE + 1
    assert len([now for now in passes(pace, calm, 0.01) if now < calm + 0.01]) >= BURST


def test_noise_never_takes_the_reserve() -> None:
    pace = Pace()
    for _ in range(BURST - RESERVED):
        assert pace.delay(START, minor=True) == 0.0
        pace.spend(START)
    assert pace.delay(START, minor=True) > 0.0
    for _ in range(RESERVED):
        assert pace.delay(START) == 0.0
        pace.spend(START)
    assert pace.delay(START) > 0.0


def test_an_event_in_the_middle_of_noise_is_served_at_once() -> None:
    pace = Pace()
    passes(pace, START, 30, minor=True)
    assert pace.delay(START + 30) == 0.0


@UNHURRIED
@given(st.lists(st.tuples(st.floats(0, 3), st.booleans(), st.booleans()), max_size=200))
def test_no_wake_ever_waits_longer_than_the_ceiling(steps: list[tuple[float, bool, bool]]) -> None:
    pace, now = Pace(), START
    for elapsed, minor, spends in steps:
        now += elapsed
        delay = pace.delay(now, minor=minor)
        assert 0.0 <= delay <= CEILING_S
        assert pace.delay(now + delay + 1e-6, minor=minor) <= 1e-6 or spends
        if spends:
            pace.spend(now)


def test_the_ceiling_holds_at_the_slowest() -> None:
    pace = Pace()
    passes(pace, START, LONG_S + 1)
    assert 0.0 < pace.delay(START + LONG_S + 1, minor=True) <= CEILING_S


@UNHURRIED
@given(st.lists(st.sampled_from([0.0, 0.0, 1e-9, 0.01, -5.0, -1e6, 1e6, 86400.0]), max_size=50))
def test_a_clock_that_stands_or_jumps_starves_nobody(jumps: list[float]) -> None:
    pace, now = Pace(), START
    for jump in jumps:
        now += jump
        assert 0.0 <= pace.delay(now) <= CEILING_S
        pace.spend(now)
        assert 0.0 <= pace.tokens <= BURST
    assert pace.delay(now + CEILING_S) == 0.0


def test_a_clock_that_stands_lets_no_more_than_the_burst_pass() -> None:
    pace = Pace()
    served = 0
    for _ in range(1000):
        if pace.delay(START) == 0.0:
            pace.spend(START)
            served += 1
    assert served == BURST


def test_a_new_pace_is_full_whatever_the_clock_says() -> None:
    for now in (0.0, 1e-3, 1.0, 1e9):
        assert Pace().delay(now, minor=True) == 0.0
