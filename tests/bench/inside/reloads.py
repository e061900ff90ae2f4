"""Reloads firewall4 again and again.

Usage: reloads.py COUNT PAUSE_S [repaired]
With `repaired` it stamps how long after the reload's transaction the jump to our chain stands again: the time between
the kernel's announcements of the two. Prints samples in milliseconds; of `reload` how long the program took.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections import defaultdict

from tests.lab.inside.transactions import DELRULE, NEWRULE, Transactions, names

JUMP = b"dmsfw: networks of Docker"


def main() -> None:
    """Measure."""
    count, pause, repaired = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:] == ["repaired"]
    samples: dict[str, list[float]] = defaultdict(list)
    heard, chance = Transactions(), random.Random(465)
    for _ in range(count):
        time.sleep(pause + chance.random() * pause)
        heard.forget()
        began = time.perf_counter()
        with subprocess.Popen(["fw4", "reload"]) as program:
            if repaired:
                loaded = heard.until(names(DELRULE, JUMP))
                samples["repaired"].append((heard.until(names(NEWRULE, JUMP)) - loaded) * 1000)
        assert program.returncode == 0
        samples["reload"].append((time.perf_counter() - began) * 1000)
    print(json.dumps(samples))


if __name__ == "__main__":
    main()
