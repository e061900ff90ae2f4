r"""The one filter through which every foreign name passes before a log, a table, a metric or a terminal.

Docker accepts a network called `evil\n\e[31m...`; whoever may create networks would write our log lines otherwise.
"""

from __future__ import annotations

import os
import re
import unicodedata

LIMIT = 120
"""Characters that a name may take by default: longer ones break every table and carry nothing more."""

DELETE = 0x7F
ELLIPSIS = "\u2026"

_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]",
)
"""Characters that Python calls printable and that show nothing (Unicode: Default_Ignorable_Code_Point, and the blank
Braille pattern): two names that differ only by one of them would look alike."""

_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def clean(text: object, limit: int = LIMIT) -> str:
    r"""Return `text` fit to be shown: one line, visible, at most `limit` (>= 1) characters, never empty (`""` instead).

    What cannot be seen becomes an escape (`\n`, `\x1b`, `\u202e`); printable Unicode stays. So does a backslash,
    so that cleaning twice changes nothing. Never raises: an object that cannot be written gives its type's name.
    """
    whole = _written(text)
    if len(whole) > limit or not is_clean(whole):
        return _cut(whole, limit)
    return whole or '""'


def is_clean(text: str) -> bool:
    """Tell whether all of `text` is visible. `str.isprintable` refuses Cc, Cf, Cs, Co, Cn and odd spaces."""
    return text.isprintable() and (text.isascii() or _INVISIBLE.search(text) is None)


def display_width(text: str) -> int:
    """Terminal columns that clean `text` takes: East Asian wide characters take two, combining marks none."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def pad(text: str, width: int) -> str:
    """Fill clean `text` with spaces up to `width` columns; one that is wider stays as it is."""
    return text + " " * max(0, width - display_width(text))


def colour_wanted() -> bool:
    """Tell whether the environment lets a terminal be coloured (no-color.org; TERM=dumb)."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _written(text: object) -> str:
    try:
        return str(text)
    except Exception:  # noqa: BLE001 - a foreign object's __str__ may do anything, and a log line must not fail by it
        return f"<{type(text).__name__}>"


def _cut(text: str, limit: int) -> str:
    """Escape and shorten, never through the middle of an escape."""
    pieces: list[str] = []
    length = fits = 0
    for character in text[: limit + 1]:
        piece = _escape(character)
        pieces.append(piece)
        length += len(piece)
        if length > limit:
            return "".join(pieces[:fits]) + ELLIPSIS
        if length < limit:
            fits = len(pieces)
    return "".join(pieces)


def _escape(character: str) -> str:
    if is_clean(character):
        return character
    if character in _SHORT:
        return _SHORT[character]
    if ord(character) <= DELETE:
        return f"\\x{ord(character):02x}"
    return character.encode("ascii", "backslashreplace").decode()


def _columns(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1
