"""`KEY set VALUE`: marks of the packet and of its connection; addresses that are changed without tracking."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from operator import and_, or_, xor

from dmsfw.trace.effect import Effect, Kind
from dmsfw.trace.nft import names
from dmsfw.trace.nft.fields import field
from dmsfw.trace.nft.lookups import Look, Stores
from dmsfw.trace.nft.model import Listed
from dmsfw.trace.nft.needs import needed
from dmsfw.trace.nft.operations import Do, Effects, Operation
from dmsfw.trace.nft.values import Value, anything, exactly, masked
from dmsfw.trace.packet import MAX_MARK, Packet
from dmsfw.trace.scene import Scene
from dmsfw.trace.tracked import is_tracked

Number = Callable[[Packet, Scene], "Value | None"]

JOINED: dict[str, Callable[[int, int], int]] = {
    "|": or_,
    "^": xor,
    "&": and_,
    "<<": lambda number, bits: number << min(max(bits, 0), MARK_BITS),
    ">>": lambda number, bits: number >> min(max(bits, 0), MARK_BITS),
}
MARK_BITS = 32
CHANGED = {"saddr": "src", "daddr": "dst", "sport": "sport", "dport": "dport"}


def mangle(key: Listed, value: Listed, stores: Stores) -> Iterator[Operation]:
    """What it does. Raises: ValueError, TypeError, KeyError, AttributeError."""
    if not isinstance(key, dict) or len(key) != 1:
        raise TypeError("it sets nothing")
    kind, body = next(iter(key.items()))
    yield from needed(value, stores)
    if kind not in {"meta", "ct"}:
        yield from needed(key, stores)
    if kind in {"meta", "ct"} and body["key"] == "mark":
        done = _marked if kind == "meta" else _remembered
        number = _number(value, stores)
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


def _number(raw: Listed, stores: Stores) -> Number:
    """What an expression comes to; None where the packet lacks something that it needs.

    Raises: ValueError, TypeError, KeyError.
    """
    if not isinstance(raw, dict):
        value = exactly(names.number(raw)[0])
        return lambda *_: value
    (kind, body), *_ = raw.items()
    if kind in JOINED:
        return _operation(kind, [_number(part, stores) for part in body])
    if kind in {"meta", "ct", "payload"}:
        return field(raw).value
    if kind == "map":
        return _mapped(stores.look(body["key"], body["data"]))
    return lambda *_: anything(f"{kind} is not followed")


def _mapped(look: Look) -> Number:
    def number(packet: Packet, scene: Scene) -> Value | None:
        found = look(packet, scene)
        if not found.sure:
            return anything("which element of a map it is is not known")
        try:
            return Value(*names.number(found.elements[0].data))
        except (ValueError, TypeError):
            return anything("what a map says is not understood")

    return number


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
            found = exactly(JOINED[kind](found.low, part.low) & MAX_MARK)
        else:
            found = anything("it is made of what is not known")
    return found
