"""What the daemon costs while nothing happens, and while a container restarts again and again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.bench.rows import Row
from tests.bench.stage import Stage, daemon, in_sync, network, settle
from tests.lab import Lab, Running
from tests.lab.engine import IMAGE

SETTLE_S = 5.0
HERTZ = 100
"""Ticks a second of /proc/PID/stat (USER_HZ)."""

CUTIME, CSTIME = 13, 14
"""Fields of /proc/PID/stat behind the program's name: what ended children used."""


@dataclass(frozen=True, slots=True)
class Use:
    """What a process has used so far: seconds of a core by itself and by its ended children, and wake-ups."""

    own_s: float
    children_s: float
    wakes: int

    @staticmethod
    def of(pid: int) -> Use:
        """Sum over its threads: schedstat counts nanoseconds, where stat has ticks of 10 ms."""
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        own = sum(int((task / "schedstat").read_text("ascii").split()[0]) for task in tasks)
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(") ")[2].split()
        children = int(fields[CUTIME]) + int(fields[CSTIME])
        return Use(own / 1e9, children / HERTZ, sum(map(_wakes, tasks)))


def _wakes(task: Path) -> int:
    lines = (task / "status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))


def watched(running: Running, seconds: float) -> tuple[float, float]:
    """Watch for so long; return percent of a core, ended children included, and wake-ups a second."""
    before, began = Use.of(running.pid), time.monotonic()
    time.sleep(seconds)
    after, took = Use.of(running.pid), time.monotonic() - began
    used = after.own_s - before.own_s + after.children_s - before.children_s
    return used / took * 100, (after.wakes - before.wakes) / took


def measure(stage: Stage) -> Iterator[Row]:
    """Rows of a quiet minute, and of a restless one."""
    seconds = stage.seconds(60)
    with Lab() as lab:
        network(lab, "bench")
        with daemon(lab) as running:
            in_sync(lab)
            settle(SETTLE_S)
            stage.say(f"idle for {seconds:.0f} s")
            cpu, wakes = watched(running, seconds)
            yield Row.of("idle/cpu", "idle: processor", "% of a core", [cpu])
            yield Row.of("idle/wakes", "idle: wake-ups, all threads", "a second", [wakes])
            yield from _restless(stage, lab, running, seconds)


def _restless(stage: Stage, lab: Lab, running: Running, seconds: float) -> Iterator[Row]:
    stage.say(f"a container in a restart loop for {seconds:.0f} s")
    lab.docker("run", "-d", "--name", "restless", "--network", "bench", "--restart", "always", IMAGE, "true")
    cpu, wakes = watched(running, seconds)
    count = lab.docker("inspect", "-f", "{{.RestartCount}}", "restless").stdout.strip()
    lab.docker("rm", "-f", "restless")
    note = f"{count} restarts: Docker waits ever longer between them"
    yield Row.of("idle/loop cpu", "a container in a restart loop: processor", "% of a core", [cpu], note=note)
    yield Row.of("idle/loop wakes", "a container in a restart loop: wake-ups", "a second", [wakes], note=note)
    stage.say(f"a container that is restarted once a second for {seconds / 2:.0f} s")
    lab.docker("run", "-d", "--name", "restless", "--network", "bench", IMAGE, "sleep", "infinity")
    loop = lab.popen(["/bin/sh", "-c", "while sleep 0.7; do docker restart -t 0 restless; done"], name="restarts")
    cpu, _ = watched(running, seconds / 2)
    loop.kill()
    yield Row.of("idle/storm cpu", "a container restarted about once a second: processor", "% of a core", [cpu])
