"""Times whole passes, decision and enforcement, in this network namespace: `reconcile` on a world of any size.

Usage: passes.py NETWORKS FOREIGN COUNT [CHAIN]     CHAIN: where the foreign rules stand
Prints samples in milliseconds: `first` (one), `nothing`, `added`, `removed`, `recreated`; `held`: how long the xtables
lock was held by a pass that changes something, and `held nothing` by one that does not; `rules`: own rules. On a
router with firewall4 that firewall is measured, and FOREIGN means nothing.
"""

from __future__ import annotations

import fcntl
import gc
import json
import sys
import time
from collections import defaultdict

from dmsfw.reconciler import Outcome, reconcile
from tests.bench.inside.firewalls import HAS_FIREWALL4, enforcer
from tests.bench.inside.world import World, foreign, worlds

_flock = fcntl.flock


class LockWatch:
    """Stands between the enforcer and flock(2), and adds up how long the lock was held."""

    def __init__(self) -> None:
        self.held_s = 0.0
        self._since = 0.0

    def __call__(self, fd: int, operation: int) -> None:
        """Do it, then look at the clock."""
        if operation & fcntl.LOCK_UN and self._since:
            self.held_s += time.perf_counter() - self._since
            self._since = 0.0
        _flock(fd, operation)
        if operation & fcntl.LOCK_EX:
            self._since = time.perf_counter()


class Bench:
    """An enforcer, and the samples of its passes."""

    def __init__(self) -> None:
        self.samples: dict[str, list[float]] = defaultdict(list)
        self._enforcer = enforcer()
        self._watch = LockWatch()
        fcntl.flock = self._watch  # type: ignore[assignment]

    def timed(self, what: str, held: str, world: World) -> Outcome:
        """Pass once; note the time of it, and the lock's."""
        self._watch.held_s = 0.0
        began = time.perf_counter()
        outcome = reconcile(world, self._enforcer)
        self.samples[what].append((time.perf_counter() - began) * 1000)
        self.samples[held].append(self._watch.held_s * 1000)
        return outcome

    def run(self, whole: World, count: int) -> None:
        """Pass over what stands, and over a last network that goes, comes, and comes back as another one."""
        outcome = self.timed("first", "held first", whole)
        self.samples["rules"] = [float(outcome.plan.rules)]
        fewer = whole.without_last()
        for life in range(1, count + 1):
            gc.collect()
            assert not self.timed("nothing", "held nothing", whole).plan
            assert self.timed("removed", "held", fewer).plan
            assert self.timed("added", "held", whole).plan
            assert self.timed("recreated", "held", whole.with_other_last(life)).plan
            reconcile(whole, self._enforcer)


def main() -> None:
    """Measure one size."""
    networks, others, count = map(int, sys.argv[1:4])
    if not HAS_FIREWALL4:
        foreign(others, *sys.argv[4:])
    bench = Bench()
    bench.run(worlds(networks), count)
    reconcile(World(()), enforcer())
    print(json.dumps(bench.samples))


if __name__ == "__main__":
    main()
