"""Wipes our rules again and again, as others do, and stamps how long after the writer's end they stand there again.

Usage: healing.py KIND COUNT PAUSE_S
    locking    four writers by turns that take the lock: one that flushes our filter chain, one our nat chain, one that
               loads the filter table anew without us, one the nat table
    lockless   the same, with the lock of another file
    firewall   `fw3 restart`, whose last act is to write its state file
Prints samples in milliseconds by writer.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from tests.bench.inside.kernel import Table, until

TABLES = {"filter": Table("filter"), "nat": Table("nat")}
ELSEWHERE = {"XTABLES_LOCKFILE": "/run/another.lock"}
STATE = Path("/run/fw3.state")
SETTLE_S = 3.0

Sizes = tuple[tuple[int, int], ...]


def sizes() -> Sizes:
    """The sizes of both tables."""
    return tuple(table.sizes() for table in TABLES.values())


def foreign(table: str) -> str:
    """A table as it would be loaded by somebody who does not know us."""
    lines = subprocess.run(["iptables-save", "-t", table], check=True, capture_output=True, text=True).stdout
    return "".join(line + "\n" for line in lines.splitlines() if "DMSFW" not in line and "dmsfw:" not in line)


def run(command: list[str], environment: dict[str, str], text: str = "") -> None:
    """Run a writer to its end."""
    subprocess.run(command, input=text, text=True, check=True, env=os.environ | environment)


def writers(environment: dict[str, str]) -> dict[str, Callable[[], None]]:
    """Those who wipe one table or one chain."""
    own = {"filter": "DMSFW-FORWARD", "nat": "DMSFW-POSTROUTING"}
    texts = {table: foreign(table) for table in own}
    flush = {f"{t} chain": lambda t=t: run(["iptables", "-w", "-t", t, "-F", own[t]], environment) for t in own}
    load = {f"{t} table": lambda t=t: run(["iptables-restore", "-w"], environment, texts[t]) for t in own}
    return flush | load  # type: ignore[return-value]


def restart() -> None:
    """Restart the firewall; return at its last act. The process is collected by the next one."""
    before = written()
    subprocess.Popen(["fw3", "restart"])
    until(lambda: written() not in {before, 0})


def written() -> int:
    """When the state file was written; 0 while there is none, or only its beginning."""
    try:
        found = STATE.stat()
    except FileNotFoundError:
        return 0
    return found.st_mtime_ns if found.st_size else 0


def measure(writer: Callable[[], None], whole: Sizes) -> float:
    """Wipe; return the milliseconds from the writer's end until all stands there again."""
    writer()
    began = time.perf_counter()
    return (until(lambda: sizes() == whole) - began) * 1000


def main() -> None:
    """Measure."""
    kind, count, pause = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    if kind == "firewall":
        chosen: dict[str, Callable[[], None]] = {"firewall": restart}
    else:
        chosen = writers(ELSEWHERE if kind == "lockless" else {})
    samples: dict[str, list[float]] = defaultdict(list)
    names, chance = list(chosen), random.Random(465)
    time.sleep(SETTLE_S)
    whole = sizes()
    for number in range(count):
        # Not in step with the daemon's own looks, which come once a second.
        time.sleep(pause + chance.random())
        name = names[number % len(names)]
        samples[name].append(measure(chosen[name], whole))
    print(json.dumps(samples))


if __name__ == "__main__":
    main()
