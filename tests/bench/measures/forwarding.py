"""What established traffic of the LAN pays for our rules: packets a second through the router, by turns.

A datagram's way from the LAN's sender through the router to the provider runs inside the sender's system call, so the
sender's own time on a processor tells the cost of a packet, and what else the machine does stays out of it. Each round
measures every size once, and the bare tables twice: the difference between those two is the noise.
"""

from __future__ import annotations

import json
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from statistics import median
from typing import Any

from tests.bench.rows import Row
from tests.bench.stage import ENVIRONMENT, Stage, children, program
from tests.lab import SERVER, Router, Running

PORT = 7
SIZES = (0, 2, 30, 500)
SLICE_S = 0.3
PIPES = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "env": ENVIRONMENT}
BASE, AGAIN = "0", "0 again"


def measure(stage: Stage) -> Iterator[Row]:
    """Rows of packets a second, of the loss against the bare tables, and of the noise."""
    rates: dict[str, list[float]] = defaultdict(list)
    with Router(internet=False, ipv6=False) as router:
        children(router, program("sink", SERVER, PORT), netns="isp", name="sink", **PIPES)
        flood = children(router, program("flood", SERVER, PORT), netns="lan", name="flood", **PIPES)
        rules = children(router, program("rules"), name="rules", **PIPES)
        spoken(flood, "1")
        for number in range(stage.count(60, least=5)):
            if number % 20 == 0:
                stage.say(f"round {number + 1}")
            for size in [*map(str, SIZES), AGAIN]:
                spoken(rules, size.split()[0])
                rates[size].append(rate(json.loads(spoken(flood, str(SLICE_S)))))
    yield from _rows(rates)


def spoken(running: Running, line: str) -> str:
    """Say a line to a program and return its answer."""
    stdin, stdout = running.outer.stdin, running.outer.stdout
    assert stdin is not None
    assert stdout is not None
    stdin.write(line + "\n")
    stdin.flush()
    return stdout.readline()


def rate(found: dict[str, Any]) -> float:
    """Packets for each second of the sender's time."""
    return float(found["sent"] / found["cpu_s"])


def _rows(rates: dict[str, list[float]]) -> Iterator[Row]:
    for size in SIZES:
        what = f"established LAN traffic, {size} selected networks"
        yield Row.of(f"forwarding/{size} rate", what, "packets/s", rates[str(size)], better="more")
    for size in [*map(str, SIZES[1:]), AGAIN]:
        what = f"loss with {size} selected networks" if size != AGAIN else "noise: the bare tables against themselves"
        note = f"half of the rounds within {spread(rates, size):.1f} % of it"
        yield Row.of(f"forwarding/{size} loss", what, "%", [loss(rates, size)], better="", note=note)


def losses(rates: dict[str, list[float]], size: str) -> list[float]:
    """The loss in each round, against the bare tables of the same round, in percent."""
    bare = [(one + other) / 2 for one, other in zip(rates[BASE], rates[AGAIN], strict=True)]
    if size == AGAIN:
        bare = rates[BASE]
    return [(1 - found / before) * 100 for found, before in zip(rates[size], bare, strict=True)]


def loss(rates: dict[str, list[float]], size: str) -> float:
    """The median over the rounds."""
    return median(losses(rates, size))


def spread(rates: dict[str, list[float]], size: str) -> float:
    """The median distance of a round's loss from the median loss."""
    middle = loss(rates, size)
    return median(abs(one - middle) for one in losses(rates, size))
