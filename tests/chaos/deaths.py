"""SIGKILL at every call that changes the outside, and at a sample of the others; then dmsfw is started again.

    python -m tests.chaos.deaths [--seed 1] [--others 40] [--only opening]

Each scenario is a world before, and a configuration. Each death: the world before is put back, dmsfw runs under
strace until it is killed, and the tables are looked at as it left them; then it runs again, undisturbed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from tests.chaos import scene, strace, tables, verdict
from tests.chaos.expected import Expected
from tests.chaos.strace import Place
from tests.chaos.tables import Tables
from tests.lab import Lab, LabError, Running
from tests.lab.process import child_of
from tests.lab.router import DMSFW_RUN_DIR

KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)
GIVES_BACK = "SET_ADD_COUNTERS"
"""The kernel hands out a table's counters when it is replaced and takes them back by a second call: a death between
the two loses them, as it does for every program that edits a table of iptables."""
KEPT_FILES = {"lock", "status.json", "dmsfw.prom"}
DAMAGE = """
    iptables -w -F DMSFW-FORWARD
    iptables -w -I INPUT -m comment --comment "dmsfw:0123456789ab smtps: stray" -j ACCEPT
    iptables -w -t nat -I POSTROUTING -j DMSFW-POSTROUTING
    ip6tables -w -D FORWARD -m comment --comment "dmsfw:56c07eb7bc33 networks of Docker" -j DMSFW-FORWARD
"""


@dataclass(frozen=True)
class Scenario:
    """What stands in the tables before, which configuration is to be enforced, and by which command."""

    name: str
    before: Tables
    config: str
    command: str = "apply"


@dataclass
class Result:
    """What became of a scenario's deaths."""

    scenario: str
    places: int = 0
    deaths: int = 0
    missed: int = 0
    counters_lost: int = 0
    """Deaths between the kernel's two calls of a commit: the second one gives the counters back."""
    problems: list[str] = field(default_factory=list)


def scenarios(lab: Lab) -> list[Scenario]:
    """Prepare the world: its networks stay as they are from here on."""
    lab.sh(scene.OWNERS)
    lab.configure(scene.OPEN)
    scene.networks(lab, 1)
    tables.write(lab, tables.read(lab))
    bare = tables.read(lab)
    lab.dmsfw("apply", check=True)
    outdated = tables.read(lab)
    scene.networks(lab, 2)
    lab.dmsfw("apply", check=True)
    in_sync = tables.read(lab)
    lab.sh(DAMAGE)
    damaged = tables.read(lab)
    return [
        Scenario("opening", bare, scene.OPEN),
        Scenario("exchange", outdated, scene.OPEN),
        Scenario("healing", damaged, scene.OPEN),
        Scenario("closing", in_sync, scene.SHUT),
        Scenario("run", outdated, scene.OPEN, "run"),
    ]


