"""UCI text cut into commands, each with its words.

Where libuci gives up the whole file, this goes on: a command that cannot be read is a `Fault`, and reading goes on with
the line after the one that the command began on. So a quote that somebody forgot costs its line, not what follows.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from dmsfw.config.wording import shown
from dmsfw.config.words import Cursor, Unreadable, line_end

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_RUNAWAYS = 5
"""Faults after which a quote has to close on its own line. Each of them may have read to the end of the file: without
a limit, a file full of odd quotes would take hours."""

KEYWORDS = {"package": (1, 1), "config": (1, 2), "option": (1, 2), "list": (1, 2)}
"""How many words each command takes, at least and at most. Their first letters alone are commands too (libuci)."""

_FULL = {keyword[0]: keyword for keyword in KEYWORDS}
_KEYWORD = re.compile(r"[^ \t\n]*")
_NAME = re.compile(r"[A-Za-z0-9_]+")
_TYPE = re.compile(r"[!-~]+")


class Fault(NamedTuple):
    """A command that cannot be read. `line` is where it begins, from 1; `keyword` as far as it is known."""

    line: int
    keyword: str
    reason: str


class Command(NamedTuple):
    """One command, its keyword in full: 12, `option`, ('proto', 'tcp').

    In the text it goes from `start` up to `end`, from its keyword to its last word, without a comment or `;` behind it.
    """

    line: int
    keyword: str
    words: tuple[str, ...]
    start: int
    end: int


def commands(text: str) -> Iterator[Command | Fault]:
    """Yield every command of `text` and every fault, in order. Never raises."""
    cursor, line, counted, runaways = Cursor(text, 0, len(text)), 1, 0, 0
    while cursor.goes_on():
        start = cursor.at
        line, counted = line + text.count("\n", counted, start), start
        cursor.end = len(text) if runaways < MAX_RUNAWAYS else line_end(text, start)
        keyword = "" if cursor.char() == "#" else cursor.take(_KEYWORD)
        keyword = _FULL.get(keyword, keyword)
        try:
            words, end = _words(cursor, start, keyword)
        except Unreadable as fault:
            runaways += 1
            yield Fault(line, keyword, str(fault))
            cursor.at = line_end(text, start)
        else:
            if keyword:
                yield Command(line, keyword, words, start, end)
        cursor.end = len(text)


def _words(cursor: Cursor, start: int, keyword: str) -> tuple[tuple[str, ...], int]:
    """Read the rest of the command that began at `start`, and where it ends; keyword "": a comment.

    Raises: Unreadable.
    """
    words = cursor.words()
    end = cursor.at
    cursor.finish()
    if "\0" in cursor.text[start : cursor.at]:
        raise Unreadable("a NUL byte: the file is damaged, or is no text")
    if keyword:
        _check(keyword, words)
    return words, end


def _check(keyword: str, words: tuple[str, ...]) -> None:
    """Raises: Unreadable for what libuci calls an invalid command, argument count or name."""
    if keyword not in KEYWORDS:
        raise Unreadable(f"{shown(keyword)} is no command: config, option or list")
    least, most = KEYWORDS[keyword]
    if len(words) < least or not words[0]:
        raise Unreadable(f"{keyword} has no {'type' if keyword == 'config' else 'name'} behind it")
    if len(words) > most:
        raise Unreadable(f"too many words from {shown(words[most])} on: quote a value that has spaces")
    if keyword == "config":
        _check_section(*words)
    elif not _NAME.fullmatch(words[0].replace("-", "_") if keyword == "package" else words[0]):
        raise Unreadable(f"the name {shown(words[0])} is not allowed: letters, digits and _")


def _check_section(kind: str, name: str = "") -> None:
    if not _TYPE.fullmatch(kind):
        raise Unreadable(f"the type {shown(kind)} is not allowed: printable ASCII without spaces")
    if name and not _NAME.fullmatch(name):
        raise Unreadable(f"the name {shown(name)} is not allowed: letters, digits and _")
