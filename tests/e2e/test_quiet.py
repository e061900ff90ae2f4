"""What nobody sees until it has gone on for weeks: passes for nothing, descriptors and threads left behind by each."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.support import Dmsfw, create, opens, ours
from tests.lab import Lab

METRICS = "/run/dmsfw/dmsfw.prom"
PASSES = re.compile(r'^dmsfw_trigger_passes_total\{trigger="(\w+)"\} (\d+)$', re.MULTILINE)
MANY = 40


@pytest.fixture
def quiet(lab: Lab, dmsfw: Dmsfw) -> Iterator[Dmsfw]:
    """A daemon in sync, with a network to serve."""
    create(lab, "dms-network")
    dmsfw.start(opens("dms-*", main=[f"option metrics_file '{METRICS}'"]))
    dmsfw.wait_for("in sync")
    yield dmsfw
    assert dmsfw.running.stop() == 0


def woken(lab: Lab) -> dict[str, int]:
    """Return how many passes each trigger has woken."""
    return {trigger: int(count) for trigger, count in PASSES.findall(lab.path(METRICS).read_text("utf-8"))}


def test_its_own_commits_wake_it_for_nothing(lab: Lab, quiet: Dmsfw) -> None:
    lab.docker("network", "rm", "dms-network")
    lab.wait(lambda: ours(lab) == [], "the end of the rules")
    create(lab, "dms-network")
    lab.wait(lambda: ours(lab) != [], "the rules")
    quiet.another_pass()
    # Nobody but the daemon has touched the lock or the tables since its start.
    assert woken(lab).keys().isdisjoint({"xtables", "tables", "firewall"})


def test_a_lock_file_that_was_made_anew_tells_of_every_writer_from_then_on(lab: Lab, quiet: Dmsfw) -> None:
    lab.sh("rm -f /run/xtables.lock; iptables -w -F DMSFW-FORWARD")
    quiet.running.wait_for("rules repaired")
    quiet.another_pass()
    before = woken(lab).get("xtables", 0)

    def is_told() -> bool:
        lab.sh("iptables -w -F DMSFW-FORWARD")
        lab.wait(lambda: "-A DMSFW-FORWARD" in "".join(ours(lab)), "the repair")
        return woken(lab).get("xtables", 0) > before

    # A wake that is still under way may come before the lock's: then once more.
    lab.wait(is_told, "a repair that the new lock file has woken")


@pytest.mark.parametrize("tool", ["iptables", "ip6tables"])
def test_a_writer_without_the_lock_is_seen_by_a_look_and_not_only_when_all_is_compared(
    lab: Lab, quiet: Dmsfw, tool: str
) -> None:
    create(lab, "dms-six", "--ipv6", "--subnet", "fd00:6::/64")
    lab.wait(lambda: "fd00:6::/64" in " ".join(ours(lab)), "the rules of IPv6")
    assert quiet.running.returncode is None

    def is_seen() -> bool:
        lab.sh(f"XTABLES_LOCKFILE=/run/another.lock {tool} -F DMSFW-FORWARD")
        lab.wait(
            lambda: f"{4 if tool == 'iptables' else 6} filter -A DMSFW-FORWARD" in "\n".join(ours(lab)), "the repair"
        )
        return "tables" in woken(lab)

    # Another wake may come by chance before the look: then once more.
    lab.wait(is_seen, "a repair that a look has woken")


def test_many_passes_and_repairs_leave_no_descriptor_thread_or_child_behind(lab: Lab, quiet: Dmsfw) -> None:
    lab.sh("iptables -w -F DMSFW-FORWARD")
    quiet.running.wait_for("rules repaired")
    quiet.another_pass()
    before = held(quiet.running.pid)
    for _ in range(MANY):
        lab.sh("iptables -w -F DMSFW-FORWARD")
        lab.wait(lambda: "-A DMSFW-FORWARD" in "".join(ours(lab)), "the repair")
        quiet.look_again()
    quiet.another_pass()
    lab.wait(lambda: all(now <= then + MANY // 4 for now, then in zip(held(quiet.running.pid), before, strict=True)))


def held(pid: int) -> tuple[int, int, int]:
    """Return how many descriptors, threads and children a process has."""
    threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208 - /proc
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return len(os.listdir(f"/proc/{pid}/fd")), len(threads), len(children)  # noqa: PTH208 - /proc
