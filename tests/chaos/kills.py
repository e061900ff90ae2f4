"""SIGKILL at random moments, while networks come and go and writers write.

    python -m tests.chaos.kills [--count 1000] [--seed 1]

After each kill: nothing accepted that is not translated, no half file. After each round the load stops, dmsfw starts
once more, and the tables must be what they must, with every foreign edit in them.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.chaos import scene, tables, verdict
from tests.chaos.load import Load
from tests.lab import Lab, LabError
from tests.lab.router import DMSFW_RUN_DIR

ROUND = 25
"""Kills between two looks at everything."""
LIFE_S = (0.05, 1.6)
"""How long a daemon lives: from before its imports to well behind its first passes."""
WRITERS = ("a", "b")


@dataclass
class Tally:
    """What has been done and found, and how long the starts after a round took to be in sync."""

    kills: int = 0
    in_pass: int = 0
    edits: int = 0
    slowest_s: float = 0.0
    problems: list[str] = field(default_factory=list)


class Kills:
    """Rounds of kills in one lab."""

    def __init__(self, lab: Lab, seed: int, say: Callable[[str], None]) -> None:
        self.lab, self._seed, self._say = lab, seed, say
        self._dice = random.Random(seed)
        self.tally = Tally()
        lab.sh(scene.OWNERS)
        lab.configure(scene.OPEN)
        scene.networks(lab, 1)
        lab.dmsfw("clean", check=True)
        self._foreign = tables.read(lab).foreign

    def round(self, number: int, kills: int) -> None:
        """Kill so many times under load, then look at everything."""
        load = Load(self.lab, WRITERS, f"{self._seed} {number}")
        with load:
            for _ in range(kills):
                self._kill()
        self.tally.edits += load.written.edits
        self._note(load.written.problems, number)
        load.remove()
        self._note(self._start_again(), number)
        self._say(f"round {number}: {self.tally.kills} kills, {self.tally.edits} foreign edits")

    def _note(self, found: list[str], number: int) -> None:
        self.tally.problems += [f"round {number}: {problem}" for problem in found]
        for problem in found:
            self._say(problem)

    def _kill(self) -> None:
        running = self.lab.start_dmsfw()
        time.sleep(self._dice.uniform(*LIFE_S))
        if running.returncode is not None:
            self._note([f"it ended by itself: {running.returncode} {running.log()[-2000:]}"], -1)
        running.kill()
        self.tally.kills += 1
        self.tally.in_pass += "started version=" not in running.log()
        self._note([*self._left_behind()], self.tally.kills)

    def _left_behind(self) -> Iterator[str]:
        left = tables.read(self.lab)
        yield from (f"accepted, and not translated: {line}" for line in verdict.untranslated(left))
        folder = self.lab.path(DMSFW_RUN_DIR)
        if not folder.exists():
            return
        for file in folder.iterdir():
            if file.name.startswith("."):
                scene.age(file)
            elif file.suffix == ".json":
                json.loads(file.read_text("utf-8"))

    def _start_again(self) -> list[str]:
        """Start once more with nobody about, and judge."""
        wanted = scene.wanted(self.lab, scene.OPEN)
        began = time.monotonic()
        running = self.lab.start_dmsfw()
        try:
            self.lab.wait(lambda: not verdict.faults(tables.read(self.lab), wanted), "the tables to be in sync")
            self.tally.slowest_s = max(self.tally.slowest_s, time.monotonic() - began)
            self.lab.wait(
                lambda: json.loads(self.lab.path(scene.STATUS).read_text())["state"] == "in sync", "the status"
            )
        except LabError as error:
            return [str(error), *verdict.faults(tables.read(self.lab), wanted), running.log()[-2000:]]
        finally:
            running.stop()
        now = tables.read(self.lab)
        hidden = [file.name for file in self.lab.path(DMSFW_RUN_DIR).iterdir() if file.name.startswith(".")]
        again = self.lab.dmsfw("plan")
        return [
            *verdict.faults(now, wanted),
            *tables.differences(self._foreign, now.foreign),
            *(f"a file is left: {name}" for name in hidden),
            *([f"a second pass would change something: {again.stdout}"] if again.returncode else []),
        ]


def arguments() -> argparse.Namespace:
    """Return the command line, read."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.kills", description="Kill dmsfw at random moments.")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def main() -> int:
    """Kill so many times; return 1 when anything was not as promised."""
    options = arguments()
    print(f"seed {options.seed}", flush=True)
    with scene.compiled(), Lab(internet=False) as lab:
        kills = Kills(lab, options.seed, lambda line: print(line, flush=True))
        for number, begin in enumerate(range(0, options.count, ROUND)):
            kills.round(number, min(ROUND, options.count - begin))
    tally = kills.tally
    print("\n".join(tally.problems))
    print(
        f"{tally.kills} kills, {tally.in_pass} of them before the first pass was told; {tally.edits} foreign edits; "
        f"slowest start in sync after {tally.slowest_s:.2f} s; {len(tally.problems)} problems"
    )
    return 1 if tally.problems else 0


if __name__ == "__main__":
    sys.exit(main())
