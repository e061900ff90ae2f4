"""Memory: the daemon's with few and with many networks, and how it grows over many passes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.bench.rows import Row
from tests.bench.stage import Stage, ask, daemon, in_sync, network, settle, status
from tests.lab import Lab, Running

NETWORKS = (1, 50)
SETTLE_S = 3.0
PROCESSES = 2
"""Runs of many passes: where memory is taken from the kernel differs by chance."""

KB = 1024


def resident_mb(running: Running) -> float:
    """What a process has of memory (proc(5))."""
    lines = Path(f"/proc/{running.pid}/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / KB


def measure(stage: Stage) -> Iterator[Row]:
    """Rows of resident memory, and of its growth."""
    with Lab() as lab:
        made = 0
        for networks in NETWORKS:
            for number in range(made, networks):
                network(lab, f"bench-{number}", "--subnet", f"10.64.{number}.0/24")
            made = networks
            stage.say(f"{networks} networks")
            with daemon(lab) as running:
                in_sync(lab)
                settle(SETTLE_S)
                note = f"{status(lab)['passes']} passes"
                what = f"resident memory with {networks} networks"
                yield Row.of(f"memory/{networks}", what, "MB", [resident_mb(running)], note=note)
        passes = stage.count(20_000)
        looks = []
        for number in range(PROCESSES):
            stage.say(f"{passes} passes, process {number + 1} of {PROCESSES}")
            looks.append(ask(lab, "growth", passes, f"/run/growth{number}"))
    what = f"growth of resident memory over {passes:,} passes"
    grown = [(look[-1] - look[0]) / KB for look in looks]
    yield Row.of("memory/growth", what, "MB", grown, better="", note="; ".join(map(_course, looks)))


def _course(look: list[int]) -> str:
    """How a process grew: after a tenth of the passes, then with each quarter, in MB."""
    return " -> ".join(f"{kb / KB:.1f}" for kb in look)
