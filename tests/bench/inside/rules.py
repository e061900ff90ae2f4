"""Puts in the rules for as many networks as it is told, line by line, and answers each line when they stand."""

from __future__ import annotations

import sys

from dmsfw.enforce import Iptables
from dmsfw.reconciler import reconcile
from tests.bench.inside.world import worlds


def main() -> None:
    """Serve."""
    enforcer = Iptables.of_this_host()
    print("ready", flush=True)
    for line in sys.stdin:
        reconcile(worlds(int(line)), enforcer)
        print("done", flush=True)


if __name__ == "__main__":
    main()
