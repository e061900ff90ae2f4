r"""Words of a line of iptables-save, which quotes what holds more than letters ("a \"b\""), line breaks too.

A quote opens a word only at its beginning: the kernel lets a device be called `x"y`, and that is printed as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"(?=\s|\Z)|([^\s"]\S*)', re.DOTALL)
_QUOTED = re.compile(r'(?<!\S)"(?:[^"\\]|\\.)*"(?!\S)', re.DOTALL)
_OPENS = re.compile(r'(?<!\S)"')
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)

MAX_LINES_OF_A_RULE = 64
"""A comment may hold line breaks. A quote that is open for longer will not be closed."""


def words(text: str) -> list[str]:
    """The words of a rule, unquoted. Raises: ValueError where a quote is not closed, or ends within a word."""
    if '"' not in text:
        return text.split()
    found: list[str] = []
    at = 0
    for match in _WORD.finditer(text):
        if text[at : match.start()].strip():
            raise ValueError("its quotes do not fit")
        at = match.end()
        quoted, bare = match.groups()
        found.append(bare if quoted is None else _ESCAPE.sub(r"\1", quoted))
    if text[at:].strip():
        raise ValueError("its quotes do not fit")
    return found


def whole_lines(text: str) -> Iterator[str]:
    """The lines of a listing; one that a comment breaks is put together again, if it ever is whole."""
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        taken = _taken(lines, at) if '"' in lines[at] and _is_open(lines[at]) else 1
        yield lines[at] if taken == 1 else "\n".join(lines[at : at + taken])
        at += taken


def _taken(lines: list[str], at: int) -> int:
    """How many lines the one at `at` reaches over."""
    for taken in range(2, MAX_LINES_OF_A_RULE + 1):
        if not _is_open("\n".join(lines[at : at + taken])):
            return taken
    return 1


def _is_open(line: str) -> bool:
    return _OPENS.search(_QUOTED.sub("", line)) is not None
