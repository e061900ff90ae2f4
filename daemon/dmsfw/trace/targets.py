"""Targets: what each does to a packet. Several effects mean that it is not known which of them it is.

ACCEPT DROP RETURN REJECT             end the walk, or this chain
MARK CONNMARK CT NOTRACK              change the packet or its connection; the walk goes on
LOG, TCPMSS and others (HARMLESS)     change nothing that is followed here
TTL HL SET                            may end it by and by, or change its mark
NFQUEUE TPROXY, anything unknown      hang on what is not seen from here
the rest                              nat.py
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from dmsfw.errors import InvalidValue
from dmsfw.trace.effect import Effect, Kind
from dmsfw.trace.matches.option import value_and_mask
from dmsfw.trace.nat import TRANSLATIONS
from dmsfw.trace.packet import MAX_MARK, Packet
from dmsfw.trace.scene import Scene
from dmsfw.trace.tracked import is_tracked

Effects = tuple[Effect, ...]
Target = Callable[[Packet, Sequence[str], Scene], Effects]

HARMLESS = frozenset({
    "AUDIT", "CHECKSUM", "CLASSIFY", "CONNSECMARK", "DSCP", "ECN", "IDLETIMER", "LED", "LOG", "NFLOG", "RATEEST",
    "SECMARK", "TCPMSS", "TCPOPTSTRIP", "TEE", "TOS", "TRACE", "ULOG",
})  # fmt: skip
"""They return XT_CONTINUE and touch neither addresses nor marks (net/netfilter/xt_*.c)."""


def effects(target: str, packet: Packet, options: Sequence[str], scene: Scene) -> Effects:
    """What a target that is no chain does. Never raises: what is not understood may do anything."""
    if not target:
        return (Effect(Kind.CONTINUES, packet, "counts it, and goes on"),)
    if target in HARMLESS:
        return (Effect(Kind.CONTINUES, packet, "goes on"),)
    try:
        return TARGETS[target](packet, options, scene)
    except KeyError:
        return anything(packet, f"the target {target} is not known")
    except (ValueError, OSError, IndexError, InvalidValue) as error:
        return anything(packet, f"the target {target} is not understood here ({error})")


def anything(packet: Packet, why: str) -> Effects:
    """It may go on, or end here."""
    return (Effect(Kind.CONTINUES, packet, "may go on", why), Effect(Kind.UNCERTAIN, packet, "may end here", why))


def _ends(kind: Kind, does: str) -> Target:
    return lambda packet, _, __: (Effect(kind, packet, does),)


def _reject(packet: Packet, options: Sequence[str], _: Scene) -> Effects:
    how = options[1] if "--reject-with" in options[:1] else ""
    return (Effect(Kind.REJECTED, packet, f"refuses it with {how}" if how else "refuses it"),)


def _hops(packet: Packet, options: Sequence[str], scene: Scene) -> Effects:
    """Routing drops what has no hop left (ip_forward, ip6_forward), and that is ahead of every hook but PREROUTING."""
    raises = options[0].endswith("-inc") or (options[0].endswith("-set") and int(options[1]) > 1)
    if raises or scene.hook != "PREROUTING":
        return (Effect(Kind.CONTINUES, packet, "goes on"),)
    return anything(packet, "what has no hop left is not forwarded")


def _set(packet: Packet, options: Sequence[str], _: Scene) -> Effects:
    """`--map-mark` takes the mark from the set's entry."""
    changed = packet.not_known("mark") if "--map-mark" in options else packet
    return (Effect(Kind.CONTINUES, changed, "goes on"),)


def _mark(packet: Packet, options: Sequence[str], _: Scene) -> Effects:
    keeps, flips = _change(options[0], options[1])
    if "mark" in packet.unknown and keeps:
        return (Effect(Kind.CONTINUES, packet, "changes a mark that is not known"),)
    changed = replace(packet, mark=(packet.mark & keeps) ^ flips).known("mark")
    return (Effect(Kind.CONTINUES, changed, f"marks it 0x{changed.mark:x}"),)


def _change(option: str, text: str) -> tuple[int, int]:
    """A change as (bits to keep, bits to flip then). Raises: ValueError."""
    value, mask = value_and_mask(text)
    if option == "--set-xmark":
        return ~mask & MAX_MARK, value
    if option in {"--set-mark", "--or-mark"}:
        return ~(value | mask if option == "--set-mark" else value) & MAX_MARK, value
    if option == "--and-mark":
        return value, 0
    if option == "--xor-mark":
        return MAX_MARK, value
    raise ValueError(f"{option} is not known")


