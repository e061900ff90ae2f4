"""A pass by itself, decision and enforcement: with nothing to do, and with one network that changes; the curves."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from tests.bench import commits
from tests.bench.rows import Row
from tests.bench.stage import Stage, ask
from tests.lab import Router

RULES_100 = 33
"""Networks that make 99 rules; with the hooks 101."""

NETWORKS = (1, 10, 100, 500, 1000)
FOREIGN = (0, 100, 1000, 10_000)
FEW = 100
"""Foreign rules beside the curve over networks."""

DECADES = {"networks": (100, 1000), "foreign": (1000, 10_000)}
"""Between these two points growth is told: ten times as much."""

KINDS = {"nothing": "nothing to do", "added": "one network comes", "removed": "one goes", "recreated": "one is another"}

Samples = dict[str, list[float]]


def measure(stage: Stage) -> Iterator[Row]:
    """Rows for the figures that were promised, then the curves."""
    with Router(internet=False) as router:
        yield from _foreign(stage, router)
        yield from _networks(stage, router)
        yield from _commits(stage, router)
    with Router(internet=False) as router:
        samples = ask(router, "passes", RULES_100, FOREIGN[-1], stage.count(50), "FORWARD")
        what = "nothing to do, 100 own rules, 10,000 foreign rules in FORWARD itself"
        yield Row.of("passes/in FORWARD nothing", what, "ms", samples["nothing"])


def _foreign(stage: Stage, router: Router) -> Iterator[Row]:
    curve = {}
    for foreign in FOREIGN:
        stage.say(f"100 own rules among {foreign} foreign")
        curve[foreign] = ask(router, "passes", RULES_100, foreign, stage.count(200 if foreign <= FEW * 10 else 100))
        for kind in ("nothing", "added"):
            what = f"{KINDS[kind]}: 100 own rules among {foreign:,} foreign"
            yield Row.of(f"passes/foreign={foreign} {kind}", what, "ms", curve[foreign][kind])
    yield from _growth("foreign", curve)


def _networks(stage: Stage, router: Router) -> Iterator[Row]:
    curve = {}
    for networks in NETWORKS:
        stage.say(f"{networks} networks of 4 ports each")
        curve[networks] = ask(router, "passes", networks, FEW, stage.count(50 if networks <= FEW * 5 else 20))
        for kind, text in KINDS.items():
            what = f"{text}: {networks:,} networks, 4 ports each, {FEW} foreign rules"
            yield Row.of(f"passes/networks={networks} {kind}", what, "ms", curve[networks][kind])
        what = f"the first pass ever: {networks:,} networks"
        yield Row.of(f"passes/networks={networks} first", what, "ms", curve[networks]["first"])
    yield from _growth("networks", curve)


def _growth(over: str, curve: dict[int, Samples]) -> Iterator[Row]:
    """The exponent of the growth over one decade: 1 is linear."""
    few, many = DECADES[over]
    for kind in ("nothing", "added"):
        before, after = (Row.of("", "", "", curve[size][kind]).p50 for size in (few, many))
        what = f"exponent of growth from {few:,} to {many:,} {over}: {KINDS[kind]}"
        yield Row.of(f"passes/growth {over} {kind}", what, "", [math.log10(after / before)], better="")


def _commits(stage: Stage, router: Router) -> Iterator[Row]:
    if not commits.available():
        stage.say("commits are not counted: there is no strace")
        return
    stage.say("commits of single passes, traced")
    found = commits.commits(router, NETWORKS[3], FEW)
    for kind, text in KINDS.items():
        counted = found.get(kind, Counter())
        note = ", ".join(f"{table}: {times}" for table, times in sorted(counted.items())) or "none"
        what = f"commits to one table at most, {NETWORKS[3]} networks: {text}"
        yield Row.of(f"passes/commits {kind}", what, "", [max(counted.values(), default=0)], note=note)
