"""Load: writers that edit chains of their own and say what must be in them, and networks that come and go."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from tests.chaos import tables
from tests.chaos.tables import Tables
from tests.lab import Lab, Running

WRITER = Path(__file__).with_name("inside") / "writer.py"
ENDLESS = 10**9
CHURN = """
while [ ! -e "$1" ]; do
    for n in 1 2 3 4; do docker network create --subnet 10.90.$n.0/24 dms-load-$n >/dev/null; done
    for n in 1 3; do docker network rm dms-load-$n >/dev/null; done
    docker network create --subnet 10.91.1.0/24 dms-load-1 >/dev/null
    for n in 4 2 1; do docker network rm dms-load-$n >/dev/null; done
done
echo done
"""


@dataclass
class Written:
    """What the writers did: edits, how many were refused and the first of these, and what is there that should not."""

    edits: int = 0
    problems: list[str] = field(default_factory=list)


class Load:
    """Writers and a churn of networks, for as long as the block lasts. `count`: edits of each writer, at most."""

    def __init__(self, lab: Lab, names: Sequence[str], seed: str, *, count: int = ENDLESS, churn: bool = True) -> None:
        self.lab, self._names, self._seed, self._count, self._with_churn = lab, names, seed, count, churn
        self._stop = lab.folder / "stop-load"
        self._writers: dict[str, Running] = {}
        self._churn: Running | None = None
        self.written = Written()

    def __enter__(self) -> Load:  # noqa: PYI034 - typing.Self is of Python 3.11
        """Start all of it."""
        self._stop.unlink(missing_ok=True)
        # The interpreter of the machine and no environment: a writer must not write bytecode or read our packages.
        python = [shutil.which("python3", path="/usr/bin:/usr/local/bin") or sys.executable, "-I", "-S"]
        for name in self._names:
            argv = [*python, str(WRITER), name, str(self._count), f"{self._seed} {name}", str(self._stop)]
            self._writers[name] = self.lab.popen(argv, name=f"writer-{name}")
        if self._with_churn:
            self._churn = self.lab.popen(["/bin/sh", "-c", CHURN, "sh", str(self._stop)], name="churn")
        for running in self._writers.values():
            running.wait_for("ready")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop all of it; kill what does not heed."""
        try:
            if kind is None:
                self.finish()
        finally:
            for running in self._all:
                running.kill()

    @property
    def _all(self) -> list[Running]:
        return [*self._writers.values(), *([self._churn] if self._churn else [])]

    @property
    def busy(self) -> bool:
        """Whether a writer has edits left."""
        return any(running.returncode is None for running in self._writers.values())

    def finish(self) -> Written:
        """Tell all to stop, wait, and compare the writers' chains with what they acknowledged."""
        if not self.written.edits:
            self._stop.touch()
            for running in self._all:
                running.wait()
            found = tables.read(self.lab)
            for name, running in self._writers.items():
                self._judge(name, json.loads(running.log().splitlines()[-1]), found)
        return self.written

    def _judge(self, name: str, said: dict[str, object], found: Tables) -> None:
        self.written.edits += int(str(said["edits"]))
        refused, rules = said["refused"], said["rules"]
        assert isinstance(refused, list)
        assert isinstance(rules, dict)
        self.written.problems += [f"writer {name}: refused: {line}" for line in refused]
        for table, should in rules.items():
            chain = f"writer-{name}"
            there = [line.removeprefix(f"-A {chain} ") for line in found.rules((4, table), chain)]
            if there != should:
                lost, come = [r for r in should if r not in there], [r for r in there if r not in should]
                self.written.problems.append(f"writer {name}: {table}: lost {lost}, not its own {come}")

    def remove(self) -> None:
        """Take the writers' chains away."""
        for name in self._names:
            self.lab.sh(
                f"for t in filter nat; do iptables -w -t $t -F writer-{name}; iptables -w -t $t -X writer-{name}; done"
            )
