"""A small part of what `make writers` does at length."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos import scene, writers
from tests.lab import Lab

SEED = 1


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab() as built:
        writers.prepare(built)
        yield built


def test_a_thousand_foreign_edits_under_a_flood_of_packets_lose_nothing_on_either_side(lab: Lab) -> None:
    result = writers.beside_writers(lab, 1000, 3, SEED)
    scene.raise_for(result.problems, f"seed {SEED}")
    assert len(result.figures) == 2


def test_a_lock_that_somebody_holds_is_waited_for_and_that_is_said_once(lab: Lab) -> None:
    result = writers.somebody_holds_the_lock(lab, 3.0)
    scene.raise_for(result.problems, "with the lock held by somebody else")


def test_the_lock_is_held_from_the_reading_to_the_commit_and_given_back(lab: Lab) -> None:
    result = writers.longest_hold(lab, 500)
    scene.raise_for(result.problems, "among foreign rules")
    assert result.figures
