"""What the measures share: the lab, the daemon in it, programs inside, and how much is to be measured."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab import Lab, LabError, Router, Running, paths

CONFIG = paths.ROOT / "init.d" / "files" / "dmsfw.config"
LABEL = "com.docker.compose.network=dms-network"
"""What the configuration as shipped selects."""

STATUS_FILE = "/run/dmsfw/status.json"
SOCKET = "/run/docker.sock"
ENVIRONMENT = {"PYTHONPATH": f"{paths.ROOT / 'daemon'}:{paths.ROOT}"}
LONG_S = 1800.0
"""No program inside takes so long."""

QUICK = 10
"""A quick run takes one sample where a full one takes so many."""


@dataclass(frozen=True, slots=True)
class Stage:
    """How much is measured, and who is told of the progress."""

    quick: bool = False
    say: Callable[[str], None] = print

    def count(self, full: int, least: int = 3) -> int:
        """How many samples to take where a full run takes `full`."""
        return max(least, full // QUICK) if self.quick else full

    def seconds(self, full: float) -> float:
        """How long to look where a full run looks for `full` seconds."""
        return max(3.0, full / QUICK) if self.quick else full


def program(name: str, *arguments: object) -> list[str]:
    """The command for a program of inside/, which runs in the router."""
    return [sys.executable, "-m", f"tests.bench.inside.{name}", *map(str, arguments)]


def ask(router: Router, name: str, *arguments: object, netns: str | None = None) -> Any:
    """Run a program of inside/ to its end and return what it measured. Raises: LabError."""
    done = router.run(program(name, *arguments), env=ENVIRONMENT, timeout=LONG_S, netns=netns)
    return json.loads(done.stdout.splitlines()[-1])


def status(router: Router) -> dict[str, Any]:
    """The status document; empty while there is none."""
    try:
        found: dict[str, Any] = json.loads(router.path(STATUS_FILE).read_text("utf-8"))
    except OSError:
        return {}
    return found


@contextmanager
def daemon(router: Router, config: str | None = None) -> Iterator[Running]:
    """The daemon in the router, passed once; afterwards it has ended, and its rules with it."""
    router.path(STATUS_FILE).unlink(missing_ok=True)
    running = router.start_dmsfw(config or CONFIG.read_text("utf-8"))
    try:
        running.wait_for("started version=")
        router.wait(lambda: status(router).get("passes"), "the first pass")
        yield running
    finally:
        running.stop()
        router.dmsfw("clean", check=True)


def in_sync(router: Router) -> None:
    """Wait for the daemon to say so. Raises: NotYet."""
    router.wait(lambda: status(router).get("state") == "in sync", "the daemon to be in sync")


def settle(seconds: float = 1.0) -> None:
    """Let what a step has stirred up come to rest: the pace's bucket is full again."""
    time.sleep(seconds)


def network(lab: Lab, name: str, *options: str) -> None:
    """Make a network that the configuration as shipped selects."""
    lab.docker("network", "create", "--label", LABEL, *options, name)


def compose(lab: Lab, file: Path, *words: str, check: bool = True) -> str:
    """Run Compose on a file and return what it printed."""
    return lab.run(["docker-compose", "-f", file, *words], check=check).stdout


def children(lab: Lab, argv: Sequence[str | Path], **options: Any) -> Running:
    """Start a program that is spoken to by lines: "ready" is its first."""
    running = lab.popen(argv, **options)
    line = running.outer.stdout.readline() if running.outer.stdout else ""
    if line.strip() != "ready":
        raise LabError(f"{running.what} did not start: {line!r}")
    return running
