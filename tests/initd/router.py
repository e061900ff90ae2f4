"""The init script under busybox ash, with stand-ins of all that it calls; no root and no namespaces needed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

from tests.lab import paths
from tests.lab.wait import wait

STANDINS = paths.ROOT / "tests" / "initd" / "standins"
INITD = paths.ROOT / "init.d"
CONFIG = "config dmsfw 'main'\n\toption enabled '{enabled}'\n"
TIMEOUT_S = 30


class Router:
    """What procd, uci and the log of one router remember, in a folder of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        self.config = folder / "config"
        self.tables = folder / "tables"
        self.state.mkdir()
        self.config.mkdir()
        self.tables.write_text("nat\nfilter\n")
        self.set_enabled("1")

    @property
    def environment(self) -> dict[str, str]:
        """What the stand-ins are told."""
        return {
            "PATH": os.environ["PATH"],
            "STANDINS": str(STANDINS),
            "STANDIN_STATE": str(self.state),
            "STANDIN_PROG": str(STANDINS / "dmsfw"),
            "STANDIN_TABLES": str(self.tables),
            "UCI_CONFIG_DIR": str(self.config),
        }

    def set_enabled(self, value: str) -> None:
        """Write option `enabled`."""
        (self.config / "dmsfw").write_text(CONFIG.format(enabled=value))

    def ash(self, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run busybox ash to its end."""
        return subprocess.run(
            [paths.program("busybox"), "ash", *arguments],
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )

    def initd(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the init script: `initd("start")` is `/etc/init.d/dmsfw start`."""
        return self.ash(STANDINS / "rc.common", INITD / "dmsfw", *arguments, **environment)

    def calls(self, *beginnings: str) -> list[str]:
        """Return what was called, all or what begins so; in order."""
        record = self.state / "calls"
        lines = record.read_text().splitlines() if record.exists() else []
        return [line for line in lines if not beginnings or line.startswith(beginnings)]

    def forget(self) -> None:
        """Begin a new record."""
        (self.state / "calls").unlink(missing_ok=True)

    def running(self) -> int | None:
        """Return the daemon's process id, None where none runs."""
        with contextlib.suppress(FileNotFoundError, ValueError):
            return int((self.state / "daemon").read_text())
        return None

    def start(self) -> int:
        """Start it, wait until it is ready, forget how that was done, return its process id."""
        assert self.initd("start").returncode == 0
        pid = wait(self.running, "the daemon")
        wait(lambda: "dmsfw run" in self.calls(), "the daemon's first word")
        self.forget()
        return pid

    def end(self) -> None:
        """Kill what still runs: what procd began may not have said so itself yet."""
        for name in ("pid", "daemon"):
            with contextlib.suppress(FileNotFoundError, ValueError):
                _kill(int((self.state / name).read_text()))


def _kill(pid: int) -> None:
    """Kill a process and its session; one that has not begun its session yet is killed alone."""
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError):
            kill(pid, signal.SIGKILL)
