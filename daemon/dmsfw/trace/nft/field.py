"""A field of a packet that a rule may ask for."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from dmsfw.trace.nft.values import Interval, Scalar, Value, anything
from dmsfw.trace.packet import Packet
from dmsfw.trace.scene import Scene


class Field(NamedTuple):
    """`scalar` reads how nft writes its values, which have so many `bits`. `value` None: the packet has no such thing.

    `flags`: a value is a set of bits.
    """

    scalar: Scalar
    bits: int
    value: Callable[[Packet, Scene], Value | None]

    @property
    def is_followed(self) -> bool:
        """Something may be known of it."""
        return self.scalar is not _whatever


def not_followed(what: str) -> Field:
    """A field of which nothing is known, whatever it is compared to."""
    return Field(_whatever, 128, lambda *_: anything(f"{what} is not followed"))


def _whatever(_: object) -> Interval:
    return 1, 1
