"""Runs the daemon's loop for many passes, with Docker read for each, and looks at the memory of this process.

Usage: growth.py PASSES RUN_DIR
Time runs as fast as the passes do: each turn of the loop is one second of its clock. Every tenth pass finds one network
changed. Prints resident KB after a tenth of the passes, when all is warm, and after each quarter; a leak grows by each.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from dmsfw.chronicle import Chronicle
from dmsfw.daemon import Daemon
from dmsfw.enforce import Iptables
from dmsfw.model import Detour, Settings, Snapshot
from dmsfw.observe.docker import DockerReader
from dmsfw.observe.world import SourceHealth
from dmsfw.report import log
from dmsfw.wake import Wake
from tests.bench.inside.world import SETTINGS, World, worlds

CHANGE_EVERY = 10
LOOKS = (0.1, 0.25, 0.5, 0.75, 1.0)
NETWORKS = 10
URL = "unix:///run/docker.sock"


class Restless:
    """A world whose last network comes and goes, and that asks Docker each time. Observed by nobody else."""

    def __init__(self) -> None:
        self._docker = DockerReader(lambda: URL)
        self._whole, self._passes = worlds(NETWORKS), 0

    def snapshot(self) -> Snapshot:
        """The networks of this pass."""
        self._docker.networks()
        self._passes += 1
        fewer = self._passes // CHANGE_EVERY % 2
        world: World = self._whole.without_last() if fewer else self._whole
        return world.snapshot()

    def start(self) -> None:
        """Nothing to start."""

    def stop(self) -> None:
        """Nothing to stop."""

    def reconfigure(self, settings: Settings) -> None:
        """The settings stay."""

    def poke_all(self, trigger: str) -> None:
        """All is read for each pass anyhow."""

    def health(self) -> tuple[SourceHealth, ...]:
        """All is well."""
        return ()

    def detours(self) -> tuple[Detour, ...]:
        """There are none."""
        return ()


class Clock:
    """Seconds that pass whenever they are asked for."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """A third of a second later each time: a turn asks about three times."""
        self.now += 0.34
        return self.now


def resident_kb() -> int:
    """What this process has of memory (proc(5))."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def main() -> None:
    """Run and look."""
    passes, run_dir = int(sys.argv[1]), Path(sys.argv[2])
    run_dir.mkdir(exist_ok=True)
    log.configure("error", "text")
    wake = Wake()
    daemon = Daemon(
        config=run_dir / "no-config",
        settings=SETTINGS,
        world=Restless(),
        enforcer=Iptables.of_this_host(),
        wake=wake,
        chronicle=Chronicle(run_dir),
        clock=Clock(),
    )
    found = []
    for part in LOOKS:
        while done(run_dir) < passes * part:
            for _ in range(max(1, passes // 100)):
                wake.set("docker")
                daemon.turn()
        found.append(resident_kb())
    print(json.dumps(found))


def done(run_dir: Path) -> int:
    """The passes of which the status tells."""
    try:
        return int(json.loads((run_dir / "status.json").read_text("utf-8"))["passes"])
    except FileNotFoundError:
        return 0


if __name__ == "__main__":
    main()
