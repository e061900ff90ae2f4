"""What is known of a field of a packet, and how that compares to what a rule asks: three-valued, as everywhere.

All of it is numbers, as in the kernel: an address, a port, a set of bits, and a device's name too (16 bytes).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

Interval = tuple[int, int]
Scalar = Callable[[object], Interval]
"""Reads a value as nft writes it. Raises: ValueError, TypeError, KeyError."""

ALL_BITS = -1
HUGE = 1 << 256


class Value(NamedTuple):
    """Something between `low` and `high`; or, where not all bits are `known`, those of `low` that are.

    `why`: what is not known.
    """

    low: int
    high: int
    known: int = ALL_BITS
    why: str = ""

    @property
    def exact(self) -> bool:
        """There is only one."""
        return self.low == self.high and self.known == ALL_BITS


def exactly(number: int) -> Value:
    """A value that is known."""
    return Value(number, number)


def anything(why: str) -> Value:
    """A value of which nothing is known."""
    return Value(0, 0, 0, why)


def within(value: Value, interval: Interval) -> bool | None:
    """Whether it lies there; None: not known."""
    low, high = interval
    if value.known == ALL_BITS:
        if low <= value.low and value.high <= high:
            return True
        return False if value.high < low or high < value.low else None
    if low == high and (low ^ value.low) & value.known:
        return False
    return None


def masked(value: Value, mask: int) -> Value:
    """The value with some bits only."""
    if value.known == ALL_BITS and value.low != value.high:
        return Value(0, 0, ~mask, value.why)
    return Value(value.low & mask, value.low & mask, value.known | ~mask, value.why)


def has_bits(value: Value, wanted: int) -> bool | None:
    """Whether one of these bits is set; None: not known."""
    found = masked(value, wanted)
    if found.low & found.known:
        return True
    return None if wanted & ~found.known else False


def interval(raw: object, scalar: Scalar, bits: int) -> Interval:
    """Read one value, a prefix, a range, or a list of bits. Raises: ValueError, TypeError, KeyError."""
    if isinstance(raw, list):
        return _union(raw, scalar)
    if isinstance(raw, dict) and len(raw) == 1:
        kind, body = next(iter(raw.items()))
        if kind == "prefix":
            return _prefix(body, scalar, bits)
        if kind == "range":
            first, last = body
            return scalar(first)[0], scalar(last)[1]
        if kind == "|":
            return _union(body, scalar)
    return (0, HUGE) if raw == "*" else scalar(raw)


def _prefix(body: object, scalar: Scalar, bits: int) -> Interval:
    if not isinstance(body, dict):
        raise TypeError("no prefix")
    length = body["len"]
    if not isinstance(length, int) or not 0 <= length <= bits:
        raise ValueError(f"/{length} is no prefix")
    rest = (1 << (bits - length)) - 1
    first = scalar(body["addr"])[0] & ~rest
    return first, first | rest


def _union(raw: list[object], scalar: Scalar) -> Interval:
    found = 0
    for one in raw:
        found |= interval(one, scalar, 0)[0]
    return found, found
