"""docs/performance.md: the figures, what they mean, the plots. Written anew by each full run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tests.bench import explain
from tests.bench.machine import BUSY
from tests.bench.measures import rivals
from tests.bench.pictures import PICTURES
from tests.bench.record import Comparison, Run
from tests.bench.rows import Row, text
from tests.bench.targets import TARGETS, Target, judged
from tests.lab import paths

DOCS = paths.ROOT / "docs"
FILE = DOCS / "performance.md"


def write(run: Run, compared: Sequence[Comparison]) -> None:
    """Write the document and its plots."""
    FILE.write_text("\n".join(_lines(run, compared)) + "\n", "utf-8")
    for name, (_, draw) in PICTURES.items():
        (DOCS / f"performance-{name}.svg").write_text(draw(run.rows), "utf-8")


def _lines(run: Run, compared: Sequence[Comparison]) -> Iterator[str]:
    yield from _head(run)
    yield from _targets(run.rows)
    yield from ["", "## What it means", "", *explain.meaning(run.rows)]
    yield from ["", "## Against what a user would have instead", "", explain.ALTERNATIVES, "", *_rivals(run.rows)]
    yield from ["", *explain.static_rule(run.rows)]
    yield from ["", "## Pictures", ""]
    for name, (title, _) in PICTURES.items():
        yield from [f"![{title}](performance-{name}.svg)", ""]
    yield from ["## How it is measured", "", explain.METHOD, "", "## Every figure", "", *_figures(run.rows)]
    yield from ["", "## Against the last run on this machine", "", *_compared(compared)]


def _head(run: Run) -> Iterator[str]:
    yield "# Performance"
    yield ""
    yield "Written by `make bench`, which measures all of it anew in less than twenty minutes; do not edit."
    yield ""
    yield f"- Machine: {run.machine.key}"
    yield f"- Python {run.python}, compiled bytecode, no setuptools in the environment"
    yield f"- Measured {run.at}, in {run.seconds / 60:.0f} minutes; load average at the start {run.load:.2f}"
    yield f"- Code: digest {run.code}" if run.code else "- **Of no single state of the code, or of one not noted.**"
    if run.label:
        yield f"- **{run.label}**"
    if run.load > BUSY:
        yield "- **The machine was not quiet: others were at work, and the figures are worse than they ought to be.**"
    yield ""


def _targets(rows: Mapping[str, Row]) -> Iterator[str]:
    found = judged(rows)
    missed = [target for target, row in found if not target.met(row)]
    yield "## What was promised"
    yield ""
    if len(found) < len(TARGETS):
        yield f"Not measured in this run: {', '.join(f'`{one.row}`' for one in TARGETS if one.row not in rows)}."
        yield ""
    yield f"{len(found) - len(missed)} of {len(found)} targets are met. Of fewer than 100 samples p99 is the worst one."
    yield ""
    yield "| what | target | median | p99 | worst | n | |"
    yield "|---|---|--:|--:|--:|--:|---|"
    yield from (_judged(target, row) for target, row in found)
    for target, row in found:
        if not target.met(row) and (why := explain.WHY.get(target.row)):
            yield f"\n**{row.what}** misses its target: {why}"


def _judged(target: Target, row: Row) -> str:
    met = "met" if target.met(row) else "**missed**"
    return f"| {row.what} | {target.promise(row)} | {_values(row)} | {row.n} | {met} |"


def _values(row: Row) -> str:
    """Median, p99 and worst; of a single figure only that."""
    if row.n == 1:
        return f"{text(row.p50, row.unit)} | | "
    return " | ".join(text(value, row.unit) for value in (row.p50, row.p99, row.worst))


def _rivals(rows: Mapping[str, Row]) -> Iterator[str]:
    yield "| connection to port 465 | wanted | dmsfw | shell script, called for it | static rule |"
    yield "|---|---|---|---|---|"
    for number, (_, _, _, wanted, what) in enumerate(rivals.CASES):
        found = [rows[f"rivals/{number} {who}"] for who in rivals.CONTENDERS]
        cells = [row.note.partition(",")[0] if row.p50 else f"**{row.note.partition(',')[0]}**" for row in found]
        yield f"| {what} | {wanted} | {' | '.join(cells)} |"


def _figures(rows: Mapping[str, Row]) -> Iterator[str]:
    yield "| what | median | p99 | worst | n | note |"
    yield "|---|--:|--:|--:|--:|---|"
    for row in rows.values():
        if not row.id.startswith("rivals/"):
            yield f"| {row.what} | {_values(row)} | {row.n} | {row.note} |"


def _compared(compared: Sequence[Comparison]) -> Iterator[str]:
    if not compared:
        yield "None is recorded."
        return
    worse = [one for one in compared if one.worse]
    yield f"Of {len(compared)} figures {len(worse)} got worse by more than a fifth."
    yield "Medians are compared; a ratio above 1 is worse."
    yield ""
    yield "| what | before | now | ratio | |"
    yield "|---|--:|--:|--:|---|"
    for one in compared:
        before, now = text(one.before.p50, one.row.unit), text(one.row.p50, one.row.unit)
        yield f"| {one.row.what} | {before} | {now} | {one.ratio:.2f} | {'**worse**' if one.worse else ''} |"
