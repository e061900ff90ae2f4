"""The state machine of the reconciler on the fake tables, for as many steps as told.

    python -m tests.chaos.machine [--steps 100000] [--seed 1]

It is the one of the unit tests (a whole life at random: networks, edits, faults of commits), run for far longer.
"""

from __future__ import annotations

import argparse
import sys
import time

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import invariant, run_state_machine_as_test

from tests.unit.test_enforce_reconcile import Life

LENGTH = 50
"""Steps of one life at most."""
PORTION = 200
"""Lives between two looks at how many steps there were."""


class LongLife(Life):
    """The same, with its steps counted over all lives."""

    steps = 0

    @invariant()
    def a_step_was_made(self) -> None:
        """Count it."""
        LongLife.steps += 1


def main() -> int:
    """Live until the steps are reached; a life that breaks a promise is printed, made as short as it can be."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos.machine", description="The reconciler's state machine."
    )
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    began, portion = time.monotonic(), 0
    profile = settings(
        max_examples=PORTION,
        stateful_step_count=LENGTH,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    while LongLife.steps < options.steps:
        portion += 1
        machine = seed(f"{options.seed} {portion}")(type("LongLife", (LongLife,), {}))
        run_state_machine_as_test(machine, settings=profile)
    print(f"{LongLife.steps} steps in {time.monotonic() - began:.0f} s, seed {options.seed}: no promise broken")
    return 0


if __name__ == "__main__":
    sys.exit(main())
