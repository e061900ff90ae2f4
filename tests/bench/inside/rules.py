"""Puts in the rules for as many networks as it is told, line by line, and answers each line when they stand."""

from __future__ import annotations

import sys

from dmsfw.reconciler import reconcile
from tests.bench.inside.firewalls import enforcer
from tests.bench.inside.world import worlds


def main() -> None:
    """Serve."""
    firewall = enforcer()
    print("ready", flush=True)
    for line in sys.stdin:
        reconcile(worlds(int(line)), firewall)
        print("done", flush=True)


if __name__ == "__main__":
    main()
