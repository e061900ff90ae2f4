"""The random walk of faults.

python -m tests.chaos [--router fw4] [--seconds 600] [--seed 7] [--first 23 --steps 1] [--only "dockerd killed"]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from tests.chaos import document, guise, scene
from tests.chaos.patient import Patient
from tests.chaos.proxy import DockerProxy
from tests.chaos.walk import Walk
from tests.lab import Lab
from tests.lab.engine import SOCKET


def arguments() -> argparse.Namespace:
    """Return the command line, read."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="A seeded random walk of faults.")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--first", type=int, default=1, help="begin with this step")
    parser.add_argument("--steps", type=int, default=10**9, help="and make so many")
    parser.add_argument("--only", action="append", default=[], help="only kinds whose name holds this text")
    parser.add_argument("--router", choices=guise.GUISES, default="fw3", help="which firewall it has")
    parser.add_argument("--json", type=Path, help="write the table here too")
    parser.add_argument("--document", type=Path, help="put the table into this document")
    return parser.parse_args()


def walk(seed: int, seconds: float, options: argparse.Namespace | None = None, router: str = "fw3") -> Walk:
    """Walk in a lab of its own; without options a short one."""
    router = options.router if options else router
    with (
        scene.compiled(),
        Lab(firewall4=router == "fw4") as lab,
        DockerProxy(lab.folder / "docker.sock", lab.path(SOCKET), seed) as proxy,
    ):
        taken = Walk(Patient(lab, proxy, guise.made(router, lab)), seed, lambda line: print(line, flush=True))
        if options is None:
            taken.run(seconds, slow=False)
        else:
            taken.run(seconds, first=options.first, steps=options.steps, only=options.only)
        return taken


def main() -> int:
    """Walk, print the table; return 1 when a promise was broken."""
    options = arguments()
    print(f"seed {options.seed}", flush=True)
    began = time.monotonic()
    taken = walk(options.seed, options.seconds, options)
    record = document.record(taken, time.monotonic() - began)
    print(document.text(record))
    if options.json:
        options.json.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    if options.document:
        document.put(options.document, record)
    for problem in taken.problems:
        print(problem)
        again = f"python -m tests.chaos --router {options.router} --seed {options.seed}"
        print(f"replay: {again} --steps {taken.steps} (alone: {again} --first {taken.steps} --steps 1)")
    return 1 if taken.problems else 0


if __name__ == "__main__":
    sys.exit(main())
