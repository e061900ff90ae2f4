"""Sets of ports: what is left when some are taken away. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

from dmsfw.config.values import merged
from dmsfw.model import MAX_PORT, PortRange, Ports

EVERY: Ports = (PortRange(1, MAX_PORT),)
"""What `any` stands for, where ports are counted."""


def without(ports: Ports, taken: Ports) -> Ports:
    """Return those of `ports` that are not in `taken`. Neither is `any`: say `EVERY`."""
    left = list(ports)
    for gap in taken:
        left = [piece for one in left for piece in _cut(one, gap)]
    return tuple(left)


def both(ports: Ports, others: Ports) -> Ports:
    """Return the ports that are in both."""
    return without(ports, without(EVERY, others))


def count(ports: Ports) -> int:
    """Return how many they are."""
    return sum(last - first + 1 for first, last in ports)


def joined(sets: Iterable[Ports]) -> Ports:
    """Return the ports that are in any of the sets."""
    return merged(chain.from_iterable(sets))


def _cut(one: PortRange, gap: PortRange) -> Iterable[PortRange]:
    if one.first < gap.first:
        yield PortRange(one.first, min(one.last, gap.first - 1))
    if one.last > gap.last:
        yield PortRange(max(one.first, gap.last + 1), one.last)
