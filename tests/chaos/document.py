"""What a walk gave: as a record, as a table on the terminal, and in docs/reliability.md between its two marks."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

from tests.chaos.walk import Walk

BEGIN, END = "<!-- chaos: begin -->", "<!-- chaos: end -->"


def record(walk: Walk, seconds: float) -> dict[str, Any]:
    """Return everything worth keeping of a walk."""
    return {
        "seed": walk.seed,
        "seconds": round(seconds),
        "steps": walk.steps,
        "python": platform.python_version(),
        "kernel": platform.release(),
        "problems": walk.problems,
        "kinds": {
            kind: {
                "met": s.met,
                "survived": s.survived,
                "worst_s": round(s.worst_s, 2),
                "mean_s": round(s.total_s / s.met, 2),
                "ended": s.died,
            }
            for kind, s in sorted(walk.kinds.items())
        },
    }


def text(found: dict[str, Any]) -> str:
    """Write a record for a terminal."""
    width = max((len(kind) for kind in found["kinds"]), default=10)
    lines = [f"{'kind':<{width}} {'met':>4} {'survived':>8} {'worst s':>8} {'mean s':>8} {'ended':>6}"]
    for kind, s in found["kinds"].items():
        figures = f"{s['met']:>4} {s['survived']:>8} {s['worst_s']:>8.2f} {s['mean_s']:>8.2f} {s['ended']:>6}"
        lines.append(f"{kind:<{width}} {figures}")
    kinds, steps = len(found["kinds"]), found["steps"]
    return "\n".join([*lines, f"{steps} steps of {kinds} kinds in {found['seconds']} s, seed {found['seed']}"])


def markdown(found: dict[str, Any]) -> str:
    """Write a record for a document."""
    head = (
        f"A walk of {found['seconds'] / 60:.0f} minutes, {found['steps']} steps, seed {found['seed']}, "
        f"Python {found['python']}, Linux {found['kernel']}. Seconds are from the end of the fault until every "
        "table is as it must be, as seen from outside (a look takes 0.02 s, the least that is shown); where a "
        "second fault came in between, it counts for both.\n"
    )
    rows = [
        f"| {kind} | {s['met']} | {s['survived']} | {s['worst_s']:.2f} | {s['mean_s']:.2f} |"
        for kind, s in found["kinds"].items()
    ]
    return "\n".join([head, "| kind | met | survived | worst s | mean s |", "|---|---|---|---|---|", *rows])


def put(path: Path, found: dict[str, Any]) -> None:
    """Replace what stands between the marks of a document."""
    whole = path.read_text("utf-8")
    before, _, rest = whole.partition(BEGIN)
    after = rest.partition(END)[2]
    path.write_text(f"{before}{BEGIN}\n{markdown(found)}\n{END}{after}", "utf-8")
