"""What a statement takes from a packet. One that does not have it leaves the rule there (NFT_BREAK).

nft asks for a family or a transport before it reads a field of theirs, and does not print that it does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dmsfw.trace.answer import NO, YES, Answer, unknown
from dmsfw.trace.nft.field import Field
from dmsfw.trace.nft.fields import TRANSPORTS, field
from dmsfw.trace.nft.lookups import Fitting, Judged, Stores
from dmsfw.trace.nft.model import Listed
from dmsfw.trace.nft.operations import Ask
from dmsfw.trace.packet import Packet
from dmsfw.trace.scene import Scene

Needs = Iterator[Ask]

MADE_OF: dict[str, Callable[[Listed], Listed]] = {
    **{kind: lambda body: body for kind in ("concat", "|", "^", "&", "<<", ">>")},
    "elem": lambda body: (body["val"],),
    "jhash": lambda body: (body["expr"],),
}
VALUES = frozenset({"prefix", "range", "set", "numgen", "symhash"})
"""They need nothing of a packet."""

WHOLE = (TRANSPORTS | {"ip", "ip6", "th"}) - {"icmp", "icmpv6"}
"""Headers that have all their fields, whichever are followed. Those of ICMP hang on its type."""


def needed(expression: Listed, stores: Stores) -> Needs:
    """Questions that an expression asks, though it is not a match. Raises: ValueError, TypeError, KeyError."""
    if not isinstance(expression, dict):
        return
    if len(expression) != 1:
        raise ValueError("no expression")
    kind, body = next(iter(expression.items()))
    if kind in MADE_OF:
        for part in MADE_OF[kind](body):
            yield from needed(part, stores)
    elif kind == "map":
        yield Ask(_held(stores.look(body["key"], body["data"])))
    elif kind in OTHERS:
        yield Ask(OTHERS[kind])
    elif kind not in VALUES:
        yield Ask(_present(field(expression), is_sure=kind == "payload" and body.get("protocol") in WHOLE))


def _present(of: Field, *, is_sure: bool) -> Callable[[Packet, Scene], Judged]:
    def test(packet: Packet, scene: Scene) -> Judged:
        value = of.value(packet, scene)
        if value is None:
            return Judged(NO)
        return Judged(YES if is_sure or of.is_followed else unknown(value.why))

    return test


def _held(look: Callable[[Packet, Scene], Fitting]) -> Callable[[Packet, Scene], Judged]:
    def test(packet: Packet, scene: Scene) -> Judged:
        found = look(packet, scene)
        element = found.elements[0] if found.elements else None
        if found.may_miss:
            return Judged(unknown(found.why) if element else NO, element)
        return Judged(YES, element)

    return test


def _routed(_: Packet, scene: Scene) -> Judged:
    """A packet has a way only once it is routed (nft_rt_get_eval)."""
    return Judged(_but(scene.hook != "PREROUTING", "whether it has a way yet is not known"))


def _with_options(packet: Packet, _: Scene) -> Judged:
    """What is no TCP leaves the rule, and in older kernels goes on (nft_exthdr_tcp_set_eval)."""
    return Judged(_but(packet.proto == "tcp", f"what {packet.proto} does with options of TCP is not known"))


def _but(holds: bool, why: str) -> Answer:  # noqa: FBT001 - it is what is told
    return YES if holds else unknown(why)


OTHERS = {"rt": _routed, "tcp option": _with_options}
