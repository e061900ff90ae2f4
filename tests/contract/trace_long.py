"""The same as test_trace_kernel.py, for as long as you like, and for seeds that can be given again:

    PYTHONPATH=daemon:. tests/contract/run python -m tests.contract.trace_long --rulesets 100000 --seed 1

With `--router fw4` it is nftables, as in test_trace_nft.py.

Prints how it goes, and the first rulesets on which kernel and model differ. Exit code: 0 none, 1 some, 4 wrong place.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from tests.contract.conftest import pytest_configure
from tests.contract.tracing.compare import Comparison, Disagreement
from tests.contract.tracing.generator import Generator
from tests.contract.tracing.nft_generator import NftGenerator
from tests.contract.tracing.nft_tables import NftTables
from tests.contract.tracing.router import Router
from tests.contract.tracing.tables import Refused, Tables
from tests.lab import nft

Made = type[Generator] | type[NftGenerator]

TELL_EVERY_S = 10.0
SHOWN = 5
"""Disagreements that are shown; the others are counted."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rulesets", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--router", choices=("fw3", "fw4"), default="fw3")
    arguments = parser.parse_args()
    pytest_configure()
    with tempfile.TemporaryDirectory() as folder:
        nftables = arguments.router == "fw4"
        os.environ["PATH"] = f"{nft.folder()}:{os.environ['PATH']}"
        tables = NftTables(Path(folder)) if nftables else Tables(Path(folder))
        comparison = Comparison(Router(), tables)
        wrong = _run(comparison, arguments.rulesets, arguments.seed, NftGenerator if nftables else Generator)
        tables.close()
    print(f"{comparison.tally}\n{wrong} of {comparison.tally.seen['rulesets'] + wrong} rulesets disagree")
    return 1 if wrong else 0


def _run(comparison: Comparison, rulesets: int, seed: int, generator: Made) -> int:
    started = told = time.monotonic()
    wrong = 0
    for number in range(rulesets):
        random, family = Random(f"{seed}:{number}"), 4 if number % 2 else 6
        text = generator(random, family).ruleset()
        if not _agrees(comparison, text, random, family, show=f"seed {seed}:{number}" if wrong < SHOWN else ""):
            wrong += 1
        now = time.monotonic()
        if now - told > TELL_EVERY_S or number == rulesets - 1:
            told = now
            print(f"{number + 1} rulesets, {(number + 1) / (now - started):.0f} a second, {wrong} disagree", flush=True)
    return wrong


def _agrees(comparison: Comparison, text: str, random: Random, family: int, *, show: str) -> bool:
    """Of rules that nft refuses, since they contradict themselves, too. iptables' never do."""
    try:
        comparison.hold(text, random, family)
    except Refused:
        if not text.startswith("table "):
            raise
        return True
    except Disagreement as error:
        if show:
            print(f"{show}, IPv{family}\n{error}", flush=True)
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
