"""The packet's way through the kernel's tables and the answer's way back, and what of it a verdict needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_network
from typing import Final

from dmsfw.doctor.naming import named, target_of
from dmsfw.doctor.target import Address, Target
from dmsfw.report.text import clean
from dmsfw.trace import End, Host, Packet, Step, Verdict, Way, reply, trace

RULE_LIMIT: Final = 300
"""Characters of a rule that are shown."""

PRIVATE: Final = tuple(map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")))
"""Addresses that are routed at home only (RFC 1918, 6598, 4193). Python's `is_private` has the documentation's too."""

UNTRANSLATED: Final = (
    "it leaves with the container's own address {0.source}, which no rule translates: an answer comes only from "
    "whoever knows a way back to it"
)

TAKEN_OVER: Final = ("REDIRECT", "TPROXY")
"""Targets that give a packet to a program of the router, a proxy in most cases."""

OURS: Final = frozenset({("inet fw4", "forward"), ("ip filter", "FORWARD"), ("ip6 filter", "FORWARD")})
"""Base chains that dmsfw's own rules are in."""


@dataclass(frozen=True, slots=True)
class Passage:
    """One way of one packet.

    `rule`: what decides, in words; empty where it is no rule. `line`: the same as iptables-save or nft has it.
    `device`, `source`, `destination`, `port`: of what leaves; `translated`: with another source than it came with.
    `taken`: the rule that gives it to a program of the router.
    `beyond`: what decides stands where no rule of dmsfw's is asked, and its word counts besides.
    `others`: what may stop it instead in another way, and how.
    `local`: it is for the router itself. `answers`: it is the answer to the router's own packet.
    """

    verdict: Verdict
    rule: str = ""
    line: str = ""
    device: str = ""
    source: str = ""
    destination: str = ""
    port: int | None = None
    taken: str = ""
    beyond: bool = False
    local: bool = False
    translated: bool = False
    answers: bool = False
    notes: tuple[str, ...] = ()
    others: tuple[tuple[str, Verdict], ...] = ()
    way: Way | None = field(default=None, compare=False)

    @property
    def stopped(self) -> bool:
        """It does not pass."""
        return self.verdict in {Verdict.DROPPED, Verdict.REJECTED, Verdict.UNREACHABLE}

    @property
    def diverted(self) -> bool:
        """It goes somewhere else than it was sent to: to another address, or to a program of the router, if to any."""
        if self.verdict is Verdict.UNCERTAIN:
            return bool(self.taken) and not self.past_proxy
        return self.verdict is Verdict.PASSES and (self.sent_elsewhere or bool(self.taken))

    @property
    def sent_elsewhere(self) -> bool:
        """It has another destination than it was sent with."""
        return self.way is not None and self.destination != str(self.way.packet.dst)

    @property
    def past_proxy(self) -> bool:
        """It may be forwarded, though a rule gives it to a program where one listens."""
        return any(end.verdict is Verdict.PASSES and not end.local for end in (self.way.ends if self.way else ()))

    def as_dict(self) -> dict[str, object]:
        """For programs."""
        said = {name: getattr(self, name) for name in ("rule", "line", "device", "source", "destination", "taken")}
        whole = self.way.as_dict() if self.way else {}
        are = {name: getattr(self, name) for name in ("local", "translated", "answers")}
        return {"verdict": self.verdict.value, **said, **are, "way": whole}


@dataclass(frozen=True, slots=True)
class Ways:
    """There and back. `back` None: the packet does not get there, or is for many, and who answers is not known."""

    there: Passage
    back: Passage | None = None

    @property
    def each(self) -> tuple[Way, ...]:
        """Both ways as they were followed."""
        return tuple(one.way for one in (self.there, self.back) if one is not None and one.way is not None)

    @property
    def past_us(self) -> bool:
        """The answer goes past the router: DNAT sent the packet back into its own bridge, with its own address."""
        way, there = self.there.way, self.there
        if way is None or there.verdict is not Verdict.PASSES or there.translated or there.local:
            return False
        return there.device == way.packet.in_device and there.destination != str(way.packet.dst)

    @property
    def untranslated(self) -> bool:
        """It leaves for a public address with one that means nothing there."""
        there = self.there
        goes = there.verdict is Verdict.PASSES and not there.translated and not there.local
        return goes and needs_nat(ip_address(there.source), ip_address(there.destination))

    @property
    def exit_code(self) -> int:
        """0 there and back it passes, 1 it does not, 2 that is not known."""
        found = [1] if self.past_us else [2 if self.untranslated else 0, *(way.exit_code for way in self.each)]
        return max(found, key=(0, 2, 1).index)

    def as_dict(self) -> dict[str, object]:
        """For programs."""
        back = self.back.as_dict() if self.back else None
        return {"there": self.there.as_dict(), "back": back, "past_us": self.past_us}


def needs_nat(source: Address, destination: Address) -> bool:
    """A private address means nothing outside. A private destination may know the way back: nothing is claimed."""
    return _is_private(source) and not _is_private(destination)


