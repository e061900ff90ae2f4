"""Starts the daemon again and again, and stamps how long after the start of its interpreter all is in sync.

Usage: start.py COUNT BRIDGE STATUS_FILE COMMAND [ARGUMENT ...]
In sync: the rules for BRIDGE stand in the kernel and the status file says so. Prints samples in milliseconds: `rules`,
`sync`, and `stop`: from SIGTERM to the end. Between two starts COMMAND's rules are removed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from tests.bench.inside.kernel import Glance, until


def says_in_sync(status_file: Path) -> bool:
    """Tell whether the status file does."""
    try:
        return '"state": "in sync"' in status_file.read_text("utf-8")
    except FileNotFoundError:
        return False


def main() -> None:
    """Measure."""
    count, bridge, status, *command = sys.argv[1:]
    needle, status_file = f"{bridge}\0".encode(), Path(status)
    clean = ["clean" if word == "run" else word for word in command]
    samples: dict[str, list[float]] = {"rules": [], "sync": [], "stop": []}
    for _ in range(int(count)):
        glance = Glance("filter")
        began = time.perf_counter()
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        at_rules = until(lambda glance=glance: glance.holds(needle))  # type: ignore[misc]
        at_sync = until(lambda: says_in_sync(status_file))
        time.sleep(0.5)
        stopped = time.perf_counter()
        running.terminate()
        running.wait()
        ended = time.perf_counter()
        found = {"rules": at_rules - began, "sync": at_sync - began, "stop": ended - stopped}
        for name, seconds in found.items():
            samples[name].append(seconds * 1000)
        subprocess.run(clean, check=True, stdout=subprocess.DEVNULL)
        status_file.unlink()
    print(json.dumps(samples))


if __name__ == "__main__":
    main()
