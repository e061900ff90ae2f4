"""What has been said already, so that each thing is said once when it becomes so, and a quiet system says nothing."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeVar

T = TypeVar("T", bound=Hashable)


class News:
    """Remembers the last thing that was said of each topic."""

    def __init__(self) -> None:
        self._said: dict[str, Hashable] = {}
        self._listed: dict[str, frozenset[Hashable]] = {}

    def last(self, topic: str) -> Hashable:
        """What holds of a topic; None or empty: nothing."""
        return self._said.get(topic)

    def is_new(self, topic: str, what: Hashable) -> bool:
        """Remember it; true when it is something, and something else than last time.

        None and an empty tuple say that there is nothing any more.
        """
        if self._said.get(topic) == what:
            return False
        self._said[topic] = what
        return bool(what)

    def new_of(self, topic: str, items: Sequence[T]) -> list[T]:
        """Remember what holds of a topic that has several things at once, and return those that are new."""
        before = self._listed.get(topic, frozenset())
        self._listed[topic] = frozenset(items)
        return [item for item in items if item not in before]
