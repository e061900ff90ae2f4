"""Somebody keeps undoing our rules. Time is a number here."""

from __future__ import annotations

from dmsfw.decide.quarrel import APART_S, FEW, LONG_S, OFTEN, SPACING_S, WINDOW_S, Quarrel

START = 1_000_000.0


def after(repairs: int, every_s: float) -> tuple[Quarrel, float]:
    """A quarrel after so many repairs, and when the last one was."""
    quarrel = Quarrel()
    for number in range(repairs):
        quarrel.repaired(START + number * every_s)
    return quarrel, START + (repairs - 1) * every_s


def test_few_repairs_are_made_at_once() -> None:
    quarrel, now = after(FEW, 0.01)
    assert quarrel.delay(now) == 0.0
    assert not quarrel.is_on(now)


def test_one_repair_too_many_makes_the_next_wait_a_second() -> None:
    quarrel, now = after(FEW + 1, 0.01)
    assert quarrel.is_on(now)
    assert quarrel.delay(now) == SPACING_S
    assert quarrel.delay(now + 0.4) == SPACING_S - 0.4 or abs(quarrel.delay(now + 0.4) - 0.6) < 1e-6
    assert quarrel.delay(now + SPACING_S) == 0.0


def test_many_repairs_far_apart_are_no_quarrel() -> None:
    quarrel, now = after(5 * OFTEN, LONG_S / OFTEN * 1.1)
    assert not quarrel.is_on(now)


def test_repairs_that_come_steadily_are_a_quarrel_however_slowly_they_are_seen() -> None:
    """A writer without the lock undoes them fifty times a second; the look at the tables sees it once a second."""
    quarrel, now = after(OFTEN - 1, SPACING_S)
    assert not quarrel.is_on(now)
    quarrel.repaired(now + SPACING_S)
    assert quarrel.is_on(now + SPACING_S)


def test_a_steady_quarrel_that_is_over_does_not_count_for_the_next() -> None:
    quarrel, now = after(OFTEN, SPACING_S)
    assert quarrel.is_on(now)
    quarrel.repaired(now + WINDOW_S + 1)
    assert not quarrel.is_on(now + WINDOW_S + 1)


def test_a_burst_of_repairs_is_one_of_those_that_come_steadily() -> None:
    quarrel, now = after(FEW, APART_S / FEW)
    for number in range(1, OFTEN - 1):
        quarrel.repaired(now + number * WINDOW_S)
        assert not quarrel.is_on(now + number * WINDOW_S)


def test_it_goes_on_while_repairs_come_once_a_second() -> None:
    quarrel, now = after(FEW + 1, 0.01)
    for number in range(1, 100):
        quarrel.repaired(now + number * SPACING_S)
        assert quarrel.is_on(now + number * SPACING_S)


def test_it_is_over_after_a_while_without_repairs() -> None:
    quarrel, now = after(FEW + 1, 0.01)
    assert quarrel.is_on(now + WINDOW_S)
    assert not quarrel.is_on(now + WINDOW_S + 0.1)
    quarrel.repaired(now + WINDOW_S + 1)
    assert quarrel.delay(now + WINDOW_S + 1) == 0.0


def test_a_clock_that_is_set_back_makes_nobody_wait_longer() -> None:
    quarrel, now = after(FEW + 1, 0.01)
    assert quarrel.delay(now - 500) <= SPACING_S
