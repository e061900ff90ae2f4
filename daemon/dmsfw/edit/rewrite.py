"""A step, done to the text of a configuration, in which everything else stays byte for byte. Pure.

Only whole lines come and go: what shares its line with another command was written by hand, in a way of its own, and is
left to that hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from dmsfw.config.commands import Command
from dmsfw.config.uci import Section, parse
from dmsfw.edit.steps import AddValue, DropSection, DropValue, NewSection, SetOption, Step, SwapValue
from dmsfw.errors import Refused

Span = tuple[int, int]
"""A stretch of text, from the first number up to the second."""

_INDENT = re.compile(r"[ \t]*")
_REST = re.compile(r"[ \t\r]*(?:#[^\n]*)?(?:\n|\Z)")
"""What may stand behind a command on its line."""

_REMARKS = re.compile(r"(?:[ \t]+#[^\n]*(?:\n|\Z))*")
"""Indented comments below the last option: they belong to its section."""

_GAP_BEFORE = re.compile(r"\n(\r?\n)\Z")
_GAP_BEHIND = re.compile(r"\r?\n|\Z")


def rewritten(text: str, step: Step) -> str:
    """Return the text after a step; what it names is there. Raises: Refused where the lines are not plain ones."""
    if isinstance(step, NewSection):
        return _with_section(text, step)
    (section,) = (one for one in parse(text).sections if one.name == step.section)
    if isinstance(step, DropSection):
        return _without_section(text, section)
    mine = [one for one in section.commands if one.keyword != "config" and one.words[0] == step.option]
    if isinstance(step, AddValue):
        return _with_value(text, mine[-1], step)
    if isinstance(step, SetOption):
        return _replaced(text, mine[-1], f"option {step.option} {quoted(step.value)}")
    if isinstance(step, SwapValue):
        *repeats, last = _saying(mine, step.value)
        return _without_lines(_replaced(text, last, f"list {step.option} {quoted(step.new)}"), repeats)
    return _without_lines(text, _saying(mine, step.value) if isinstance(step, DropValue) else mine)


def comments(text: str) -> int:
    """Count the lines that have a comment."""
    spans = [(one.start, one.end) for section in parse(text).sections for one in section.commands]
    for start, end in sorted(spans, reverse=True):
        text = text[:start] + text[end:]
    return sum("#" in line for line in text.splitlines())


def quoted(value: str) -> str:
    """Quote as uci does."""
    return "'" + value.replace("'", "'\\''") + "'"


def _saying(mine: Iterable[Command], value: str) -> list[Command]:
    return [one for one in mine if "".join(one.words[1:]) == value]


def _with_section(text: str, new: NewSection) -> str:
    lines = [f"config {new.kind} {quoted(new.section)}"]
    lines += [f"\tlist {option} {quoted(value)}" for option, value in new.lists]
    newline = "\r\n" if "\r\n" in text else "\n"
    ended = text if not text or text.endswith("\n") else text + newline
    gap = "" if not ended or _GAP_BEFORE.search(ended) else newline
    return ended + gap + "".join(line + newline for line in lines)


def _without_section(text: str, section: Section) -> str:
    for start, end in reversed(list(_blocks(text, section))):
        gap = _GAP_BEFORE.search(text, 0, start)
        takes_gap = gap is not None and _GAP_BEHIND.match(text, end)
        text = text[: gap.start(1) if gap is not None and takes_gap else start] + text[end:]
    return text


def _blocks(text: str, section: Section) -> Iterator[Span]:
    """Yield where a section stands, its comments included: once, unless it was opened again further down."""
    opened = [at for at, one in enumerate(section.commands) if one.keyword == "config"]
    for first, behind in zip(opened, [*opened[1:], len(section.commands)], strict=True):
        spans = [_line(text, one) for one in section.commands[first:behind]]
        yield spans[0][0], _end(_REMARKS, text, spans[-1][1])


def _with_value(text: str, last: Command, added: AddValue) -> str:
    start, end = _line(text, last)
    indent = text[start : _end(_INDENT, text, start)]
    newline = "" if text[:end].endswith("\n") else "\n"
    return f"{text[:end]}{newline}{indent}list {added.option} {quoted(added.value)}\n{text[end:]}"


def _replaced(text: str, command: Command, new: str) -> str:
    return text[: command.start] + new + text[command.end :]


def _without_lines(text: str, mine: Iterable[Command]) -> str:
    for start, end in reversed([_line(text, one) for one in mine]):
        text = text[:start] + text[end:]
    return text


def _line(text: str, command: Command) -> Span:
    """Return the lines that a command has to itself, up to behind the newline. Raises: Refused where it shares one."""
    start = text.rfind("\n", 0, command.start) + 1
    behind = _REST.match(text, command.end)
    if behind is None or _end(_INDENT, text, start) != command.start:
        raise Refused(f"line {command.line} of the configuration holds more than one command: edit that by hand")
    return start, behind.end()


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return at if match is None else match.end()
