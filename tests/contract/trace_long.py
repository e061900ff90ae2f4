"""The same as test_trace_kernel.py, for as long as you like, and for seeds that can be given again:

    PYTHONPATH=daemon:. tests/contract/run python -m tests.contract.trace_long --rulesets 100000 --seed 1

Prints how it goes, and the first rulesets on which kernel and model differ. Exit code: 0 none, 1 some, 4 wrong place.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from tests.contract.conftest import pytest_configure
from tests.contract.tracing.compare import Comparison, Disagreement
from tests.contract.tracing.generator import Generator
from tests.contract.tracing.router import Router
from tests.contract.tracing.tables import Tables

TELL_EVERY_S = 10.0
SHOWN = 5
"""Disagreements that are shown; the others are counted."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rulesets", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    pytest_configure()
    with tempfile.TemporaryDirectory() as folder:
        tables = Tables(Path(folder))
        comparison = Comparison(Router(), tables)
        wrong = _run(comparison, arguments.rulesets, arguments.seed)
        tables.close()
    print(f"{comparison.tally}\n{wrong} of {arguments.rulesets} rulesets disagree")
    return 1 if wrong else 0


def _run(comparison: Comparison, rulesets: int, seed: int) -> int:
    started = told = time.monotonic()
    wrong = 0
    for number in range(rulesets):
        wrong += not _agrees(comparison, f"{seed}:{number}", 4 if number % 2 else 6, show=wrong < SHOWN)
        now = time.monotonic()
        if now - told > TELL_EVERY_S or number == rulesets - 1:
            told = now
            print(f"{number + 1} rulesets, {(number + 1) / (now - started):.0f} a second, {wrong} disagree", flush=True)
    return wrong


def _agrees(comparison: Comparison, seed: str, family: int, *, show: bool) -> bool:
    random = Random(seed)
    try:
        comparison.hold(Generator(random, family).ruleset(), random, family)
    except Disagreement as error:
        if show:
            print(f"seed {seed}, IPv{family}\n{error}", flush=True)
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
