"""Docker's answers, read as what they are: JSON of any shape."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address

Raw = Mapping[str, object]


def is_address(text: str) -> bool:
    """Tell whether a text is an address."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def part(raw: Raw, key: str) -> Raw:
    """An object within an object; an empty one where there is none."""
    part = raw.get(key)
    return part if isinstance(part, dict) else {}


def text(raw: object) -> str:
    """A text; empty where it is none."""
    return raw if isinstance(raw, str) else ""


def texts_of(raw: object) -> list[str]:
    """The texts of a list."""
    return [one for one in raw if isinstance(one, str)] if isinstance(raw, list) else []


def pairs(raw: object) -> dict[str, str]:
    """An object whose values are texts."""
    if not isinstance(raw, dict):
        return {}
    return {key: value for key, value in raw.items() if isinstance(key, str) and isinstance(value, str)}
