"""How text from outside is shown: on one line, printable, short. Whatever a file holds, a message stays a message."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SHOWN_LENGTH = 60
"""Characters of a value that a message shows; a label or a path is still recognised by them."""

COMPARED_LENGTH = 40
"""Characters of an unknown name that are compared; difflib takes quadratic time, and a name may fill the whole file."""


MOST_NAMES = 12
"""Known names that a message lists; a foreign file may bring any number of them."""


def printable(text: str) -> str:
    """Write control characters, escapes, newlines, bidi marks and undecodable bytes as backslash escapes."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def short(text: str) -> str:
    """Make `text` fit for a message: printable, at most `SHOWN_LENGTH` characters, `...` where it was cut."""
    line = printable(text[: SHOWN_LENGTH + 1])
    return line if len(line) <= SHOWN_LENGTH else line[: SHOWN_LENGTH - 3] + "..."


def shown(text: str) -> str:
    """Quote a value for a message: `'465'`."""
    return f"'{short(text)}'"


def whole(path: Path) -> str:
    """Quote a path for a message. It is not cut: its end is what tells it from others, and PATH_MAX is its length."""
    return f"'{printable(str(path))}'"


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which known name was probably meant; where none is near, say which there are."""
    names = sorted(known)
    near = difflib.get_close_matches(name[:COMPARED_LENGTH].lower(), names, n=1, cutoff=0.6)
    if near:
        return f"did you mean '{short(near[0])}'?"
    return f"known: {', '.join(short(name) for name in names[:MOST_NAMES])}{', ...' * (len(names) > MOST_NAMES)}"
