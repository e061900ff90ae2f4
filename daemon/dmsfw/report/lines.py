"""One log entry as one line: `message key=value key="with spaces"`, or one JSON object. Every value passes `clean`."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from dmsfw.report.text import clean, pad

if TYPE_CHECKING:
    from collections.abc import Mapping

VALUE_LIMIT = 400
"""Characters of one value: more than a name's, since errors and lists of networks are values too."""

_PLAIN = re.compile(r'[^\s"=\\]+')
_BEFORE_QUOTE = re.compile(r'(\\*)("|$)')

_COLOURS = {"debug": "2", "info": "32", "warning": "33", "error": "31"}
_LEVEL_WIDTH = len("warning")
_EVENT_WIDTH = 22
"""Columns of the message on a terminal: most messages are shorter, so that the keys stand below each other."""


def text_line(event: str, values: Mapping[str, Any]) -> str:
    """Write the message and its keys, plain."""
    return f"{clean(event, VALUE_LIMIT)} {_pairs(values)}".rstrip()


def terminal_line(level: str, event: str, values: Mapping[str, Any], *, stamp: str, colour: bool) -> str:
    """The same for people: time of day, level and message in columns, the keys dimmed."""
    message = clean(event, VALUE_LIMIT)
    if not colour:
        return f"{stamp} {pad(level, _LEVEL_WIDTH)} {pad(message, _EVENT_WIDTH)} {_pairs(values)}".rstrip()
    pairs = " ".join(f"\x1b[2m{clean(key)}=\x1b[0m{value_text(value)}" for key, value in values.items())
    painted = f"\x1b[{_COLOURS[level]}m{pad(level, _LEVEL_WIDTH)}\x1b[0m"
    return f"\x1b[2m{stamp}\x1b[0m {painted} \x1b[1m{pad(message, _EVENT_WIDTH)}\x1b[0m {pairs}".rstrip()


def json_line(level: str, event: str, values: Mapping[str, Any], *, stamp: str = "", room: int = 0) -> str:
    """Write one object. `room` (bytes, 0: any): values are shortened, and at last left out, until it fits whole."""
    head = {"timestamp": stamp} if stamp else {}
    head |= {"level": level, "event": clean(event, VALUE_LIMIT)}
    for limit in (VALUE_LIMIT, 120, 40, 12):
        line = _dumps({**{clean(key): _json_value(value, limit) for key, value in values.items()}, **head}, head)
        if not room or len(line.encode()) <= room:
            return line
    return _dumps({**head, "event": clean(event), "cut": True}, head)


def value_text(value: object) -> str:
    r"""Write one value, quoted where it holds a space, a quote or `=`: a name cannot pass for a key of ours.

    Inside quotes `\"` is a quote; a backslash is doubled only in front of one, so that `\n` stays readable.
    """
    items = _items(value)
    whole = value if items is None else ",".join(items)
    text = "" if isinstance(whole, str) and not whole else clean(whole, VALUE_LIMIT)
    if _PLAIN.fullmatch(text):
        return text
    return '"' + _BEFORE_QUOTE.sub(lambda found: found[1] * 2 + ('\\"' if found[2] else ""), text) + '"'


def _pairs(values: Mapping[str, Any]) -> str:
    return " ".join(f"{clean(key)}={value_text(value)}" for key, value in values.items())


def _items(value: object) -> list[str] | None:
    """Return what a list-like value holds, each item clean; sets in order. None: it is not list-like."""
    if isinstance(value, (set, frozenset)):
        return sorted(clean(item, VALUE_LIMIT) for item in value)
    return [clean(item, VALUE_LIMIT) for item in value] if isinstance(value, (tuple, list)) else None


def _json_value(value: object, limit: int) -> object:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    items = _items(value)
    if items is not None:
        return [clean(item, limit) for item in items]
    return "" if isinstance(value, str) and not value else clean(value, limit)


def _dumps(entry: Mapping[str, Any], head: Mapping[str, Any]) -> str:
    ordered = {key: entry[key] for key in (*head, *(key for key in entry if key not in head))}
    return json.dumps(ordered, ensure_ascii=False, separators=(",", ":"))
