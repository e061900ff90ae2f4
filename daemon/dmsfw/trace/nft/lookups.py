"""Matches, sets and maps: whether a packet's fields are what a rule asks for, and which element of a set it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from dmsfw.trace.answer import NO, Answer, told, unknown
from dmsfw.trace.nft.field import Field
from dmsfw.trace.nft.fields import field
from dmsfw.trace.nft.model import Table
from dmsfw.trace.nft.text import written
from dmsfw.trace.nft.values import HUGE, Interval, Value, has_bits, interval, within
from dmsfw.trace.packet import Packet
from dmsfw.trace.scene import Scene

CATCH_ALL = "*"
CHANGED = "a rule before this one has changed the set"


class Element(NamedTuple):
    """An element of a set: an interval for each part of its key. `data`: what a map holds for it."""

    parts: tuple[Interval, ...]
    text: str
    comment: str = ""
    data: object = None


PUT = Element((), "that was put there on the way")


class Fitting(NamedTuple):
    """The elements that a packet may have. `sure`: the first one is it. `may_miss`: it may be none of them.

    `absent`: the packet has no such field, which ends the rule.
    """

    elements: tuple[Element, ...] = ()
    sure: bool = False
    may_miss: bool = True
    absent: bool = False
    why: str = ""


class Judged(NamedTuple):
    """An answer, and the element of a set that it hangs on."""

    answer: Answer
    element: Element | None = None


Test = Callable[[Packet, Scene], Judged]
Look = Callable[[Packet, Scene], Fitting]


class Stores:
    """The sets and maps of a table, each read once for a kind of key."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._known: dict[object, tuple[Element, ...]] = {}
        self._found: dict[object, Fitting] = {}

    def look(self, left: object, right: object) -> Look:
        """A look-up in a set by its name (`@name`), or in one that stands in the rule. Raises: ValueError and more."""
        asked = _fields(left)
        elements = self._elements(right, asked)
        name = self.name(right) if isinstance(right, str) else ""

        def look(packet: Packet, scene: Scene) -> Fitting:
            found = self._fitting(right, tuple(one.value(packet, scene) for one in asked), elements)
            return _in_doubt(found) if name in packet.changed_sets and not found.absent else found

        return look

    def _fitting(self, right: object, values: tuple[Value | None, ...], elements: tuple[Element, ...]) -> Fitting:
        """Many rules may look into one set for the same: it is searched once."""
        if not isinstance(right, str):
            return fitting(values, elements)
        key = (id(elements), values)
        if key not in self._found:
            self._found[key] = fitting(values, elements)
        return self._found[key]

    def name(self, store: object) -> str:
        """What a set (`@name`) is called among those of all tables."""
        return f"{self._table.title} {store}"

    def _elements(self, right: object, asked: Sequence[Field]) -> tuple[Element, ...]:
        if isinstance(right, dict):
            return _read(right["set"], asked)
        store = self._table.stores.get(str(right)[1:]) if str(right).startswith("@") else None
        if store is None:
            raise ValueError(f"there is no set {right}")
        key = (right, tuple(one.scalar for one in asked))
        if key not in self._known:
            self._known[key] = _read(store.items, asked)
        return self._known[key]


def match(body: dict[str, object], stores: Stores) -> Test:
    """The test of a match. Raises: ValueError, TypeError, KeyError for one that is not understood."""
    operator, left, right = body["op"], body["left"], body["right"]
    if _is_set(right):
        if operator not in {"==", "!=", "in"}:
            raise ValueError(f"{operator} a set")
        return _in_set(stores.look(left, right), negated=operator == "!=")
    (asked,) = _fields(left)
    if operator in {"in", "!"}:
        return _bits(asked, interval(right, asked.scalar, asked.bits)[0], negated=operator == "!")
    span = _span(str(operator), interval(right, asked.scalar, asked.bits))
    return _compared(asked, span, negated=operator == "!=")


