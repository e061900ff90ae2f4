"""Boxes: keys of a set with ranges in them. Pure.

The kernel refuses an element that overlaps another one, or takes it, as it comes: so no two that we give it do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from math import prod
from typing import NamedTuple


class Span(NamedTuple):
    """Numbers from `first` to `last`, both included."""

    first: int
    last: int

    def meets(self, other: Span) -> bool:
        """Tell whether they have a number in common."""
        return self.first <= other.last and other.first <= self.last


Box = tuple["str | Span", ...]
"""A name stands for itself. All boxes of one set have as many parts, names in the same places."""

Labelled = tuple[Box, str]


def disjoint(boxes: Iterable[Labelled]) -> dict[Box, str]:
    """Cut boxes so that none overlaps another and all together hold the same as before.

    Where two overlap, the larger one stays whole, at equal size the earlier one. Each piece keeps its box's label.
    """
    groups: dict[tuple[str, ...], list[Labelled]] = defaultdict(list)
    for box, label in boxes:
        groups[tuple(part for part in box if isinstance(part, str))].append((box, label))
    return {box: label for group in groups.values() for box, label in _group(group)}


def meet(one: Box, other: Box) -> bool:
    """Tell whether two boxes have a point in common."""
    return all(_meet(mine, its) for mine, its in zip(one, other, strict=True))


def _group(boxes: list[Labelled]) -> Iterator[Labelled]:
    """All boxes of a group have the same names."""
    done: list[Box] = []
    for box, label in sorted(boxes, key=lambda labelled: -_size(labelled[0])):
        pieces = [box]
        for other in done:
            pieces = [rest for piece in pieces for rest in _without(piece, other)]
        done += pieces
        yield from ((piece, label) for piece in pieces)


def _size(box: Box) -> int:
    return prod(part.last - part.first + 1 for part in box if isinstance(part, Span))


def _without(box: Box, other: Box) -> Iterator[Box]:
    """What is left of a box: for each range, what lies below and above the other's, the ranges before it narrowed."""
    if not meet(box, other):
        yield box
        return
    for index, (mine, its) in enumerate(zip(box, other, strict=True)):
        if isinstance(mine, str) or isinstance(its, str):
            continue
        for rest in (Span(mine.first, its.first - 1), Span(its.last + 1, mine.last)):
            if rest.first <= rest.last:
                yield (*box[:index], rest, *box[index + 1 :])
        box = (*box[:index], Span(max(mine.first, its.first), min(mine.last, its.last)), *box[index + 1 :])


def _meet(mine: str | Span, its: str | Span) -> bool:
    if isinstance(mine, Span) and isinstance(its, Span):
        return mine.meets(its)
    return mine == its
