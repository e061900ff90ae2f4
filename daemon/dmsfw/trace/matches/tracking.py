"""Tests of connection tracking: conntrack and state. What the kernel asks stands in net/netfilter/xt_conntrack.c."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from dmsfw.trace.answer import NO, YES, Answer, told, unknown
from dmsfw.trace.matches.builtin import network
from dmsfw.trace.matches.option import Option, Test, asked, numbers
from dmsfw.trace.packet import STATES, WITH_PORTS, Ends, Family, Packet, protocol
from dmsfw.trace.scene import Scene

TRANSLATED = frozenset({"SNAT", "DNAT"})
STATUSES = frozenset({"NONE", "EXPECTED", "SEEN_REPLY", "ASSURED", "CONFIRMED"})
UNTRACKED = frozenset({"INVALID", "UNTRACKED"})
"""States of packets that belong to no connection."""

ADDRESSES: dict[str, Callable[[Packet], object]] = {
    "--ctorigsrc": lambda packet: original(packet).src,
    "--ctorigdst": lambda packet: original(packet).dst,
    "--ctreplsrc": lambda packet: replies(packet).src,
    "--ctrepldst": lambda packet: replies(packet).dst,
}
PORTS: dict[str, Callable[[Packet], object]] = {
    "--ctorigsrcport": lambda packet: original(packet).sport,
    "--ctorigdstport": lambda packet: original(packet).dport,
    "--ctreplsrcport": lambda packet: replies(packet).sport,
    "--ctrepldstport": lambda packet: replies(packet).dport,
}


class NotKnown(LookupError):
    """What is asked of the connection is not known."""


def state(options: Iterable[Option], _: Family) -> list[Test]:
    """`-m state`. Raises: ValueError."""
    return [asked(_state(option, frozenset(STATES)), option) for option in options if _is(option, "--state")]


def conntrack(options: Iterable[Option], family: Family) -> list[Test]:
    """`-m conntrack`. A packet without a connection matches if it is asked for its state only... or also for more.

    The kernel looks at the state first, and then asks nothing more of a packet without a connection: it matches if
    a state was asked for. Raises: ValueError, OSError.
    """
    tests = [(option.name, asked(_one(option, family), option)) for option in options]
    states = [test for name, test in tests if name == "--ctstate"]
    others = [_of_a_connection(test, has_state=bool(states)) for name, test in tests if name != "--ctstate"]
    return [*states, *others]


def _of_a_connection(test: Test, *, has_state: bool) -> Test:
    return lambda packet, scene: told(has_state) if packet.ctstate in UNTRACKED else test(packet, scene)


def _is(option: Option, name: str) -> bool:
    if option.name != name:
        raise ValueError(f"{option.name} is not known")
    return True


def _one(option: Option, family: Family) -> Test:
    if option.name == "--ctstate":
        return _state(option, frozenset(STATES) | TRANSLATED)
    if option.name in ADDRESSES:
        return _address(ADDRESSES[option.name], *network(option.value, family))
    if option.name in PORTS:
        return _port(PORTS[option.name], *numbers(option.value))
    if option.name in OTHERS:
        return OTHERS[option.name](option.value)
    return lambda *_: unknown(f"{option.name} is not known")


def _state(option: Option, allowed: frozenset[str]) -> Test:
    wanted = frozenset(option.value.split(","))
    if not wanted <= allowed:
        raise ValueError(f"{option.value} are no states")
    translations = wanted & TRANSLATED

    def test(packet: Packet, _: Scene) -> Answer:
        if packet.ctstate in wanted:
            return YES
        if not translations or packet.ctstate in UNTRACKED:
            return NO
        if packet.connection.nat is None:
            return unknown("whether the connection is translated is not known")
        return told(bool(translations & packet.connection.nat))

    return test


def _address(pick: Callable[[Packet], object], address: int, mask: int) -> Test:
    def test(packet: Packet, _: Scene) -> Answer:
        try:
            return told(int(pick(packet)) & mask == address)  # type: ignore[call-overload]
        except NotKnown as reason:
            return unknown(str(reason))

    return test


def _port(pick: Callable[[Packet], object], low: int, high: int) -> Test:
    def test(packet: Packet, _: Scene) -> Answer:
        try:
            port = pick(packet)
            proto = protocol_of(packet)
        except NotKnown as reason:
            return unknown(str(reason))
        if proto not in WITH_PORTS or not isinstance(port, int):
            return unknown("the connection's ports are not known")
        return told(low <= port <= high)

    return test


def original(packet: Packet) -> Ends:
    """The connection's first packet, as it arrived. Raises: NotKnown."""
    if packet.connection.original is None:
        raise NotKnown("the connection's first packet is not known")
    return packet.connection.original


def replies(packet: Packet) -> Ends:
    """An answer as it arrives; before there is one, what the packet has become so far, turned. Raises: NotKnown."""
    if packet.connection.reply is not None:
        return packet.connection.reply
    if packet.ctstate != "NEW" or packet.unknown:
        raise NotKnown("the connection's replies are not known")
    return packet.ends.turned()


def _proto(text: str) -> Test:
    wanted = protocol(text)

    def test(packet: Packet, _: Scene) -> Answer:
        try:
            return told(protocol_of(packet) == wanted)
        except NotKnown as reason:
            return unknown(str(reason))

    return test


def protocol_of(packet: Packet) -> str:
    """The connection's protocol. Raises: NotKnown."""
    if packet.connection.proto is None and packet.ctstate == "RELATED":
        raise NotKnown("what it is related to is not known")
    return packet.connection.proto or packet.proto


def _direction(text: str) -> Test:
    wanted = text.lower()
    if wanted not in {"original", "reply"}:
        raise ValueError(f"{wanted} is no direction")

    def test(packet: Packet, _: Scene) -> Answer:
        found = packet.connection.direction
        return unknown("the packet's direction is not known") if found is None else told(found == wanted)

    return test


def _status(text: str) -> Test:
    """A first packet's connection has none of these yet; one that is answered was seen and confirmed."""
    wanted = frozenset(text.split(","))
    if not wanted <= STATUSES:
        raise ValueError(f"{','.join(wanted)} are no statuses")

    def test(packet: Packet, _: Scene) -> Answer:
        if packet.ctstate == "NEW" or wanted == {"NONE"}:
            return NO
        if packet.ctstate == "ESTABLISHED" and wanted & {"SEEN_REPLY", "CONFIRMED"}:
            return YES
        return unknown("the connection's status is not known")

    return test


OTHERS: dict[str, Callable[[str], Test]] = {"--ctproto": _proto, "--ctdir": _direction, "--ctstatus": _status}