class Deaths:
    """One scenario in one lab."""

    def __init__(self, lab: Lab, scenario: Scenario, say: Callable[[str], None]) -> None:
        self.lab, self.scenario, self._say = lab, scenario, say
        self.trace = lab.folder / "log" / "trace"
        lab.configure(scenario.config)
        self.wanted: Expected = scene.wanted(lab, scenario.config)
        self.result = Result(scenario.name)
        self._reset()
        self._finish()
        self.after = tables.read(lab)

    def places(self, others: int | None, dice: random.Random) -> list[Place]:
        """Record one run and choose: every changing call, and so many others; None: only a few of both."""
        self._reset()
        self._run(strace.record(self.trace, scene.command(self.scenario.command)))
        changing, rest = strace.places(self.trace)
        return [*changing, *strace.sampled(rest, others or 0, dice)]

    def thread_places(self, count: int, dice: random.Random) -> list[Place]:
        """Record one run with all of its threads and children, and choose calls of any of them."""
        self._reset()
        for old in self.trace.parent.glob("trace.*"):
            old.unlink()
        self._run(strace.record_threads(self.trace, scene.command(self.scenario.command)))
        files = sorted(self.trace.parent.glob("trace.*"))
        chosen = ([*changing, *others] for changing, others in map(strace.places, dice.choices(files, k=count)))
        return [dice.choice(found) for found in chosen if found]

    def die_at(self, place: Place, *, threads: bool = False) -> None:
        """One death, and all that is asked afterwards."""
        self._reset()
        argv = strace.killing(place, scene.command(self.scenario.command), threads=threads)
        status = self._run(argv)
        self.result.places += 1
        died = status in KILLED
        self.result.deaths += died
        self.result.missed += not died
        problems = [*self._left_behind(place), *self._started_again()]
        self.result.problems += [f"{self.scenario.name}: at {place}: {problem}" for problem in problems]
        self._say(f"{self.scenario.name}: {'killed' if died else 'lived '} at {place} {problems or ''}")

    def _reset(self) -> None:
        self.lab.sh(f"rm -rf {DMSFW_RUN_DIR} /run/xtables.lock")
        tables.write(self.lab, self.scenario.before)

    def _run(self, argv: Sequence[str]) -> int:
        """Run dmsfw to its end, whatever that is; a daemon is asked to stop when it is in sync."""
        if self.scenario.command == "apply":
            return self.lab.run(argv, check=False, env=scene.environment()).returncode
        running = self.lab.popen(argv, name="dmsfw", env=scene.environment())
        try:
            self.lab.wait(lambda: running.returncode is not None or self._has_passed(), "a death, or the first pass")
            terminate(running)
            return running.wait()
        finally:
            if running.returncode is None:
                running.kill()

    def _has_passed(self) -> bool:
        return bool(json.loads(self.lab.path(scene.STATUS).read_text("utf-8"))["passes"])

    def _left_behind(self, place: Place) -> Iterator[str]:
        """What must hold at the moment of death already."""
        left = tables.read(self.lab)
        before = self.scenario.before
        yield from tables.differences(before.foreign, left.foreign)
        if counted(before) != counted(left):
            self.result.counters_lost += 1
            if GIVES_BACK not in place.shown:
                yield f"foreign counters: {counted(before)} became {counted(left)}"
        yield from (f"opened on the way: {line}" for line in verdict.strangers(before, left, self.after))
        known = verdict.untranslated(before)
        yield from (f"accepted, and not translated: {line}" for line in verdict.untranslated(left) - known)
        yield from self._files()
        status = self.lab.path(scene.STATUS)
        if status.exists() and not status.read_text("utf-8").endswith("}\n"):
            yield "status.json is not whole"

    def _files(self) -> Iterator[str]:
        """Temporary files are hidden, and made older than they are: the next start must sweep them."""
        folder = self.lab.path(DMSFW_RUN_DIR)
        for file in folder.iterdir() if folder.exists() else ():
            if file.name.startswith(".") and file.name.endswith(".tmp"):
                scene.age(file)
            elif file.name not in KEPT_FILES:
                yield f"a file is left: {file.name}"

    def _started_again(self) -> Iterator[str]:
        yield from self._finish()
        now = tables.read(self.lab)
        yield from verdict.faults(now, self.wanted)
        yield from tables.differences(self.scenario.before.foreign, now.foreign)
        names = {file.name for file in self.lab.path(DMSFW_RUN_DIR).iterdir()}
        yield from (f"a file is left after the next start: {name}" for name in sorted(names - KEPT_FILES))
        code = self.lab.dmsfw("plan").returncode
        if code:
            yield f"a second pass would change something: plan ends with {code}"

    def _finish(self) -> list[str]:
        """Run dmsfw undisturbed."""
        if self.scenario.command == "apply":
            done = self.lab.dmsfw("apply")
            status = self.lab.dmsfw("status", "--json")
            readable = status.returncode in (0, 1, 3) and json.loads(status.stdout)
            return [
                *([] if done.returncode == 0 else [f"the next apply: {done}"]),
                *([] if readable else [f"{status}"]),
            ]
        self.lab.path(scene.STATUS).unlink(missing_ok=True)
        running = self.lab.start_dmsfw()
        try:
            self.lab.wait(self._has_passed, "the next start's first pass")
            document = json.loads(self.lab.dmsfw("status", "--json").stdout)
        except LabError as error:
            return [f"the next start: {error}\n{running.log()}"]
        finally:
            running.stop()
        return (
            [] if document["state"] == "in sync" else [f"the next start is {document['state']}: {document['reasons']}"]
        )


def counted(found: Tables) -> list[str]:
    """The owner's rules with their counters, which no packet raises."""
    return [line for lines in found.counted.values() for line in lines if scene.OWNED in line]


def terminate(running: Running) -> None:
    """Send SIGTERM to the program below strace; strace itself would leave it alone."""
    program = child_of(running.pid)
    if program is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(program, signal.SIGTERM)


def report(results: Sequence[Result]) -> str:
    """Write what became of all of them as a table."""
    rows = [
        f"{r.scenario:<10} {r.places:>7} {r.deaths:>7} {r.missed:>7} {r.counters_lost:>8} {len(r.problems):>8}"
        for r in results
    ]
    return "\n".join(
        [f"{'scenario':<10} {'places':>7} {'deaths':>7} {'lived':>7} {'counters':>8} {'problems':>8}", *rows]
    )


def arguments() -> argparse.Namespace:
    """Return the command line, read."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.deaths", description="Kill dmsfw at every call.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--others", type=int, default=30, help="how many other calls, in each scenario")
    parser.add_argument("--threads", type=int, default=20, help="how many calls of any thread of the daemon")
    parser.add_argument("--only", help="one scenario")
    return parser.parse_args()


def main() -> int:
    """Kill at every place; return 1 when anything was not as promised."""
    options, results = arguments(), []
    print(f"seed {options.seed}")
    with scene.compiled(), Lab(internet=False) as lab:
        for scenario in scenarios(lab):
            if options.only not in (None, scenario.name):
                continue
            dice = random.Random(f"{options.seed} {scenario.name}")
            deaths = Deaths(lab, scenario, lambda line: print(line, flush=True))
            for place in deaths.places(options.others, dice):
                deaths.die_at(place)
            if scenario.command == "run":
                for place in deaths.thread_places(options.threads, dice):
                    deaths.die_at(place, threads=True)
            results.append(deaths.result)
    problems = [problem for result in results for problem in result.problems]
    print("\n".join([*problems, report(results)]))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
