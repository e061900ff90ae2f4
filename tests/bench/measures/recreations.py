"""Compose recreates the network again and again, and the container's first act is to connect to port 465."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeVar

from tests.bench.measures.events import RIVAL, rival_loop
from tests.bench.rows import Row
from tests.bench.stage import Stage, compose, daemon
from tests.lab import Lab, paths

FILE = paths.ROOT / "tests" / "bench" / "compose" / "first-act.yml"
GREETING = "220 465 "
T = TypeVar("T")


@dataclass(slots=True)
class Tally:
    """What came of the connections."""

    tries: int = 0
    refused: int = 0
    retried: int = 0
    seconds: float = 0.0

    def add(self, printed: str) -> None:
        """Count one container's output."""
        self.tries += 1
        self.refused += GREETING not in printed
        self.retried += retransmitted(printed) > 0


def retransmitted(printed: str) -> int:
    """TCP segments that were sent again, of /proc/net/snmp's two lines about TCP (names and values)."""
    names, values = (line.rpartition("Tcp: ")[2].split() for line in printed.splitlines() if "Tcp: " in line)
    return int(values[names.index("RetransSegs")])


def recreate(lab: Lab, count: int) -> Tally:
    """Let Compose make and remove everything `count` times."""
    tally, began = Tally(), time.monotonic()
    for _ in range(count):
        tally.add(compose(lab, FILE, "up", "--abort-on-container-exit"))
        compose(lab, FILE, "down", "-t", "0")
    tally.seconds = time.monotonic() - began
    return tally


def measure(stage: Stage) -> Iterator[Row]:
    """Rows of what was refused and what was retried, for dmsfw and its rivals."""
    with Lab(ipv6=False) as lab:
        yield from _rows("dmsfw", "dmsfw", _beside(daemon(lab), lab, stage.count(200)))
        stage.say("the script in its loop")
        yield from _rows("loop", "shell script in a loop", _beside(rival_loop(lab), lab, stage.count(30)))
        stage.say("the script at the firewall's start only")
        lab.run(["/bin/sh", RIVAL, "once", lab.wan.device])
        yield from _rows("start", "shell script at the firewall's start", recreate(lab, stage.count(10)))


def _beside(contender: AbstractContextManager[object], lab: Lab, count: int) -> Tally:
    with contender:
        return recreate(lab, count)


def _rows(who: str, name: str, tally: Tally) -> Iterator[Row]:
    note = f"{tally.tries} recreations in {tally.seconds:.0f} s"
    yield Row.of(f"recreations/{who} refused", f"first connections refused: {name}", "", [tally.refused], note=note)
    yield Row.of(f"recreations/{who} retried", f"first connections retried: {name}", "", [tally.retried], note=note)
