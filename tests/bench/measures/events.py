"""From Docker's event to the rule in the kernel: dmsfw, and what a user would have instead, by turns in one lab."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from tests.bench.rows import Row
from tests.bench.stage import SOCKET, Stage, ask, daemon, settle
from tests.lab import Lab, Running, paths

RIVAL = paths.ROOT / "tests" / "bench" / "inside" / "rival.sh"
TURNS = 2
"""Each contender has so many turns, so that what else the machine does befalls all of them."""

PAUSE_S = 0.4
"""Between two networks; one at a time, as Compose makes them."""

WHAT = {
    "dmsfw": "event -> rules: dmsfw",
    "loop": "event -> rules: shell script, run by a loop over `docker events`",
    "called": "event -> rules: shell script, called when `network create` returns",
}

Samples = dict[str, list[float]]


@contextmanager
def rival_loop(lab: Lab) -> Iterator[Running]:
    """The script in its event loop, listening; its rules are wiped afterwards."""
    running = lab.popen(["/bin/sh", RIVAL, "loop", lab.wan.device], name="rival")
    settle()
    try:
        yield running
    finally:
        running.kill()
        lab.firewall.restart()


def measure(stage: Stage) -> Iterator[Row]:
    """Rows for each contender, and how many times slower than dmsfw each is."""
    found: dict[str, Samples] = {who: defaultdict(list) for who in WHAT}
    with Lab() as lab:
        for turn in range(TURNS):
            for who in WHAT:
                stage.say(f"turn {turn + 1} of {TURNS}: {who}")
                taken = _turn(lab, who, stage.count(100 if who == "dmsfw" else 30) // TURNS)
                for name, samples in taken.items():
                    found[who][name] += samples
                found[who]["first"].append(taken["both"][0])
    for who, what in WHAT.items():
        yield Row.of(f"events/{who}", what, "ms", found[who]["both"])
    what = "event -> rules: dmsfw, the first event in a daemon's life (counted above as well)"
    yield Row.of("events/first", what, "ms", found["dmsfw"]["first"])
    yield Row.of("events/gone", "a network's end -> no rule of it: dmsfw", "ms", found["dmsfw"]["gone"])
    yield from _ratios(found)


def _turn(lab: Lab, who: str, count: int) -> Samples:
    contenders: dict[str, AbstractContextManager[object]] = {
        "dmsfw": daemon(lab),
        "loop": rival_loop(lab),
        "called": nullcontext(),
    }
    command = ["/bin/sh", RIVAL, "once", lab.wan.device] if who == "called" else []
    with contenders[who]:
        if who == "dmsfw":
            settle()
        rounds = ask(lab, "events", SOCKET, count, PAUSE_S, "gone" if who == "dmsfw" else "stay", *command)
    lab.firewall.restart()
    return {name: [one[name] for one in rounds] for name in rounds[0]}


def _ratios(found: dict[str, Samples]) -> Iterator[Row]:
    ours = Row.of("", "", "", found["dmsfw"]["both"])
    for who in ("loop", "called"):
        theirs = Row.of("", "", "", found[who]["both"])
        what = f"the script's median as a multiple of dmsfw's ({who})"
        yield Row.of(f"events/{who} ratio", what, "times", [theirs.p50 / ours.p50], better="more")
