"""What connection tracking carries over from a connection's first packet to all others, both ways."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from dmsfw.trace.packet import WITH_PORTS, Connection, Ends, Packet, State
from dmsfw.trace.result import End, Step, Verdict, Way

ECHO_REPLY = {"icmp": (0, 0), "icmpv6": (129, 0)}
TO_OTHERS = frozenset({"PREROUTING", "OUTPUT"})
"""Hooks that translate where a packet goes to; the others, where it comes from."""

OTHER_END = {"src": "dst", "dst": "src", "sport": "dport", "dport": "sport"}


def is_tracked(packet: Packet) -> bool:
    """It belongs to a connection."""
    return packet.ctstate not in {"INVALID", "UNTRACKED"}


def came_back(packet: Packet) -> Packet:
    """What was sent by lo, as it arrives: translated as far as it will ever be (nf_nat_initialized)."""
    connection = replace(packet.connection, settled=frozenset({"SNAT", "DNAT"}))
    return replace(packet, in_device=packet.out_device, out_device="", physdev="", connection=connection)


def not_tracked_yet(packet: Packet) -> Packet:
    """To raw, no packet belongs to a connection yet: what asks for its state is told INVALID."""
    return packet if packet.ctstate == "UNTRACKED" else replace(packet, ctstate="INVALID")


def connection_of(packet: Packet) -> Connection:
    """A first packet's connection begins with it."""
    connection = packet.connection
    begins = packet.ctstate == "NEW" and connection.original is None
    return replace(connection, proto=packet.proto, original=packet.ends) if begins else connection


def asks_nat(packet: Packet, hook: str) -> bool:
    """The hook's nat table is asked about it: by a first packet, and only until it is translated there."""
    if packet.ctstate != "NEW" and not (packet.ctstate == "RELATED" and packet.icmp is None):
        return False
    done = (packet.connection.nat or frozenset()) | packet.connection.settled
    return not packet.to_host and "DNAT" not in done if hook in TO_OTHERS else "SNAT" not in done


def is_cut_off(packet: Packet, hook: str) -> bool:
    """A masqueraded connection that would now leave by another device: the kernel ends it (nf_nat_oif_changed)."""
    connection = packet.connection
    moved = connection.masqueraded not in {"", packet.out_device}
    return hook == "POSTROUTING" and packet.ctstate != "NEW" and connection.direction == "original" and moved


def carried_over(packet: Packet, hook: str, note: Callable[[Step], None]) -> Packet:
    """The packet translated as the first one of its connection was, as far as that is known."""
    ends = _translation(packet.connection)
    if ends is None or packet.ctstate == "NEW" or not _is_translated(packet.connection, hook):
        return packet
    if hook in TO_OTHERS:
        port = ends.dport if packet.proto in WITH_PORTS else None
        changed = packet.sent_to(ends.dst, port).known("dst", "dport")
        does = f"sends it to {_text(ends.dst, port)}"
    else:
        port = ends.sport if packet.proto in WITH_PORTS else None
        changed = packet.sent_from(ends.src, port).known("src", "sport")
        does = f"makes its source {_text(ends.src, port)}"
    if changed != packet:
        note(Step(hook, None, "connection tracking", "", 0, f"{does}, as its connection's first packet was translated"))
    return changed


def _is_translated(connection: Connection, hook: str) -> bool:
    """The hook has something to do: the other direction is undone where the first packet was changed."""
    forth, back = ("DNAT", "SNAT") if hook in TO_OTHERS else ("SNAT", "DNAT")
    return connection.nat is None or (forth if connection.direction == "original" else back) in connection.nat


def _text(address: object, port: int | None) -> str:
    return str(address) if port is None else f"{address} port {port}"


def _translation(connection: Connection) -> Ends | None:
    """The ends that a packet of this direction has once it is through."""
    if connection.direction == "original" and connection.reply is not None:
        return connection.reply.turned()
    if connection.direction == "reply" and connection.original is not None:
        return connection.original.turned()
    return None


def reply(way: Way) -> Packet:
    """The answer to a packet that passes, as it arrives: from where it went, to where it seemed to come from.

    Nothing is known of a packet that was kept from tracking, so the answer to it belongs to no connection.

    Raises: ValueError for a packet that does not pass.
    """
    end = _passing(way)
    tracked = is_tracked(end.packet)
    connection = replace(_connection(way, end), direction="reply") if tracked else Connection()
    ends = end.packet.ends.turned()
    return Packet(
        *(ends.src, ends.dst),
        proto=way.packet.proto,
        in_device=end.packet.out_device,
        sport=ends.sport,
        dport=ends.dport,
        icmp=ECHO_REPLY.get(way.packet.proto),
        ctstate="ESTABLISHED" if tracked else _state_of_a_stray_answer(way.packet.proto),
        flags=_flags(way.packet, "SYN", "ACK"),
        connection=connection,
        unknown=frozenset(OTHER_END[name] for name in end.packet.unknown if name in OTHER_END),
    )


def _state_of_a_stray_answer(proto: str) -> State:
    """No TCP or SCTP connection begins with a SYN-ACK, nor does an echo reply begin anything; a datagram may."""
    return "INVALID" if proto in {"tcp", "sctp", "dccp", *ECHO_REPLY} else "NEW"


def following(way: Way) -> Packet:
    """The next packet the same way, once the first is answered. Raises: ValueError for one that does not pass."""
    connection = _connection(way, _passing(way))
    return replace(way.packet, ctstate="ESTABLISHED", flags=_flags(way.packet, "ACK"), connection=connection)


def _passing(way: Way) -> End:
    for end in way.ends:
        if end.verdict is Verdict.PASSES:
            return end
    raise ValueError("nothing answers a packet that does not pass")


def _connection(way: Way, end: End) -> Connection:
    tracked = end.packet.connection
    return replace(tracked, original=tracked.original or way.packet.ends, reply=end.packet.ends.turned())


def _flags(packet: Packet, *names: str) -> frozenset[str]:
    return frozenset(names) if packet.proto == "tcp" else frozenset()
