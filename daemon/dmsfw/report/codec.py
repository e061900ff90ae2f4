"""Frozen dataclasses to JSON and back, with every type checked on the way in: the file may be anybody's."""

from __future__ import annotations

import dataclasses
import json
import types
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints

from dmsfw.report.text import clean

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T")

TEXT_LIMIT = 2000
"""Characters of one text: as long as the longest line to paste."""

MAX_NUMBER = 2**63
"""Whole numbers from here on are no ages, times or durations; some cannot be floats at all."""


class Malformed(ValueError):
    """The text is no such value; the message names the field."""


def dumps(value: DataclassInstance) -> str:
    """Write a dataclass as JSON, one key a line, every text in it clean: the file is read on terminals too."""
    return json.dumps(_cleaned(dataclasses.asdict(value)), ensure_ascii=False, indent=1) + "\n"


def parse(text: str) -> dict[str, Any]:
    """Read a JSON object.

    Raises: Malformed for anything else, however deep or long.
    """
    try:
        found = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Malformed("no JSON") from error
    if not isinstance(found, dict):
        raise Malformed("no object")
    return found


def build(kind: type[T], found: object, where: str = "") -> T:
    """Make a dataclass of a parsed object. Unknown keys are passed over, missing ones take their defaults.

    Raises: Malformed where a value has another type than its field, or one without a default is missing.
    """
    if not isinstance(found, dict):
        raise Malformed(f"{where or 'all'}: no object")
    hints = get_type_hints(kind)
    known = [name for name in hints if name in found]
    values = {name: _value(hints[name], found[name], f"{where}.{name}".lstrip(".")) for name in known}
    try:
        return kind(**values)
    except TypeError as error:
        raise Malformed(f"{where or 'all'}: a field is missing") from error


def _cleaned(value: object) -> object:
    if isinstance(value, str):
        return clean(value, TEXT_LIMIT) if value else ""
    if isinstance(value, dict):
        return {key: _cleaned(item) for key, item in value.items()}
    return [_cleaned(item) for item in value] if isinstance(value, (list, tuple)) else value


def _value(hint: object, found: object, where: str) -> object:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in {Union, types.UnionType}:
        return None if found is None else _value(arguments[0], found, where)
    if origin is tuple:
        return _tuple(arguments[0], found, where)
    if origin is Literal:
        if found not in arguments:
            raise _malformed(found, where)
        return found
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return build(hint, found, where)
    return _scalar(hint, found, where)


def _tuple(kind: object, found: object, where: str) -> tuple[object, ...]:
    if not isinstance(found, list):
        raise _malformed(found, where)
    return tuple(_value(kind, item, f"{where}[{index}]") for index, item in enumerate(found))


def _scalar(kind: object, found: object, where: str) -> object:
    """Check by the exact type: JSON's `true` is no number here, though Python's is."""
    if kind is float and type(found) is int and abs(found) < MAX_NUMBER:
        return float(found)
    if type(found) is not kind:
        raise _malformed(found, where)
    return found


def _malformed(found: object, where: str) -> Malformed:
    return Malformed(f"{where}: {clean(repr(found), 40)}")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)
