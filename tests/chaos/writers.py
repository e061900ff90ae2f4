"""dmsfw beside writers that edit the same tables, and beside one that does not let go of the lock.

python -m tests.chaos.writers [--edits 100000] [--writers 4] [--rules 10000] [--held 30] [--seed 1]
"""

from __future__ import annotations

import argparse
import contextlib
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos import scene, tables, verdict
from tests.chaos.deaths import terminate
from tests.chaos.faults.firewall import HOLD
from tests.chaos.holds import holds, watched
from tests.chaos.load import Load
from tests.lab import SERVER, Lab, Running

FLOOD = Path(__file__).with_name("inside") / "flood.py"
FLOOD_PORT, FLOOD_SOCKETS = 9999, 64
COUNTED = re.compile(rf"^\[(\d+):\d+\] -A (\w+) .*--dport {FLOOD_PORT} ")
COUNTERS = f"""
    iptables -w -t raw -I PREROUTING -i eth-lan -p udp --dport {FLOOD_PORT} -j RETURN
    iptables -w -I FORWARD -i eth-lan -p udp --dport {FLOOD_PORT} -j ACCEPT
    iptables -w -t nat -I POSTROUTING -o pppoe-wan -p udp --dport {FLOOD_PORT} -j MASQUERADE
"""
"""Rules in the tables that everybody edits, beside one in a table that nobody does: they count the same packets. The
nat table is asked once for each flow, and each socket is one."""
WAITING = "waiting for the xtables lock"
HELD_MOST_S = 0.05
"""Seconds that the lock may be held among 10,000 foreign rules. Judged at length only, on a machine that is quiet."""
PYTHON = ["python3", "-I", "-S"]


@dataclass
class Result:
    """What was measured, in words, and what was not as promised."""

    figures: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@contextlib.contextmanager
def daemon(lab: Lab, *prefix: str) -> Iterator[Running]:
    """Run dmsfw for as long as the block lasts."""
    running = lab.popen([*prefix, *scene.command("run")], name="dmsfw", env=scene.environment())
    try:
        running.wait_for("started version=")
        yield running
    finally:
        if prefix:
            terminate(running)
        else:
            running.kill()
        running.wait()


def prepare(lab: Lab) -> None:
    """Lay out networks, owner's rules and configuration."""
    lab.sh(scene.OWNERS)
    scene.networks(lab, 1)
    lab.configure(scene.OPEN)


def in_sync(lab: Lab) -> list[str]:
    """Wait until the tables are as they must be; return why not if they never are."""
    wanted = scene.wanted(lab, scene.OPEN)
    with contextlib.suppress(Exception):
        lab.wait(lambda: not verdict.faults(tables.read(lab), wanted), "the tables to be in sync", 15.0)
    return verdict.faults(tables.read(lab), wanted)


