"""A short walk with fixed seeds; `make chaos` is the long one."""

from __future__ import annotations

import pytest

from tests.chaos import scene
from tests.chaos.__main__ import walk

SECONDS = 55.0
WALKS = (("fw3", 7), ("fw3", 11), ("fw4", 7))


@pytest.mark.parametrize(("router", "seed"), WALKS)
def test_whatever_befalls_it_the_rules_are_right_again(router: str, seed: int) -> None:
    taken = walk(seed, SECONDS, router=router)
    scene.raise_for(taken.problems, f"seed {seed}")
    assert taken.steps >= 10
