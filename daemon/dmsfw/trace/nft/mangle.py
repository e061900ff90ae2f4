"""`KEY set VALUE`: marks of the packet and of its connection; addresses that are changed without tracking."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from dmsfw.trace.answer import NO, YES
from dmsfw.trace.effect import Effect, Kind
from dmsfw.trace.nft import names
from dmsfw.trace.nft.fields import field
from dmsfw.trace.nft.lookups import Judged
from dmsfw.trace.nft.model import Listed
from dmsfw.trace.nft.operations import Ask, Do, Effects, Operation
from dmsfw.trace.nft.values import Value, anything, exactly, masked
from dmsfw.trace.packet import MAX_MARK, Packet
from dmsfw.trace.scene import Scene
from dmsfw.trace.tracked import is_tracked

Number = Callable[[Packet, Scene], "Value | None"]

CHANGED = {"saddr": "src", "daddr": "dst", "sport": "sport", "dport": "dport"}


def mangle(key: Listed, value: Listed) -> Iterator[Operation]:
    """What it does. Raises: ValueError, TypeError, KeyError, AttributeError."""
    if not isinstance(key, dict) or len(key) != 1:
        raise TypeError("it sets nothing")
    kind, body = next(iter(key.items()))
    if kind in {"meta", "ct"} and body["key"] == "mark":
        done = _marked if kind == "meta" else _remembered
        number = _number(value)
        yield Ask(lambda packet, scene: Judged(NO if number(packet, scene) is None else YES))
        yield Do(lambda packet, scene: done(packet, number(packet, scene)))
    elif kind == "payload" and body.get("field") in CHANGED:
        name = CHANGED[body["field"]]
        yield Do(lambda packet, _: _goes_on(packet.not_known(name), f"changes its {body['field']}"))


def _goes_on(packet: Packet, does: str) -> Effects:
    return (Effect(Kind.CONTINUES, packet, does),)


def _marked(packet: Packet, number: Value | None) -> Effects:
    if number is None or not number.exact:
        return _goes_on(packet.not_known("mark"), "sets a mark that is not known here")
    mark = number.low & MAX_MARK
    return _goes_on(replace(packet, mark=mark).known("mark"), f"marks it 0x{mark:x}")


def _remembered(packet: Packet, number: Value | None) -> Effects:
    if not is_tracked(packet):
        return _goes_on(packet, "goes on: it belongs to no connection")
    mark = number.low & MAX_MARK if number is not None and number.exact else None
    return _goes_on(replace(packet, connection=replace(packet.connection, mark=mark)), "marks its connection")


def _number(raw: Listed) -> Number:
    """What an expression comes to; None where the packet lacks something that it needs.

    Raises: ValueError, TypeError, KeyError.
    """
    if not isinstance(raw, dict):
        value = exactly(names.number(raw)[0])
        return lambda *_: value
    (kind, body), *_ = raw.items()
    if kind in {"|", "^", "&"}:
        return _operation(kind, [_number(part) for part in body])
    if kind in {"meta", "ct", "payload"}:
        return field(raw).value
    return lambda *_: anything("a map says it")


def _operation(kind: str, parts: list[Number]) -> Number:
    def number(packet: Packet, scene: Scene) -> Value | None:
        values = [part(packet, scene) for part in parts]
        known = [value for value in values if value is not None]
        return _joined(kind, known) if len(known) == len(values) else None

    return number


def _joined(kind: str, parts: list[Value]) -> Value:
    found = parts[0]
    for part in parts[1:]:
        if kind == "&" and part.exact:
            found = masked(found, part.low)
        elif kind != "&" and found.exact and part.exact:
            found = exactly(found.low | part.low if kind == "|" else found.low ^ part.low)
        else:
            found = anything("it is made of what is not known")
    return found
