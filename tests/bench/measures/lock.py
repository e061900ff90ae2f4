"""How long the xtables lock is held: nobody else can write meanwhile."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tests.bench.rows import Row
from tests.bench.stage import Stage, ask
from tests.lab import Router

FOREIGN = 10_000
NETWORKS = 33


def measure(stage: Stage) -> Iterator[Row]:
    """Rows for passes that change nothing, something, and all."""
    whats = {
        "held nothing": "lock held with 10,000 foreign rules: nothing to do",
        "held": "lock held with 10,000 foreign rules: one network changes",
    }
    samples: dict[str, list[float]] = defaultdict(list)
    with Router(internet=False) as router:
        for _ in range(stage.count(5)):
            for name, values in ask(router, "passes", NETWORKS, FOREIGN, stage.count(30)).items():
                samples[name] += values
    for name, what in whats.items():
        yield Row.of(f"lock/{name}", what, "ms", samples[name])
    yield Row.of(
        "lock/first", "lock held with 10,000 foreign rules: the first pass after a start", "ms", samples["held first"]
    )
