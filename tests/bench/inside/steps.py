"""Makes single passes for strace to look at: the commits that each takes.

Usage: steps.py NETWORKS FOREIGN
Before each step it writes its name to a descriptor that does not exist: a mark in the trace, and nothing else.
"""

from __future__ import annotations

import contextlib
import os
import sys

from dmsfw.enforce import Iptables
from dmsfw.reconciler import reconcile
from tests.bench.inside.world import World, foreign, worlds

NOWHERE = 999


def mark(name: str) -> None:
    """Leave a mark in the trace."""
    with contextlib.suppress(OSError):
        os.write(NOWHERE, name.encode())


def main() -> None:
    """One pass of each kind."""
    networks, others = map(int, sys.argv[1:])
    foreign(others)
    whole, enforcer = worlds(networks), Iptables.of_this_host()
    reconcile(whole, enforcer)
    steps = {
        "nothing": whole,
        "removed": whole.without_last(),
        "added": whole,
        "recreated": whole.with_other_last(1),
        "end": World(()),
    }
    for name, world in steps.items():
        mark(name)
        reconcile(world, enforcer)


if __name__ == "__main__":
    main()
