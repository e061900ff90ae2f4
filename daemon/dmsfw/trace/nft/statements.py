"""A rule's statements as operations, in their order. One that is not understood may do anything.

accept drop continue return jump goto queue reject vmap    verdicts.py
masquerade snat dnat redirect                              translate.py
mark set, ct mark set, notrack                             change the packet or its connection
log, counters, flow offload and others (HARMLESS)          change nothing that is followed here
limit                                                      is assumed not to be reached
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from dmsfw.trace.answer import Answer, assumed, unknown
from dmsfw.trace.effect import Effect, Kind
from dmsfw.trace.nft.lookups import Judged, Stores, match
from dmsfw.trace.nft.mangle import mangle
from dmsfw.trace.nft.model import Listed, Rule, Table
from dmsfw.trace.nft.needs import needed
from dmsfw.trace.nft.operations import Ask, Choose, Count, Do, Effects, Operation
from dmsfw.trace.nft.translate import FAMILIES, OPTIONS, translation
from dmsfw.trace.nft.verdicts import is_verdict, reject, verdict
from dmsfw.trace.packet import Packet
from dmsfw.trace.scene import Scene
from dmsfw.trace.targets import anything, effects

HARMLESS = frozenset({
    "log", "last", "dup", "ct helper", "ct timeout", "secmark", "nftrace",
})  # fmt: skip
"""They go on and touch neither addresses nor marks."""

Operations = Iterator[Operation]


def operations(rule: Rule, table: Table, stores: Stores) -> Operations:
    """What a rule does. Never raises."""
    for statement in rule.body:
        try:
            found = tuple(_read(statement, table, stores))
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            yield from _not_understood(statement, error)
            return
        yield from found


def _not_understood(statement: object, error: Exception) -> Operations:
    """It may match or not; what follows it in the rule is not looked at."""
    kind = next(iter(statement), "") if isinstance(statement, dict) else ""
    said = str(error) if isinstance(error, ValueError) else "it is not what nft lists"
    why = f"this rule's {kind or 'statement'} is not understood ({said})"
    yield _asking(unknown(why))
    yield Do(lambda packet, _: anything(packet, why))


def _read(statement: Listed, table: Table, stores: Stores) -> Operations:
    """Raises: ValueError, TypeError, KeyError, AttributeError."""
    if not isinstance(statement, dict) or len(statement) != 1:
        raise TypeError("no statement")
    kind, body = next(iter(statement.items()))
    if is_verdict(kind):
        said = verdict(statement)
        yield from () if said is None else (said,)
    elif kind in OPTIONS:
        yield from translation(kind, body, stores)
    elif kind in HARMLESS:
        yield from needed(_chosen(body), stores)
    elif kind in READERS:
        yield from READERS[kind](body, table, stores)
    else:
        raise ValueError("it is not followed")


def _chosen(body: Listed) -> Listed:
    """What chooses a named object by the packet, if something does: a packet that has none leaves the rule."""
    return body if isinstance(body, dict) and "map" in body else None


def _asking(answer: Answer) -> Ask:
    return Ask(lambda *_: Judged(answer))


def _match(body: Listed, _: Table, stores: Stores) -> Operations:
    try:
        yield Ask(match(body, stores))
    except (ValueError, TypeError, LookupError) as error:
        yield _asking(unknown(f"a match is not understood ({error})"))


def _reject(body: Listed, *_: object) -> Operations:
    yield from reject(body)


def _vmap(body: Listed, _: Table, stores: Stores) -> Operations:
    yield Choose(stores.look(body["key"], body["data"]), verdict)


def _counter(body: Listed, table: Table, stores: Stores) -> Operations:
    if _chosen(body) is not None:
        yield from needed(body, stores)
    elif body is not None:
        packets = table.counters[body] if isinstance(body, str) else body["packets"]
        if not isinstance(packets, int):
            raise TypeError("no number")
        yield Count(packets)


def _limit(body: Listed, table: Table, stores: Stores) -> Operations:
    """`body`: a rate, the name of a limit, or a map of such names."""
    if _chosen(body) is not None:
        yield from needed(body, stores)
        over = any(table.limits.values())
    else:
        over = table.limits[body] if isinstance(body, str) else bool(body.get("inv"))
    why = "whether the limit is exceeded is not known"
    yield _asking(unknown(why) if over else assumed("the limit is assumed not to be reached"))


def _hangs_on(why: str) -> Callable[[Listed, Table, Stores], Operations]:
    return lambda *_: iter((_asking(unknown(why)),))


def _set(body: Listed, _: Table, stores: Stores) -> Operations:
    """Remembers something in a set; what it asks besides is not known from here."""
    name = stores.name(body["set" if "set" in body else "map"])
    yield from needed(body["elem"], stores)
    if set(body.get("stmt", [])) if isinstance(body.get("stmt"), dict) else body.get("stmt"):
        yield _asking(unknown("what is counted for each element of the set is not known"))
    elif body["op"] != "delete":
        yield _asking(assumed("the set is assumed to have room for it"))
    yield Do(lambda packet, _: (_put(packet, name),))


def _put(packet: Packet, name: str) -> Effect:
    return Effect(Kind.CONTINUES, replace(packet, changed_sets=packet.changed_sets | {name}), "goes on")


def _notrack(*_: object) -> Operations:
    yield Do(_untracked)


def _untracked(packet: Packet, scene: Scene) -> Effects:
    """Only of what belongs to no connection yet (nft_notrack_eval)."""
    return effects("NOTRACK" if packet.ctstate == "INVALID" else "", packet, (), scene)


def _flow(*_: object) -> Operations:
    """Takes connections that stand; a packet whose connection is not taken now leaves the rule (nft_flow_offload.c)."""
    does = "hands its connection to the flow table once it stands: later packets pass by the rules"
    why = "whether its connection is taken now is not known"

    def effects_of(packet: Packet, _: Scene) -> Effects:
        leaves = Effect(Kind.BREAKS, packet, does)
        if packet.ctstate in {"NEW", "INVALID", "UNTRACKED"}:
            return (leaves,)
        return Effect(Kind.CONTINUES, packet, does, why), replace(leaves, why=why)

    yield Do(effects_of)


def _tproxy(body: Listed, *_: object) -> Operations:
    """Goes on in the rule where a program listens, else behind it (nft_tproxy_eval)."""
    why = "whether the local program listens is not known"
    does = f"gives it to the local program on port {body.get('port', '?')}"
    family = FAMILIES.get(str(body.get("family", "")))

    def effects_of(packet: Packet, _: Scene) -> Effects:
        leaves = Effect(Kind.BREAKS, packet, "goes on where none listens", why)
        if packet.proto not in {"tcp", "udp"} or family not in {None, packet.family}:
            return (replace(leaves, does="goes on: it is not for such packets", why=""),)
        return Effect(Kind.CONTINUES, packet, does, why), leaves

    yield Do(effects_of)


def _mangle(body: Listed, _: Table, stores: Stores) -> Operations:
    yield from mangle(body["key"], body["value"], stores)


READERS: dict[str, Callable[[Listed, Table, Stores], Operations]] = {
    "match": _match,
    "vmap": _vmap,
    "reject": _reject,
    "counter": _counter,
    "limit": _limit,
    "quota": _hangs_on("how much of a quota is left is not known"),
    "ct expectation": _hangs_on("how many connections are expected already is not known"),
    "ct count": _hangs_on("how many connections there are is not known"),
    "set": _set,
    "map": _set,
    "notrack": _notrack,
    "flow": _flow,
    "tproxy": _tproxy,
    "mangle": _mangle,
}