def beside_writers(lab: Lab, edits: int, writers: int, seed: int) -> Result:
    """Let writers edit while networks come and go, and count what was lost on either side."""
    result, names = Result(), [f"w{number}" for number in range(writers)]
    before = tables.read(lab).foreign
    with daemon(lab) as running:
        began = time.monotonic()
        with flooded(lab, result):
            load = Load(lab, names, str(seed), count=edits // writers)
            with load:
                while load.busy:
                    time.sleep(0.1)
        took = time.monotonic() - began
        result.problems += load.written.problems
        load.remove()
        result.problems += in_sync(lab)
        log = running.log()
        result.problems += [line for line in log.splitlines() if " error " in line]
    result.problems += tables.differences(before, tables.read(lab).foreign)
    changes = log.count("network opened") + log.count("network closed") + log.count("rules repaired")
    result.figures.append(
        f"{load.written.edits} foreign edits by {writers} writers in {took:.0f} s, "
        f"beside {changes} changes of dmsfw's: {len(result.problems)} lost"
    )
    return result


@contextlib.contextmanager
def flooded(lab: Lab, result: Result) -> Iterator[None]:
    """A flood of packets as long as the block lasts; then foreign counters must have missed none."""
    stop = lab.folder / "stop-flood"
    stop.unlink(missing_ok=True)
    lab.sh(COUNTERS)
    argv = [*PYTHON, str(FLOOD), SERVER, str(FLOOD_PORT), str(FLOOD_SOCKETS), str(stop)]
    running = lab.popen(argv, netns="lan", name="flood")
    try:
        running.wait_for("ready")
        yield
        stop.touch()
        running.wait()
    finally:
        running.kill()
    counts = counters(lab)
    lab.sh(COUNTERS.replace(" -I ", " -D "))
    packets, flows, sent = counts["filter", "FORWARD"], counts["nat", "POSTROUTING"], counts["raw", "PREROUTING"]
    if (packets, flows) != (sent, FLOOD_SOCKETS):
        result.problems.append(f"counters: {packets} of {sent} packets, {flows} of {FLOOD_SOCKETS} flows")
    result.figures.append(f"counters of foreign rules exact over {packets} packets and {flows} flows")


def counters(lab: Lab) -> dict[tuple[str, str], int]:
    """Return the packets that each of the counting rules has seen."""
    found = {}
    for (family, table), lines in tables.read(lab).counted.items():
        for line in lines:
            match = COUNTED.match(line)
            if match and family == 4:
                found[table, match[2]] = int(match[1])
    return found


def longest_hold(lab: Lab, rules: int, most_s: float = float("inf")) -> Result:
    """Measure how long the lock is held among so many foreign rules, while networks come and go; at most `most_s`."""
    lines = "\n".join(f"-A crowd -s 10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}/32 -j ACCEPT" for n in range(rules))
    lab.run(["iptables-restore", "-w", "--noflush"], text=f"*filter\n:crowd - [0:0]\n{lines}\nCOMMIT\n")
    trace = lab.folder / "log" / "locks"
    try:
        with daemon(lab, *watched(trace, [])):
            for third in range(2, 12):
                scene.networks(lab, third)
            problems = in_sync(lab)
    finally:
        lab.sh("iptables -w -F crowd; iptables -w -X crowd")
    found = sorted(holds(trace))
    if not found:
        return Result([], [*problems, "the lock was never taken"])
    middle, most = found[len(found) // 2], found[-1]
    times = f"median {middle * 1000:.1f}, at most {most * 1000:.1f} ms"
    figure = f"lock held {len(found)} times among {rules} foreign rules: {times}"
    if most > most_s:
        problems.append(f"the lock was held for more than {most_s * 1000:g} ms")
    return Result([figure], problems)


def somebody_holds_the_lock(lab: Lab, seconds: float) -> Result:
    """Let somebody hold the lock while a network changes: dmsfw waits, says so once, lives, and is in sync after."""
    result = Result()
    with daemon(lab) as running:
        result.problems += in_sync(lab)
        holder = lab.popen([*PYTHON, "-c", HOLD], name="holder")
        try:
            holder.wait_for("held")
            lab.docker("network", "create", "--subnet", "10.99.1.0/24", "dms-waits")
            time.sleep(seconds)
            alive = running.returncode is None
        finally:
            holder.kill()
        began = time.monotonic()
        result.problems += in_sync(lab)
        took = time.monotonic() - began
        said = running.log().count(WAITING)
        lab.docker("network", "rm", "dms-waits")
        result.problems += in_sync(lab)
        result.problems += [line for line in running.log().splitlines() if " error " in line]
    if not alive:
        result.problems.append("dmsfw ended while it waited for the lock")
    if said != 1:
        result.problems.append(f"it said {said} times that it waits for the lock")
    result.figures.append(
        f"lock held by somebody else for {seconds:g} s: in sync {took:.2f} s after, said once: {said == 1}"
    )
    return result


def arguments() -> argparse.Namespace:
    """Return the command line, read."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.writers", description="dmsfw beside other writers.")
    parser.add_argument("--edits", type=int, default=100_000)
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument("--rules", type=int, default=10_000)
    parser.add_argument("--held", type=float, default=30.0, help="seconds that somebody else holds the lock")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def main() -> int:
    """Do all of it; return 1 when anything was not as promised."""
    options = arguments()
    print(f"seed {options.seed}", flush=True)
    problems = []
    with scene.compiled(), Lab() as lab:
        prepare(lab)
        for result in (
            somebody_holds_the_lock(lab, options.held),
            longest_hold(lab, options.rules, HELD_MOST_S),
            beside_writers(lab, options.edits, options.writers, options.seed),
        ):
            print("\n".join([*result.problems, *result.figures]), flush=True)
            problems += result.problems
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
