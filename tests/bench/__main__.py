"""Runs the benchmarks: `python -m tests.bench [--quick] [--label TEXT] [--write] [NAME ...]`, or `--render`.

A full run of all measures is recorded and writes docs/performance.md; a quick or partial one only prints, unless told
to `--write`: what it did not measure is then taken from the last run on this machine.
`--render` measures nothing and writes the document anew from that run.
"""

from __future__ import annotations

import argparse
import platform
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone

from tests.bench import document, machine, record
from tests.bench.measures import MEASURES
from tests.bench.record import Comparison, Run
from tests.bench.rows import Row, text
from tests.bench.stage import Stage
from tests.bench.targets import judged
from tests.lab import LabError


def arguments() -> argparse.Namespace:
    """Return the command line, read."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure dmsfw on the lab.")
    parser.add_argument("--quick", action="store_true", help="a tenth of the samples, to see that all runs")
    parser.add_argument("--label", default="", help="what is to be said of this run in the document")
    parser.add_argument("--write", action="store_true", help="record and write the document, quick or partial too")
    parser.add_argument("--render", action="store_true", help="write the document from the last run on this machine")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of: {', '.join(MEASURES)}")
    options = parser.parse_args()
    if unknown := set(options.names) - set(MEASURES):
        parser.error(f"no such measure: {', '.join(sorted(unknown))}")
    return options


def run(names: Sequence[str], stage: Stage, label: str) -> Run:
    """Measure, and print each row as it is had."""
    began, load, code, rows = time.monotonic(), machine.load(), machine.code(), {}
    if load > machine.BUSY:
        print(f"the machine is not quiet (load {load:.2f}): the figures will be noisy", flush=True)
    for number, name in enumerate(names, 1):
        print(f"\n[{number}/{len(names)}] {name} ({time.monotonic() - began:.0f} s so far)", flush=True)
        for row in MEASURES[name](stage):
            rows[row.id] = row
            print(f"  {line(row)}", flush=True)
    at = datetime.now(timezone.utc).isoformat(timespec="minutes")
    if machine.code() != code:
        code = ""
        print("\ndmsfw's sources were changed during the run: its figures are of no single state", flush=True)
    return Run(machine.this(), at, platform.python_version(), load, time.monotonic() - began, label, rows, code)


def line(row: Row) -> str:
    """One row on a terminal."""
    figures = text(row.p50, row.unit)
    if row.n > 1:
        figures += f", p99 {text(row.p99, row.unit)}, worst {text(row.worst, row.unit)} (n={row.n})"
    return f"{row.what}: {figures}" + (f" [{row.note}]" if row.note else "")


def verdicts(rows: dict[str, Row]) -> None:
    """Print the targets, met and missed."""
    print("\ntargets")
    for target, row in judged(rows):
        verdict = "met   " if target.met(row) else "MISSED"
        print(f"  {verdict} {row.what}: {text(target.value(row), row.unit)}, target {target.promise(row)}")


def differences(compared: Sequence[Comparison]) -> None:
    """Print what got worse."""
    if not compared:
        print("\nno earlier run on this machine to compare with")
        return
    worse = [one for one in compared if one.worse]
    print(f"\n{len(compared)} figures against the last run on this machine: {len(worse)} worse by more than a fifth")
    for one in worse:
        print(f"  {one.row.what}: {text(one.before.p50)} -> {text(one.row.p50, one.row.unit)}, ratio {one.ratio:.2f}")


def completed(found: Run, last: Run | None, *, quick: bool) -> Run:
    """The run with what it did not measure taken from the last one, and said so."""
    rows = {**(last.rows if last else {}), **found.rows}
    kept = {name.partition("/")[0] for name in rows} - {name.partition("/")[0] for name in found.rows}
    remarks = [found.label, "A quick run, with a tenth of the samples." if quick else ""]
    if last and kept:
        remarks.append(f"Taken from the run of {last.at}: {', '.join(sorted(kept))}.")
    order = [name for measure in MEASURES for name in rows if name.startswith(f"{measure}/")]
    label = " ".join(filter(None, remarks))
    code = "" if last and kept and last.code != found.code else found.code
    return replace(found, label=label, rows={name: rows[name] for name in order}, code=code)


def rendered(last: Run | None) -> int:
    """Write the document from a run that is recorded."""
    if last is None:
        print("bench: no run is recorded on this machine", file=sys.stderr)
        return 1
    document.write(last, ())
    return 0


def main() -> int:
    """Measure, compare, record. Ctrl-C and SIGTERM end it, and the lab with it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = arguments()
    last = record.read().get(machine.this().key)
    if options.render:
        return rendered(last)
    stage = Stage(quick=options.quick, say=lambda words: print(f"    {words} ...", flush=True))
    try:
        found = run(options.names or list(MEASURES), stage, options.label)
    except LabError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    compared = list(record.compare(found, last))
    verdicts(dict(found.rows))
    differences(compared)
    if last and (options.quick or max(found.load, last.load) > machine.BUSY):
        print(f"  (load {last.load:.2f} then, {found.load:.2f} now{', a quick run' if options.quick else ''}: beware)")
    print(f"\n{found.seconds:.0f} s")
    if options.write or not (options.quick or options.names):
        whole = completed(found, last, quick=options.quick)
        record.write(whole)
        document.write(whole, compared)
        print(f"recorded in {record.FILE.name}, written to docs/{document.FILE.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
