"""Waiting for conditions; nothing in the lab sleeps for luck."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from typing import TypeVar

from tests.lab.errors import NotYet

T = TypeVar("T")

TIMEOUT_S = 20.0
"""Far above what anything here takes, so that only a fault meets it, also on a slow and busy machine."""
FIRST_PAUSE_S, LAST_PAUSE_S = 0.002, 0.05
"""Between two looks: short at first, since most conditions hold within milliseconds."""


def wait(condition: Callable[[], T | None], what: str = "", timeout: float = TIMEOUT_S) -> T:
    """Return the condition's first true value.

    Raises: NotYet after `timeout` seconds, with the last value seen (or the last exception, which also counts as "no").
    """
    deadline, pause = time.monotonic() + timeout, FIRST_PAUSE_S
    while True:
        seen, value = _look(condition)
        if value:
            return value
        if time.monotonic() > deadline:
            raise NotYet(f"waited {timeout:g} s for {what or _source(condition)}; last seen: {seen}")
        time.sleep(pause)
        pause = min(pause * 1.5, LAST_PAUSE_S)


def _look(condition: Callable[[], T | None]) -> tuple[str, T | None]:
    try:
        value = condition()
    except Exception as error:  # noqa: BLE001 - whatever it is, it may be over at the next look
        return repr(error), None
    return repr(value), value


def _source(condition: Callable[[], object]) -> str:
    try:
        return inspect.getsource(condition).strip()
    except (OSError, TypeError):
        return repr(condition)
