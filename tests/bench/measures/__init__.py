"""What is measured, in the order of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.bench.measures import (
    events,
    firewall4,
    forwarding,
    healing,
    idle,
    lock,
    memory,
    passes,
    questions,
    recreations,
    rivals,
    start,
)
from tests.bench.rows import Row
from tests.bench.stage import Stage

MEASURES: dict[str, Callable[[Stage], Iterator[Row]]] = {
    "events": events.measure,
    "rivals": rivals.measure,
    "recreations": recreations.measure,
    "passes": passes.measure,
    "lock": lock.measure,
    "forwarding": forwarding.measure,
    "start": start.measure,
    "healing": healing.measure,
    "memory": memory.measure,
    "idle": idle.measure,
    "questions": questions.measure,
    "firewall4": firewall4.measure,
}
