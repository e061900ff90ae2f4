"""Boxes: keys of a set with ranges in them. Pure.

The kernel refuses an element that overlaps another one, or takes it, as it comes: so no two that we give it do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from math import prod
from operator import itemgetter
from typing import NamedTuple, cast


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
_Numbered = tuple[int, Box, str]


def disjoint(boxes: Iterable[Labelled]) -> dict[Box, str]:
    """Cut boxes so that none overlaps another and all together hold the same as before.

    Where two overlap, the larger one stays whole, at equal size the earlier one. Each piece keeps its box's label.
    """
    return Cutter().disjoint(boxes)


class Cutter:
    """Cuts boxes, and remembers how those were cut that have the same names: most are as they were a moment ago."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], tuple[list[Labelled], list[Labelled]]] = {}

    def disjoint(self, boxes: Iterable[Labelled]) -> dict[Box, str]:
        """See the function of that name."""
        groups: dict[tuple[str, ...], list[Labelled]] = defaultdict(list)
        for labelled in boxes:
            groups[tuple([part for part in labelled[0] if type(part) is str])].append(labelled)
        self._known = {names: self._cut(names, group) for names, group in groups.items()}
        return {box: label for _, cut in self._known.values() for box, label in cut}

    def _cut(self, names: tuple[str, ...], group: list[Labelled]) -> tuple[list[Labelled], list[Labelled]]:
        known = self._known.get(names)
        if known is not None and known[0] == group:
            return known
        pieces = (piece for lot in _apart([(number, *one) for number, one in enumerate(group)]) for piece in _cut(lot))
        return group, [(box, label) for _, box, label in sorted(pieces, key=itemgetter(0))]


def meet(one: Box, other: Box) -> bool:
    """Tell whether two boxes have a point in common."""
    return all(_meet(mine, its) for mine, its in zip(one, other, strict=True))


def _apart(boxes: list[_Numbered], part: int = 0) -> Iterator[list[_Numbered]]:
    """Lots of which no two can overlap, since there is a gap between their spans of some part. Names do not differ."""
    if len(boxes) == 1 or part == len(boxes[0][1]):
        yield boxes
        return
    if isinstance(boxes[0][1][part], str):
        yield from _apart(boxes, part + 1)
        return
    for lot in _with_gaps(boxes, part):
        yield from _apart(lot, part + 1)


def _with_gaps(boxes: list[_Numbered], part: int) -> Iterator[list[_Numbered]]:
    """Split where no span of this part reaches across."""
    lot: list[_Numbered] = []
    reached = -1
    for one in sorted(boxes, key=lambda one: _span(one[1], part).first):
        span = _span(one[1], part)
        if lot and span.first > reached:
            yield lot
            lot = []
        lot.append(one)
        reached = max(reached, span.last)
    yield lot


def _span(box: Box, part: int) -> Span:
    return cast("Span", box[part])


def _cut(boxes: list[_Numbered]) -> Iterator[_Numbered]:
    """Cut the boxes of a lot: each against all that are larger."""
    if len(boxes) == 1:
        yield boxes[0]
        return
    done: list[Box] = []
    for number, box, label in sorted(boxes, key=lambda one: (-_size(one[1]), one[0])):
        pieces = [box]
        for other in done:
            pieces = [rest for piece in pieces for rest in _without(piece, other)]
        done += pieces
        yield from ((number, piece, label) for piece in pieces)


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