def _is_private(address: Address) -> bool:
    return any(address.version == net.version and address in net for net in PRIVATE)


def first_packet(bridge: str, source: Address, target: Target) -> Packet:
    """The first packet of a container to an address, as it comes out of the bridge."""
    assert target.address is not None  # noqa: S101 - a packet goes to an address
    return Packet(src=source, dst=target.address, proto=target.proto, in_device=bridge, dport=target.port)


def ways(packet: Packet, host: Host) -> Ways:
    """Follow a first packet, and the answer to it. Raises: what `trace` raises."""
    way = trace(packet, host)
    there = passage(way)
    if there.verdict is not Verdict.PASSES or _is_for_many(ip_address(there.destination), host):
        return Ways(there)
    return Ways(there, passage(_answer(way, host)))


def _is_for_many(address: Address, host: Host) -> bool:
    """Whoever answers to such an address does it from one of his own."""
    return address.is_multicast or host.address_kind(address) == "BROADCAST"


def _answer(way: Way, host: Host) -> Way:
    """The answer, as it comes back by the first device that the packet may leave by."""
    answer = trace(reply(way), host)
    devices = dict.fromkeys(end.packet.out_device for end in way.ends)
    others = ", ".join(clean(one) for one in devices if one != answer.packet.in_device)
    note = f"the answer is followed as it comes by {clean(answer.packet.in_device)}, not by {others}"
    return replace(answer, notes=(*answer.notes, note)) if others else answer


def own_passage(source: Address, target: Target, host: Host) -> Passage:
    """The way of the host's own first packet to an address; where only the answer to it may not pass, that one's.

    Raises: what `trace` raises.
    """
    assert target.address is not None  # noqa: S101 - a packet goes to an address
    found = ways(Packet(src=source, dst=target.address, proto=target.proto, dport=target.port), host)
    if found.back is None or found.back.verdict is Verdict.PASSES:
        return found.there
    return replace(found.back, answers=True)


def passage(way: Way) -> Passage:
    """What of a way a verdict needs."""
    end = _decisive(way)
    decides = end.decides if way.verdict is not Verdict.PASSES else None
    taken = _first(way, _takes_over)
    return Passage(
        verdict=end.verdict if way.stopped and not taken else way.verdict,
        rule=named(end.trail) if decides and decides.place else "",
        line=clean(decides.rule, RULE_LIMIT) if decides else "",
        device=end.packet.out_device,
        source=str(end.packet.src),
        destination=f"{end.packet.dst}",
        port=None if "dport" in end.packet.unknown else end.packet.dport,
        taken=taken,
        beyond=_is_beyond(end.trail),
        local=end.local or (end.decides is not None and end.decides.hook == "INPUT"),
        translated=_is_translated(end),
        notes=tuple(clean(note, RULE_LIMIT) for note in way.notes),
        others=_others(way, end),
        way=way,
    )


def _others(way: Way, first: End) -> tuple[tuple[str, Verdict], ...]:
    """Where it is stopped one way or another: the first end of each other way, and the rule that makes it."""
    found: dict[Verdict, str] = {}
    for end in way.ends if way.stopped else ():
        if end.verdict is not first.verdict and end.decides is not None:
            found.setdefault(end.verdict, named(end.trail) if end.decides.place else "")
    return tuple((rule, verdict) for verdict, rule in found.items())


def _decisive(way: Way) -> End:
    """Of several ends that it may come to, the first that is none to wish for: stopped, or not translated."""
    if way.verdict is Verdict.UNCERTAIN:
        return next((end for end in way.ends if end.verdict is not Verdict.PASSES), way.end)
    return next((end for end in way.ends if not end.local and not _is_translated(end)), way.end)


def _is_translated(end: End) -> bool:
    return "SNAT" in (end.packet.connection.nat or ())


def _is_beyond(trail: tuple[Step, ...]) -> bool:
    """Of nftables' base chains an accept in one does not spare the packet the others. iptables has one that filters."""
    first = next((step.place for step in trail if step.place is not None), None)
    return first is not None and " " in first.table and (first.table, first.chain) not in OURS


def _takes_over(step: Step) -> bool:
    return step.sure and target_of(step.rule).upper() in TAKEN_OVER


def _first(way: Way, wanted: Callable[[Step], bool]) -> str:
    found = next((step for step in way.steps if step.place is not None and wanted(step)), None)
    return named((found,)) if found else ""


def telling(way: Way) -> tuple[Step, ...]:
    """The steps that matter: not the policies that let everything pass, nor jumps into chains that do nothing."""
    decisive = [step for end in way.ends for step in end.trail]
    return tuple(
        step
        for step, next_ in zip(way.steps, (*way.steps[1:], None), strict=True)
        if step in decisive or not (_lets_pass(step) or _leads_nowhere(step, next_))
    )


def _lets_pass(step: Step) -> bool:
    return step.sure and step.place is not None and step.place.number == 0


def _leads_nowhere(step: Step, next_: Step | None) -> bool:
    return step.place is not None and step.does.startswith("jumps") and (next_ is None or next_.depth <= step.depth)
