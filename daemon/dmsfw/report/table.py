"""A status for people: the state first, then what to do about it, then the rest. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dmsfw.report.text import clean, display_width, pad

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dmsfw.model import Detour
    from dmsfw.report.status import NetworkStatus, Pass, SourceStatus, Status, UnselectedNetwork

MIN_WIDTH = 72
"""Narrowest terminal, in columns, that is wrapped for; a narrower one wraps by itself."""

TEXT_LIMIT = 600
"""Characters of one sentence or rule: nothing that dmsfw writes is longer, so that nothing is lost."""

COMMAND_LIMIT = 2000
"""Characters of one line to paste: a cut command would be another command."""

MOST_AHEAD = 8
"""Rules of others that are shown."""

_STATE_COLOURS = {"in sync": "32", "idle": "33", "starting": "33", "degraded": "31", "disabled": "33", "stopped": "31"}
_WORD = re.compile(r"\S+")


def render(status: Status, *, colour: bool = False, width: int = 80) -> str:
    """Write the table, `width` columns wide; lines to paste are never wrapped. Ends with a newline."""
    painter = _Painter(colour=colour, width=max(width, MIN_WIDTH))
    blocks = [_head(status, painter), *(block for block in _sections(status, painter) if len(block) > 1)]
    foot = [_foot(status, painter)] if status.pid else []
    return "\n\n".join("\n".join(block) for block in [*blocks, *foot]) + "\n"


class _Painter:
    """Knows the terminal: its width, and whether it is coloured. Everything that it writes has passed `clean`."""

    def __init__(self, *, colour: bool, width: int) -> None:
        self.width = width
        self.colour = colour

    def paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour else text

    def title(self, text: str) -> list[str]:
        return [self.paint(text, "1")]

    def text(self, text: str, indent: int = 2) -> list[str]:
        """Wrap a sentence; its further lines are indented by two more."""
        return wrap(clean(text, TEXT_LIMIT), self.width, indent)

    def columns(self, rows: Sequence[Sequence[str]]) -> list[str]:
        """Align rows of short cells; a long last cell is wrapped below its own beginning."""
        cells = [[clean(cell, TEXT_LIMIT) if cell else "" for cell in row] for row in rows]
        widths = [max(map(display_width, column)) for column in zip(*(row[:-1] for row in cells), strict=True)]
        return [line for row in cells for line in self._row(row, widths)]

    def paste(self, commands: Iterable[str], indent: int = 4) -> list[str]:
        return [" " * indent + self.paint(clean(command, COMMAND_LIMIT), "36") for command in commands]

    def _row(self, cells: Sequence[str], widths: Sequence[int]) -> list[str]:
        start = "  " + "".join(pad(cell, width) + "  " for cell, width in zip(cells, widths, strict=False))
        indent = display_width(start)
        if indent > self.width // 2:
            return [start.rstrip(), *wrap(cells[-1], self.width, 4)]
        first, *rest = wrap(cells[-1], self.width, indent, hanging=0)
        return [(start + first.lstrip()).rstrip(), *rest]


def wrap(text: str, width: int, indent: int, hanging: int = 2) -> list[str]:
    """Break clean `text` at spaces into lines of at most `width` columns; a longer word stands alone, unbroken."""
    lines: list[str] = []
    line = ""
    for word in _WORD.findall(text) or [""]:
        margin = " " * (indent + (hanging if lines else 0))
        if line and display_width(f"{line} {word}") > width:
            lines.append(line)
            line = " " * (indent + hanging) + word
        else:
            line = f"{line} {word}" if line else margin + word
    return [*lines, line]


def _head(status: Status, painter: _Painter) -> list[str]:
    state = painter.paint(status.state, f"1;{_STATE_COLOURS[status.state]}")
    who = f"dmsfw {clean(status.version)} (pid {status.pid})" if status.pid else "dmsfw"
    lines = [f"{who}: {state}"]
    for reason in status.reasons:
        lines += painter.text(reason)
    return lines + painter.paste(status.remedies)


def _sections(status: Status, painter: _Painter) -> Iterable[list[str]]:
    uplinks = [(one.interface, one.device, "up" if one.up else "down; its rules wait for it") for one in status.uplinks]
    uplinks += [(name, "-", "not up, and has had no device yet") for name in status.missing_uplinks]
    yield painter.title("Uplinks") + painter.columns(uplinks)
    yield painter.title("Networks") + [line for one in status.networks for line in _network(one, painter)]
    yield painter.title("Policies that select nothing") + painter.columns(_idle_policies(status))
    yield _unselected(status, painter)
    yield painter.title("Selected, but skipped") + painter.columns([(one.name, one.why) for one in status.skipped])
    title = "Rules of others ahead of ours (they are left alone, and decide first)"
    yield painter.title(title) + _ahead(status, painter)
    yield painter.title("Containers that leave by another network") + _texts(map(_detour, status.detours), painter)
    yield painter.title("Sources") + painter.columns([_source(one) for one in status.sources])


def _detour(one: Detour) -> str:
    return f"{one.container} of {one.network} leaves by {one.leaves_by}: no policy on {one.network} serves it"


def _ahead(status: Status, painter: _Painter) -> list[str]:
    """Docker with its iptables handling on puts six rules ahead for every network: the first ones tell enough."""
    more = len(status.ahead) - MOST_AHEAD
    lines = _texts(status.ahead[:MOST_AHEAD], painter)
    return [*lines, *painter.text(f"and {more} more: see `dmsfw status --json`")] if more > 0 else lines


def _texts(texts: Iterable[str], painter: _Painter) -> list[str]:
    return [line for text in texts for line in painter.text(text)]


def _network(network: NetworkStatus, painter: _Painter) -> list[str]:
    packets = [] if network.packets is None else [f"    {network.packets} packet{'' if network.packets == 1 else 's'}"]
    return _texts(network.sentences, painter) + packets


def _idle_policies(status: Status) -> list[tuple[str, str]]:
    return [(one.name, "; ".join(_looks_for(one.labels, one.networks))) for one in status.idle_policies]


def _looks_for(labels: Sequence[str], networks: Sequence[str]) -> Iterable[str]:
    if labels:
        yield f"looks for the label{'s' if len(labels) > 1 else ''} {', '.join(labels)}"
    if networks:
        yield f"{'or' if labels else 'looks for'} the name {', '.join(networks)}"


def _unselected(status: Status, painter: _Painter) -> list[str]:
    """List networks with the lines to paste while something is idle; else their names, which is no news to act on."""
    if not status.unselected:
        return []
    if not status.idle_policies and status.state != "idle":
        names = ", ".join(one.name for one in status.unselected)
        return painter.title("Networks that no policy selects") + painter.text(names)
    lines = painter.title("Networks that no policy selects; paste the lines below one to open it")
    return lines + [line for one in status.unselected for line in _to_open(one, painter)]


def _to_open(network: UnselectedNetwork, painter: _Painter) -> list[str]:
    where = painter.text(f"{network.name} ({', '.join((network.device, *network.subnets))})")
    if not network.commands:
        return [
            *where,
            *painter.text("its name cannot be written in a configuration: give it a label, or another name", 4),
        ]
    return [*where, *painter.paste(network.commands)]


def _source(source: SourceStatus) -> tuple[str, str, str]:
    age = "never read" if source.age_s is None else f"read {duration(source.age_s)} ago"
    return (source.name, age, f"fails now: {source.error}" if source.error else "")


def _foot(status: Status, painter: _Painter) -> list[str]:
    lines = painter.text(f"Last pass: {_pass(status.last_pass)}", 0) if status.last_pass else ["Last pass: none yet"]
    anew = f"everything is read anew at least every {status.resync_s} s"
    passes = f"Passes: {status.passes}; {anew}; rules due: {status.rules}"
    lines += painter.text(passes, 0)
    if status.firewalls:
        lines += painter.text(f"Firewall: {' and '.join(status.firewalls)}", 0)
    return lines + (painter.text(f"Last error: {status.last_error}", 0) if status.last_error else [])


def _pass(last: Pass) -> str:
    changes = f"{last.changes} change{'' if last.changes == 1 else 's'}"
    return f"{last.at}, {last.duration_ms:.1f} ms, woken by {last.trigger}, {changes}"


def duration(seconds: float) -> str:
    """Write an age as people do: `0.4 s`, `12 s`, `3 min`, `5 h`, `2 d`."""
    for limit, unit, name in ((10, 1, "s"), (120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds:.1f} s" if limit == 10 else f"{seconds / unit:.0f} {name}"  # noqa: PLR2004 - the table's first row
    return f"{seconds / 86_400:.0f} d"
