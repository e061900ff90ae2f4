"""From the start of the interpreter to "in sync", with one network that is selected."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from tests.bench.rows import Row
from tests.bench.stage import CONFIG, STATUS_FILE, Stage, ask, network
from tests.lab import Lab

COMMAND = (sys.executable, "-m", "dmsfw", "--config", "/etc/config/dmsfw", "--run-dir", "/run/dmsfw", "run")
WHAT = {
    "rules": "start -> rules in the kernel (interpreter start included)",
    "sync": "start -> in sync (interpreter start included)",
    "stop": "SIGTERM -> ended",
}


def measure(stage: Stage) -> Iterator[Row]:
    """Rows of starts and ends."""
    with Lab() as lab:
        lab.configure(CONFIG.read_text("utf-8"))
        network(lab, "bench")
        samples = ask(lab, "start", stage.count(30), lab.network("bench").bridge, STATUS_FILE, *COMMAND)
    for name, what in WHAT.items():
        yield Row.of(f"start/{name}", what, "ms", samples[name])
