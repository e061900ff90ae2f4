"""A word of a match with its values, and what a test is."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from dmsfw.trace.answer import Answer
from dmsfw.trace.packet import Packet
from dmsfw.trace.scene import Scene

Test = Callable[[Packet, Scene], Answer]


class Option(NamedTuple):
    """`! --dport 25` is Option("--dport", ("25",), True)."""

    name: str
    values: tuple[str, ...]
    invert: bool = False

    @property
    def value(self) -> str:
        """Its only value. Raises: ValueError when it has none, or more."""
        if len(self.values) != 1:
            raise ValueError(f"{self.name} has {len(self.values)} values")
        return self.values[0]

    @property
    def no_value(self) -> None:
        """Nothing. Raises: ValueError when it has a value."""
        if self.values:
            raise ValueError(f"{self.name} has a value")


def turned(test: Test) -> Test:
    """The opposite test."""

    def opposite(packet: Packet, scene: Scene) -> Answer:
        return test(packet, scene).turned()

    return opposite


def asked(test: Test, option: Option) -> Test:
    """The test as the option asks it: turned by a `!`."""
    return turned(test) if option.invert else test


def numbers(text: str, separator: str = ":", highest: int = 65535) -> tuple[int, int]:
    """Read `5`, `5:9`, `:9` or `5:` as first and last. Raises: ValueError."""
    first, found, last = text.partition(separator)
    low = int(first or "0", 0)
    high = int(last or str(highest), 0) if found else low
    if not 0 <= low <= high <= highest:
        raise ValueError(f"{text} is no range")
    return low, high


def value_and_mask(text: str) -> tuple[int, int]:
    """Read `0x1/0x3`, or `0x1` for all bits. Raises: ValueError."""
    value, found, mask = text.partition("/")
    return int(value, 0), int(mask, 0) if found else 0xFFFFFFFF