def _is_set(right: object) -> bool:
    return (isinstance(right, dict) and "set" in right) or (isinstance(right, str) and right.startswith("@"))


def _span(operator: str, wanted: Interval) -> Interval:
    """The interval that an operator means. Raises: KeyError."""
    low, high = wanted
    return {"==": wanted, "!=": wanted, "<": (0, low - 1), "<=": (0, high), ">": (high + 1, HUGE), ">=": (low, HUGE)}[
        operator
    ]


def _fields(left: object) -> list[Field]:
    if isinstance(left, dict) and "concat" in left:
        return [field(one) for one in left["concat"]]
    return [field(left)]


def _compared(asked: Field, span: Interval, *, negated: bool) -> Test:
    def test(packet: Packet, scene: Scene) -> Judged:
        value = asked.value(packet, scene)
        return Judged(NO if value is None else _answer(within(value, span), value.why, negated=negated))

    return test


def _bits(asked: Field, wanted: int, *, negated: bool) -> Test:
    def test(packet: Packet, scene: Scene) -> Judged:
        value = asked.value(packet, scene)
        return Judged(NO if value is None else _answer(has_bits(value, wanted), value.why, negated=negated))

    return test


def _answer(matches: bool | None, why: str, *, negated: bool) -> Answer:  # noqa: FBT001 - it is what is answered
    answer = unknown(why or "that is not known") if matches is None else told(matches)
    return answer.turned() if negated else answer


def _in_set(look: Look, *, negated: bool) -> Test:
    def test(packet: Packet, scene: Scene) -> Judged:
        found = look(packet, scene)
        if found.absent:
            return Judged(NO)
        element = found.elements[0] if found.elements else None
        matches = not found.may_miss or (None if found.elements else False)
        return Judged(_answer(matches, found.why, negated=negated), None if negated else element)

    return test


def fitting(values: Sequence[Value | None], elements: Iterable[Element]) -> Fitting:
    """The elements that values may be, in order, up to the first one that they are for sure."""
    known = [value for value in values if value is not None]
    if len(known) != len(values):
        return Fitting(absent=True)
    why = next((value.why for value in known if not value.exact), "")
    possible: list[Element] = []
    for element in elements:
        fits = _fits(known, element)
        if fits is not False:
            possible.append(element)
        if fits:
            return Fitting(tuple(possible), sure=len(possible) == 1, may_miss=False, why=why)
    return Fitting(tuple(possible), why=why)


def _in_doubt(found: Fitting) -> Fitting:
    """What was listed holds no more: the packet itself has changed the set on its way."""
    return found._replace(elements=found.elements or (PUT,), sure=False, may_miss=True, why=CHANGED)


def _fits(values: Sequence[Value], element: Element) -> bool | None:
    result: bool | None = True
    for value, part in zip(values, element.parts, strict=True):
        fits = within(value, part)
        if fits is False:
            return False
        if fits is None:
            result = None
    return result


def _read(items: Iterable[object], asked: Sequence[Field]) -> tuple[Element, ...]:
    """The elements; what catches all others comes last. Raises: ValueError, TypeError, KeyError."""
    found = [_element(item, asked) for item in items]
    return tuple(sorted(found, key=lambda one: one.text == CATCH_ALL))


def _element(item: object, asked: Sequence[Field]) -> Element:
    key, data = item if isinstance(item, list) else (item, None)
    comment = ""
    if isinstance(key, dict) and "elem" in key:
        comment = str(key["elem"].get("comment", ""))
        key = key["elem"]["val"]
    if key == CATCH_ALL:
        return Element(((0, HUGE),) * len(asked), CATCH_ALL, comment, data)
    raw = key["concat"] if isinstance(key, dict) and "concat" in key else [key]
    parts = tuple(interval(one, of.scalar, of.bits) for one, of in zip(raw, asked, strict=True))
    return Element(parts, written(key), comment, data)
