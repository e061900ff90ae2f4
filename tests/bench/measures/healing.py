"""From the end of whoever wiped our rules until they stand there again."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.rows import Row
from tests.bench.stage import Stage, ask, daemon, in_sync, network
from tests.lab import Lab

PAUSE_S = 0.3
"""Between two wipings, and up to a second more: nobody who fights us."""

KINDS = {
    "locking": (200, "wiped by a writer that takes the lock -> repaired"),
    "firewall": (10, "`fw3 restart` -> repaired"),
    "lockless": (40, "wiped by a writer without the lock -> repaired"),
}


def measure(stage: Stage) -> Iterator[Row]:
    """Rows for each kind of writer, and for each writer that takes the lock."""
    with Lab(ipv6=False) as lab:
        network(lab, "bench")
        with daemon(lab):
            in_sync(lab)
            for kind, (count, what) in KINDS.items():
                stage.say(what)
                samples = ask(lab, "healing", kind, stage.count(count, least=4), PAUSE_S)
                yield Row.of(f"healing/{kind}", what, "ms", [one for some in samples.values() for one in some])
