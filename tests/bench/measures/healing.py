"""From the end of whoever wiped our rules until they stand there again."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.rows import Row
from tests.bench.stage import Stage, ask, daemon, in_sync, network
from tests.lab import Lab

PAUSE_S = 0.3
"""Between two wipings, and up to a second more."""

BATCH = 24
"""Wipings that one daemon sees: of a few more within a minute it would say that somebody fights it, and wait."""

KINDS = {
    "locking": (200, "wiped by a writer that takes the lock -> repaired"),
    "firewall": (10, "`fw3 restart` -> repaired"),
    "lockless": (40, "wiped by a writer without the lock -> repaired"),
}


def measure(stage: Stage) -> Iterator[Row]:
    """Rows for each kind of writer, and for each writer that takes the lock."""
    with Lab(ipv6=False) as lab:
        network(lab, "bench")
        for kind, (count, what) in KINDS.items():
            stage.say(what)
            yield Row.of(f"healing/{kind}", what, "ms", list(_samples(lab, kind, stage.count(count, least=4))))


def _samples(lab: Lab, kind: str, count: int) -> Iterator[float]:
    for begin in range(0, count, BATCH):
        with daemon(lab):
            in_sync(lab)
            found = ask(lab, "healing", kind, min(BATCH, count - begin), PAUSE_S)
            yield from (one for some in found.values() for one in some)
