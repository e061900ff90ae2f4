"""How long `dmsfw explain` takes to answer, the interpreter's start included."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.rows import Row
from tests.bench.stage import Stage, ask
from tests.lab import Router

FOREIGN = (0, 10_000)


def measure(stage: Stage) -> Iterator[Row]:
    """Rows for few and for many rules."""
    for rules in FOREIGN:
        stage.say(f"explain among {rules:,} foreign rules")
        with Router(internet=False) as router:
            samples = ask(router, "questions", rules, stage.count(20))
        yield Row.of(f"questions/{rules}", f"dmsfw explain among {rules:,} foreign rules", "ms", samples)