def _connmark(packet: Packet, options: Sequence[str], _: Scene) -> Effects:
    if packet.ctstate in {"INVALID", "UNTRACKED"}:
        return (Effect(Kind.CONTINUES, packet, "goes on: it belongs to no connection"),)
    connection = packet.connection
    if options[0] == "--set-xmark":
        keeps, flips = _change(*options[:2])
        known = connection.mark is not None or not keeps
        mark = ((connection.mark or 0) & keeps) ^ flips if known else None
        changed = replace(packet, connection=replace(connection, mark=mark))
        return (Effect(Kind.CONTINUES, changed, "marks its connection"),)
    masks = _masks(options)
    if options[0] == "--save-mark":
        return (Effect(Kind.CONTINUES, _saved(packet, *masks), "saves its mark to its connection"),)
    if options[0] == "--restore-mark":
        return (Effect(Kind.CONTINUES, _restored(packet, *masks), "takes its connection's mark"),)
    raise ValueError(f"{options[0]} is not known")


def _masks(options: Sequence[str]) -> tuple[int, int]:
    """The packet's mask and the connection's."""
    found = dict(zip(options[1::2], options[2::2], strict=True))
    both = found.pop("--mask", "0xffffffff")
    masks = int(found.pop("--nfmask", both), 0), int(found.pop("--ctmask", both), 0)
    if found:
        raise ValueError(f"{', '.join(found)} is not known")
    return masks


def _saved(packet: Packet, of_packet: int, of_connection: int) -> Packet:
    old = packet.connection.mark
    keeps = ~of_connection & MAX_MARK
    known = "mark" not in packet.unknown and (old is not None or not keeps)
    mark = ((old or 0) & keeps) ^ (packet.mark & of_packet) if known else None
    return replace(packet, connection=replace(packet.connection, mark=mark))


def _restored(packet: Packet, of_packet: int, of_connection: int) -> Packet:
    saved = packet.connection.mark
    keeps = ~of_packet & MAX_MARK
    if saved is None or ("mark" in packet.unknown and keeps):
        return packet.not_known("mark")
    return replace(packet, mark=(packet.mark & keeps) ^ (saved & of_connection)).known("mark")


def _ct(packet: Packet, options: Sequence[str], _: Scene) -> Effects:
    if "--notrack" not in options:
        return (Effect(Kind.CONTINUES, packet, "goes on"),)
    return _notrack(packet, options, _)


def _notrack(packet: Packet, _: Sequence[str], __: Scene) -> Effects:
    """What comes back by lo has its connection already, and keeps it (xt_CT.c)."""
    if is_tracked(packet):
        return (Effect(Kind.CONTINUES, packet, "goes on: its connection is known already"),)
    changed = replace(packet, ctstate="UNTRACKED")
    return (Effect(Kind.CONTINUES, changed, "keeps it from being tracked: nothing translates it"),)


def _queue(packet: Packet, _: Sequence[str], __: Scene) -> Effects:
    why = "a program decides about it"
    accepted, dropped = (Effect(kind, packet, "asks a program", why) for kind in (Kind.ACCEPTED, Kind.DROPPED))
    return accepted, dropped


def _tproxy(packet: Packet, options: Sequence[str], _: Scene) -> Effects:
    found = dict(zip(options[::2], options[1::2], strict=True))
    value, mask = value_and_mask(found.get("--tproxy-mark", "0x0/0x0"))
    marked = replace(packet, mark=(packet.mark & ~mask & MAX_MARK) ^ value)
    does = f"gives it to the local program on port {found.get('--on-port', '?')}"
    why = "whether that program listens is not known"
    return Effect(Kind.ACCEPTED, marked, does, why), Effect(Kind.DROPPED, packet, does, why)


TARGETS: dict[str, Target] = {
    "ACCEPT": _ends(Kind.ACCEPTED, "accepts it"),
    "DROP": _ends(Kind.DROPPED, "drops it"),
    "RETURN": _ends(Kind.RETURNS, "goes back"),
    "REJECT": _reject,
    "TTL": _hops,
    "HL": _hops,
    "SET": _set,
    "MARK": _mark,
    "CONNMARK": _connmark,
    "CT": _ct,
    "NOTRACK": _notrack,
    "QUEUE": _queue,
    "NFQUEUE": _queue,
    "TPROXY": _tproxy,
    **TRANSLATIONS,
}
