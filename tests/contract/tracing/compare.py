"""One ruleset: real packets through the kernel, the same through the model, and whether they agree.

They agree when each packet ends as the model says, with the addresses that it says, and when each rule and each policy
has counted as many packets as the model lets it: where something is not known, at least the sure ones and at most the
possible ones.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from itertools import count
from random import Random
from typing import NamedTuple, Protocol

from dmsfw.trace import End, Packet, Place, ThisHost, Verdict, Way, following, reply, trace
from dmsfw.trace.text import render
from tests.contract.tracing.flows import flows
from tests.contract.tracing.frames import CLIENT_MAC_TEXT, Seen, complaint, raw
from tests.contract.tracing.router import LAN, PORT, Answers, Outcome, Router

FLOWS = 3
"""Connections that are tried with each ruleset, of up to three packets each."""

ANSWERED = frozenset({"tcp", "udp", "icmp", "icmpv6", "gre"})
"""Protocols whose answer is made here, and belongs to the connection."""

OUTPUT_OF_A_REJECT = (Place("raw", "OUTPUT", 1), Place("raw", "OUTPUT", 2))


class Bounds(NamedTuple):
    """How often a rule may have counted."""

    least: int = 0
    most: int = 0


class Tried(NamedTuple):
    """A packet's way by the model, and what became of it. The way has one end only: the one that it came to."""

    way: Way
    outcome: Outcome


class Listing(Protocol):
    """Rules in the kernel: those of iptables, of nftables, or of both."""

    def load(self, text: str, family: int, more: str = "") -> str:
        """Put these rules into the kernel, and more upon them; list them. Raises: Refused."""

    def counted(self, family: int) -> dict[Place, int]:
        """How many packets each rule has counted."""

    def answers(self, listed: str, family: int) -> dict[str, str]:
        """What programs that list say."""


@dataclass
class Tally:
    """What was seen in a run, so that one that tries little is found out."""

    seen: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        return ", ".join(f"{name} {number}" for name, number in sorted(self.seen.items()))


class Disagreement(AssertionError):
    """Kernel and model differ."""


class Comparison:
    """Holds the model against the kernel, ruleset by ruleset."""

    def __init__(self, router: Router, tables: Listing) -> None:
        self._router = router
        self._tables = tables
        self._answers = Answers()
        self._identifiers = count(1)
        self._with_ports = False
        self._host = ThisHost(self._answers)
        self._ways: list[Way] = []
        self.tally = Tally()

    def hold(self, text: str, random: Random, family: int) -> None:
        """Load a ruleset and try packets. Raises: Disagreement."""
        listed = self._tables.load(text, family)
        self._with_ports = random.randrange(2) == 1
        self._identifiers = count(random.randrange(50000))
        self._router.bridge_calls(on=self._with_ports)
        try:
            self.hold_flows(list(flows(random, family, FLOWS)), listed, family)
        except Disagreement as error:
            raise Disagreement(f"{error}\n{listed}") from None

    def load(self, text: str, more: str, family: int) -> str:
        """Load rules that were recorded, and more upon them; what they are as listed."""
        self._router.bridge_calls(on=False)
        self._with_ports = False
        return self._tables.load(text, family, more)

    def hold_flows(self, packets: list[Packet], listed: str, family: int) -> None:
        """Try packets on rules that have just been loaded. Raises: Disagreement."""
        self._answers.saved |= self._tables.answers(listed, family)
        self._host = ThisHost(self._answers)
        self._ways = []
        before = self._tables.counted(family)
        for packet in packets:
            self._router.forget()
            self._connection(packet)
        self._count({place: number - before[place] for place, number in self._tables.counted(family).items()})
        self.tally.seen["rulesets"] += 1

    def _connection(self, packet: Packet) -> None:
        """A first packet; what answers it; and the next one."""
        identifier = 1024 + next(self._identifiers) % 60000
        packet = replace(packet, sport=None if packet.sport is None else identifier)
        first = self._send(packet, raw(self._dressed(packet), identifier))
        if not _is_answered(first):
            return
        seen = first.outcome.seen
        assert seen is not None
        answer = reply(first.way)
        if identifier % 3 == 0:
            error = self._dressed(_complaining(answer, from_between=identifier % 2 == 0))
            told = self._send(error, complaint(error, raw(first.way.end.packet, seen.sport or 0)))
            answer = _after(told, answer)
        back = self._send(answer, raw(self._dressed(answer), seen.sport or 0))
        if back.outcome.seen is not None and back.way.end.packet.ctstate == "ESTABLISHED":
            again = self._dressed(_after(back, following(first.way)))
            self._send(again, raw(again, identifier))

    def _dressed(self, packet: Packet) -> Packet:
        """With what is known of packets of ours: the sender's address, and the port of the bridge."""
        of_lan = packet.in_device == LAN
        port = PORT if of_lan and self._with_ports else ""
        return replace(packet, mac=CLIENT_MAC_TEXT if of_lan else "", physdev=port)

    def _send(self, packet: Packet, data: bytes) -> Tried:
        packet = self._dressed(packet)
        way = trace(packet, self._host)
        self._ways.append(way)
        must_come = all(end.verdict is Verdict.PASSES for end in way.ends)
        outcome = self._router.send(packet, data, expected=must_come)
        fitting = [end for end in way.ends if _fits(end, outcome)]
        if not fitting:
            raise Disagreement("\n".join([f"the kernel: {outcome}", *render(way), *map(str, way.ends)]))
        end = min(fitting, key=_vagueness)
        self._tell(way, end)
        return Tried(replace(way, ends=(_learned(end, outcome.seen),)), outcome)

    def _tell(self, way: Way, end: End) -> None:
        self.tally.seen[f"{'sure' if len(way.ends) == 1 else 'unsure'} {way.verdict.value}"] += 1
        self.tally.seen[f"{way.packet.ctstate} {end.verdict.value}"] += 1
        self.tally.seen["rules met"] += len(way.steps)
        if end.verdict is Verdict.PASSES:
            self.tally.seen["to the host" if end.local else "through"] += 1
            for kind in end.packet.connection.nat or ():
                self.tally.seen[kind] += 1

    def _count(self, numbers: dict[Place, int]) -> None:
        bounds = _bounds(self._ways)
        wrong = {
            place: (number, bounds.get(place, Bounds()))
            for place, number in numbers.items()
            if place.chain != "OUTPUT" and not _within(number, bounds.get(place, Bounds()))
        }
        refused = self._refused()
        sent = sum(numbers.get(place, 0) for place in OUTPUT_OF_A_REJECT)
        if refused is not None and refused != sent:
            wrong[OUTPUT_OF_A_REJECT[0]] = (sent, Bounds(refused, refused))
        if wrong:
            told = [f"{place}: the kernel {number}, the model {bound}" for place, (number, bound) in wrong.items()]
            raise Disagreement("\n".join([*told, *(line for way in self._ways for line in render(way))]))

    def _refused(self) -> int | None:
        """How many answers REJECT has sent by OUTPUT; None where others may have, or where it may send them elsewhere.

        An error message is refused without an answer (RFC 1122, 3.2.2).
        """
        if self._with_ports or any(len(way.ends) > 1 or not way.end.packet.out_device for way in self._ways):
            return None
        return sum(way.verdict is Verdict.REJECTED and way.packet.ctstate != "RELATED" for way in self._ways)


