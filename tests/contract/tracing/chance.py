"""What generators draw by."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any


class Chance:
    """One source of chance; the same draws for the same seed."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def _one(self, among: Sequence[Any]) -> Any:
        return among[self._random.randrange(len(among))]

    def _chance(self, share: float) -> bool:
        return self._random.randrange(100) < share * 100

    def _number(self, low: int, high: int) -> int:
        return self._random.randint(low, high)
