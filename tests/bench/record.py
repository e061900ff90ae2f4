"""The record of the last run on each machine, and how a new run compares with it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.bench.machine import Machine
from tests.bench.rows import Row
from tests.lab import paths

FILE = paths.ROOT / "tests" / "bench" / "results.json"

WORSE = 1.2
"""A median that is so many times worse than the last one is said aloud."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run: where, when, with what, and all its rows by id. `label`: what is to be said of it.

    `code`: a digest of dmsfw's sources; empty where it is not known, or they changed meanwhile.
    """

    machine: Machine
    at: str
    python: str
    load: float
    seconds: float
    label: str
    rows: Mapping[str, Row]
    code: str = ""

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "rows": [row.plain() for row in self.rows.values()]}

    @staticmethod
    def from_plain(found: dict[str, Any]) -> Run:
        """From JSON."""
        rows = [Row.from_plain(row) for row in found["rows"]]
        return Run(**{**found, "machine": Machine(**found["machine"]), "rows": {row.id: row for row in rows}})


@dataclass(frozen=True, slots=True)
class Comparison:
    """A figure against its last one: `ratio` above 1 is worse."""

    row: Row
    before: Row
    ratio: float

    @property
    def worse(self) -> bool:
        """Tell whether it is worse by more than a fifth."""
        return self.ratio > WORSE


def read(file: Path = FILE) -> dict[str, Run]:
    """The runs by their machine's key; none where nothing is recorded."""
    if not file.exists():
        return {}
    runs = [Run.from_plain(found) for found in json.loads(file.read_text("utf-8"))["runs"]]
    return {run.machine.key: run for run in runs}


def write(run: Run, file: Path = FILE) -> None:
    """Put a run in the place of its machine's last one. One row a line, so that a change can be read."""
    runs = [one.plain() for one in ({**read(file), run.machine.key: run}).values()]
    texts = []
    for one in runs:
        rows = ",\n".join("  " + json.dumps(row) for row in one.pop("rows"))
        texts.append(json.dumps(one, indent=1)[:-2] + f',\n "rows": [\n{rows}\n ]\n}}')
    file.write_text('{"runs": [\n' + ",\n".join(texts) + "\n]}\n", "utf-8")


def compare(run: Run, last: Run | None) -> Iterator[Comparison]:
    """Every figure that both runs have and that can be compared."""
    for row in run.rows.values():
        before = last.rows.get(row.id) if last else None
        if before is None or not row.better or not before.p50 or not row.p50:
            continue
        ratio = row.p50 / before.p50 if row.better == "less" else before.p50 / row.p50
        yield Comparison(row, before, ratio)
