"""A seeded sample of the deaths that `make kill` dies all of."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.chaos import scene
from tests.chaos.deaths import Deaths, Scenario, scenarios
from tests.chaos.kills import Kills
from tests.lab import Lab

SEED = 1
SAMPLE = {"exchange": 9, "run": 6}
"""Deaths in each scenario; the whole set takes minutes."""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(internet=False) as built:
        yield built


@pytest.fixture(scope="module")
def known(lab: Lab) -> dict[str, Scenario]:
    return {scenario.name: scenario for scenario in scenarios(lab)}


@pytest.mark.parametrize("name", SAMPLE)
def test_killed_at_any_call_it_is_in_sync_after_the_next_start(lab: Lab, known: dict[str, Scenario], name: str) -> None:
    dice = random.Random(f"{SEED} {name}")
    deaths = Deaths(lab, known[name], print)
    changing = deaths.places(0, dice)
    commits = [place for place in changing if "SET_REPLACE" in place.shown]
    for place in {*dice.sample(commits, 3), *dice.sample(changing, SAMPLE[name] - 3)}:
        deaths.die_at(place)
    scene.raise_for(deaths.result.problems, f"seed {SEED}")
    assert deaths.result.deaths > deaths.result.places // 2, "the deaths did not come"


def test_killed_at_random_moments_under_load_nothing_is_lost_on_either_side() -> None:
    with Lab(internet=False) as built:
        kills = Kills(built, SEED, print)
        kills.round(0, 10)
    scene.raise_for(kills.tally.problems, f"seed {SEED}")
    assert kills.tally.edits