UNTRACKED = "keeps it from being tracked"
"""What a step does after which, though it may not have been taken, nobody knows how an answer is seen."""

BETWEEN = {4: "198.51.100.99", 6: "2001:db8:9::99"}


def _complaining(answer: Packet, *, from_between: bool) -> Packet:
    """An error from where the answer would come, or from a router on the way there: nobody listens there."""
    src = ip_address(BETWEEN[answer.family]) if from_between else answer.src
    proto, kind = ("icmp", (3, 3)) if answer.family == 4 else ("icmpv6", (1, 4))
    return replace(
        answer, src=src, proto=proto, icmp=kind, sport=None, dport=None, flags=frozenset(), ctstate="RELATED"
    )


def _after(before: Tried, packet: Packet) -> Packet:
    """The packet of a connection that one before it may have marked."""
    mark = before.way.end.packet.connection.mark if all(step.sure for step in before.way.steps) else None
    return replace(packet, connection=replace(packet.connection, mark=mark))


def _is_answered(first: Tried) -> bool:
    """It came through, tracked, and by the end that the model names."""
    end = first.way.end
    came = first.outcome.seen is not None and not end.local and end.verdict is Verdict.PASSES
    is_tracked = end.packet.ctstate == "NEW" and not any(UNTRACKED in step.does for step in first.way.steps)
    return came and is_tracked and end.packet.proto in ANSWERED


def _fits(end: End, outcome: Outcome) -> bool:
    if end.verdict is Verdict.UNCERTAIN:
        return True
    if end.verdict is not Verdict.PASSES or outcome.seen is None:
        return end.verdict is not Verdict.PASSES and outcome.seen is None
    packet, seen = end.packet, outcome.seen
    fields = ("src", "dst") if packet.icmp is not None else ("src", "dst", "sport", "dport")
    known = [name for name in fields if name not in packet.unknown]
    device = "host" if end.local else packet.out_device
    return device == outcome.device and all(getattr(packet, name) == getattr(seen, name) for name in known)


def _vagueness(end: End) -> tuple[bool, int]:
    """Of several ends that fit, the one that says most is meant: a range whose address was kept translated nothing."""
    return end.verdict is Verdict.UNCERTAIN, len(end.packet.unknown)


def _learned(end: End, seen: Seen | None) -> End:
    """The end with the addresses that were seen."""
    if seen is None or end.verdict is not Verdict.PASSES:
        return end
    ports = (None, None) if end.packet.icmp is not None else (seen.sport, seen.dport)
    packet = end.packet.sent_from(seen.src, ports[0]).sent_to(seen.dst, ports[1])
    return replace(end, packet=packet.known("src", "dst", "sport", "dport"))


def _bounds(ways: list[Way]) -> dict[Place, Bounds]:
    found: dict[Place, Bounds] = {}
    for step in (step for way in ways for step in way.steps if step.packets is not None):
        if step.place is None:
            continue
        before = found.get(step.place, Bounds())
        found[step.place] = Bounds(before.least + step.sure, before.most + 1)
    return found


def _within(number: int, bounds: Bounds) -> bool:
    return bounds.least <= number <= bounds.most
