"""What a rule may ask of a packet's connection (net/netfilter/nft_ct.c). Without one all but its state end a rule."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from dmsfw.trace.matches.tracking import NotKnown, original, protocol_of, replies
from dmsfw.trace.nft import names
from dmsfw.trace.nft.field import Field, not_followed
from dmsfw.trace.nft.values import Value, anything, exactly
from dmsfw.trace.packet import NUMBERS, WITH_PORTS, Ends, Packet
from dmsfw.trace.scene import Scene
from dmsfw.trace.tracked import is_tracked

TRANSLATED = {"SNAT": names.STATUSES["snat"], "DNAT": names.STATUSES["dnat"]}
LIVES = sum(names.STATUSES[name] for name in ("expected", "seen-reply", "assured", "confirmed"))
"""Bits that a first packet's connection has not yet."""

ANSWERED = names.STATUSES["seen-reply"] | names.STATUSES["confirmed"]
ENDS = {"original": original, "reply": replies}


def field(body: dict[str, str]) -> Field:
    """The field of a `ct` expression."""
    key, direction = body["key"], body.get("dir", "")
    if not direction and key in PLAIN:
        return PLAIN[key]
    found = OF_ENDS.get(key)
    if found is None or direction not in ENDS:
        return not_followed(f"ct {key}")
    scalar, bits, ask = found
    return Field(scalar, bits, partial(_of_connection, partial(ask, key, ENDS[direction])))


def _of_connection(ask: Callable[[Packet], Value | None], packet: Packet, _: Scene) -> Value | None:
    if not is_tracked(packet):
        return None
    try:
        return ask(packet)
    except NotKnown as reason:
        return anything(str(reason))


def _state(packet: Packet, _: Scene) -> Value:
    return exactly(names.STATES[packet.ctstate.lower()])


def _mark(packet: Packet) -> Value:
    mark = packet.connection.mark
    return anything("the connection's mark is not known") if mark is None else exactly(mark)


def _direction(packet: Packet) -> Value:
    direction = packet.connection.direction
    return (
        anything("the packet's direction is not known") if direction is None else exactly(names.DIRECTIONS[direction])
    )


def _status(packet: Packet) -> Value:
    """As far as it is known. A first packet's connection is not answered; one that is answered was confirmed."""
    nat = packet.connection.nat
    known = 0 if nat is None else sum(TRANSLATED.values())
    found = sum(bit for name, bit in TRANSLATED.items() if name in (nat or ()))
    if packet.ctstate == "NEW":
        known |= LIVES
    if packet.ctstate == "ESTABLISHED":
        known, found = known | ANSWERED, found | ANSWERED
    return Value(found, found, known, "the connection's status is not known")


def _protocol(packet: Packet) -> Value:
    name = protocol_of(packet)
    return exactly(NUMBERS[name] if name in NUMBERS else int(name))


def _address(key: str, ends: Callable[[Packet], Ends], packet: Packet) -> Value | None:
    if key.startswith("ip") and (packet.family == 4) != key.startswith("ip "):  # noqa: PLR2004 - its name
        return None
    found = ends(packet)
    return exactly(int(found.src if key.endswith("saddr") else found.dst))


def _port(key: str, ends: Callable[[Packet], Ends], packet: Packet) -> Value:
    found = ends(packet)
    port = found.sport if key == "proto-src" else found.dport
    if protocol_of(packet) not in WITH_PORTS or port is None:
        return anything("the connection's ports are not known")
    return exactly(port)


PLAIN = {
    "state": Field(names.named(names.STATES), 32, _state),
    "status": Field(names.named(names.STATUSES), 32, partial(_of_connection, _status)),
    "mark": Field(names.number, 32, partial(_of_connection, _mark)),
    "direction": Field(names.named(names.DIRECTIONS), 8, partial(_of_connection, _direction)),
    "protocol": Field(names.proto, 8, partial(_of_connection, _protocol)),
}
OF_ENDS = {
    "ip saddr": (names.address4, 32, _address),
    "ip daddr": (names.address4, 32, _address),
    "ip6 saddr": (names.address6, 128, _address),
    "ip6 daddr": (names.address6, 128, _address),
    "proto-src": (names.number, 16, _port),
    "proto-dst": (names.number, 16, _port),
}
