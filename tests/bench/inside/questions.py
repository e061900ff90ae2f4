"""Asks `dmsfw explain` again and again which rule decides about a packet that goes through all of many rules.

Usage: questions.py FOREIGN COUNT
The foreign rules stand in FORWARD itself and all match another source. Prints samples in milliseconds, from the fork of
the interpreter to its end.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time

from tests.bench.inside.world import foreign

BRIDGE = "br-bench"
PACKET = ("--in", BRIDGE, "--src", "172.30.0.2", "--dst", "203.0.113.205", "--proto", "tcp", "--dport", "465")
COMMAND = (sys.executable, "-m", "dmsfw", "explain", *PACKET)
ANSWERS = {0, 1, 2}
"""It passes, it does not, not known: each is an answer."""


def main() -> None:
    """Measure."""
    rules, count = map(int, sys.argv[1:])
    foreign(rules, "FORWARD")
    subprocess.run(["ip", "link", "add", BRIDGE, "up", "type", "bridge"], check=True)
    subprocess.run(COMMAND, check=False, capture_output=True)  # compiles what is not compiled yet
    samples = []
    for _ in range(count):
        began = time.perf_counter()
        done = subprocess.run(COMMAND, check=False, capture_output=True, text=True)
        samples.append((time.perf_counter() - began) * 1000)
        assert done.returncode in ANSWERS, done.stderr
        assert f"FORWARD #{rules + 1}:" in done.stdout, done.stdout
    subprocess.run(["ip", "link", "del", BRIDGE], check=True)
    print(json.dumps(samples))


if __name__ == "__main__":
    main()
