"""The whole way of a packet, in the order in which the kernel asks:

    PREROUTING   raw, (connection tracking), mangle, nat
    the routing decision, after marks and DNAT
    INPUT        mangle, filter, security, nat       for the host itself
    FORWARD      mangle, filter, security            for others, then
    POSTROUTING  mangle, nat

What the host itself sends is routed first, passes OUTPUT (raw, tracking, mangle, nat, filter, security), is routed
again where that made another packet of it, and passes POSTROUTING. OUTPUT sees the device of the first decision only.
What it sends to itself comes back by lo, and passes PREROUTING and INPUT with the connection that it has.

The base chains of nftables come in between by their priority (stations.py).

nat is asked by the first packet of a connection only; every other one is translated as that was. iptables-nft has its
table security behind nat. A kernel that tracks no connections, since no rule needs it, asks no nat table either: that
one then met rules without a translation makes no difference to where the packet goes.
"""

from __future__ import annotations

from dataclasses import replace

from dmsfw.trace.branches import NOTHING, WHOLE, Ended, Live, Share, add
from dmsfw.trace.ends import ends
from dmsfw.trace.host import BaseChain, Host
from dmsfw.trace.nft.beside import beside
from dmsfw.trace.packet import Connection, Packet
from dmsfw.trace.result import Step, Verdict, Way
from dmsfw.trace.routing import Routing
from dmsfw.trace.ruleset import INCOMPATIBLE, Ruleset
from dmsfw.trace.scene import Scene
from dmsfw.trace.stations import JUDGES, NAT, TRACKING, Station, stations
from dmsfw.trace.tracked import asks_nat, carried_over, is_cut_off, is_tracked
from dmsfw.trace.walk import TooMuch

FIRST = frozenset({"PREROUTING", "OUTPUT"})
"""Hooks in which connection tracking sees a packet first."""

LOOPBACK = "lo"

ASKED = "nftables is asked as well, and not followed there: {}"
SEES_IN_DEVICE = (5, 7)
"""Kernels before this one tell POSTROUTING no in-device (28f8bfd1ac94)."""


def trace(packet: Packet, host: Host) -> Way:
    """The way of a packet that arrives on its `in_device`; without one, that the host itself sends.

    Never raises for what the host says.
    """
    return _Journey(packet, host).way()


class _Journey:
    """One packet's way. The possibilities that are left move from hook to hook; those that end are kept."""

    def __init__(self, packet: Packet, host: Host) -> None:
        self._packet = packet
        self._state = packet.ctstate
        self._connection = _connection(packet)
        self._host = host
        self._rulesets = host.rulesets(packet.family)
        self._steps: list[Step] = []
        self._ended: list[Ended] = []
        self._accepted: tuple[Step, ...] = ()
        self._notes: list[str] = []

    def way(self) -> Way:
        routing = Routing(self._host, self._packet.out_device, self._steps.append)
        try:
            self._go(routing)
        except TooMuch as error:
            self._doubt(str(error))
        self._doubt_what_is_not_seen()
        self._doubt_what_is_beside()
        assumed = [f"{step.place or step.hook}: {step.why}" for step in self._steps if step.why]
        notes = dict.fromkeys((*self._notes, *routing.notes, *assumed))
        return Way(self._packet, tuple(self._steps), ends(self._ended), tuple(notes))

    def _go(self, routing: Routing) -> None:
        if self._packet.in_device:
            self._arrive(routing)
        else:
            self._send(routing)

    def _arrive(self, routing: Routing) -> None:
        live = self._hook("PREROUTING", {replace(self._packet, out_device=""): WHOLE})
        local, onward, ended = routing.decide(live)
        self._ended += ended
        for packet, share in self._hook("INPUT", local).items():
            self._pass(packet, share)
        live = self._hook("FORWARD", onward)
        if self._host.kernel() < SEES_IN_DEVICE:
            live = {replace(packet, in_device=""): share for packet, share in live.items()}
        self._leave(live)

    def _send(self, routing: Routing) -> None:
        kept: Live = {}
        changed: Live = {}
        for packet, share in self._hook("OUTPUT", self._routed(routing, {self._packet: WHOLE})).items():
            is_other = packet.to_host or (packet.dst, packet.mark) != (self._packet.dst, self._packet.mark)
            add(changed if is_other else kept, packet, share)
        for packet, share in self._routed(routing, changed).items():
            add(kept, packet, share)
        self._leave(kept)

    def _routed(self, routing: Routing, live: Live) -> Live:
        """The host's own packets with the device that each leaves by: lo where it is for the host itself."""
        local, onward, ended = routing.decide({replace(packet, out_device=""): live[packet] for packet in live})
        self._ended += ended
        return {**onward, **{replace(packet, out_device=LOOPBACK): local[packet] for packet in local}}

    def _leave(self, live: Live) -> None:
        back: Live = {}
        for packet, share in self._hook("POSTROUTING", live).items():
            if packet.out_device == LOOPBACK:
                add(back, _come_back(packet), share)
            else:
                self._pass(packet, share)
        for packet, share in self._hook("INPUT", self._hook("PREROUTING", back, tracked=True)).items():
            self._pass(packet, share)

    def _pass(self, packet: Packet, share: Share) -> None:
        self._ended.append(Ended(Verdict.PASSES, self._accepted, packet, share))

    def _hook(self, hook: str, live: Live, *, tracked: bool = False) -> Live:
        """By all that is asked there, in order of priority. `tracked`: its connection is known already."""
        found = stations(self._host, self._packet.family, hook)
        if hook in FIRST and not tracked:
            live = {_not_tracked(one): live[one] for one in live}
            live = self._tracked(self._plain(hook, live, [one for one in found if one.priority < TRACKING]))
            found = [one for one in found if one.priority >= TRACKING]
        plain = [one for one in found if not one.translates]
        live = self._plain(hook, live, [one for one in plain if one.priority < NAT[hook]])
        if hook != "FORWARD":
            live = self._nat(hook, live, [one for one in found if one.translates])
        return self._plain(hook, live, [one for one in plain if one.priority >= NAT[hook]])

    def _tracked(self, live: Live) -> Live:
        """Behind raw, connection tracking sees every packet that is not to be kept from it."""
        found: Live = {}
        for packet, share in live.items():
            belongs = packet.ctstate != "UNTRACKED"
            add(found, replace(packet, ctstate=self._state, connection=self._connection) if belongs else packet, share)
        return found

    def _plain(self, hook: str, live: Live, asked: list[Station]) -> Live:
        for station in asked:
            live = self._walk(station, hook, live)
        return live

    def _nat(self, hook: str, live: Live, asked: list[Station]) -> Live:
        done: Live = {}
        first: Live = {}
        for packet, share in live.items():
            if asks_nat(packet, hook):
                first[packet] = share
            elif is_tracked(packet) and is_cut_off(packet, hook):
                self._cut_off(packet, share)
            else:
                changed = carried_over(packet, hook, self._steps.append) if is_tracked(packet) else packet
                add(done, changed, share)
        for station in asked:
            asking = {packet: share for packet, share in first.items() if asks_nat(packet, hook)}
            first = {packet: share for packet, share in first.items() if packet not in asking}
            for packet, share in self._walk(station, hook, asking).items():
                add(first, packet, share)
        for packet, share in first.items():
            add(done, packet, share)
        return done

    def _cut_off(self, packet: Packet, share: Share) -> None:
        does = f"drops it: its connection was masqueraded for {packet.connection.masqueraded}"
        step = Step("POSTROUTING", None, "connection tracking", "", 0, does, sure=share == WHOLE)
        self._steps.append(step)
        self._ended.append(Ended(Verdict.DROPPED, (step,), packet, share))

    def _walk(self, station: Station, hook: str, live: Live) -> Live:
        """Through one table or base chain; what it stops is kept, the rest goes on. Raises: TooMuch."""
        if not live:
            return live
        left: Live = {}
        for ended in station.walk(Scene(self._host, hook, station.table), self._steps.append).run(live):
            if ended.verdict is Verdict.PASSES:
                add(left, ended.packet, ended.share)
                self._remember(station, hook, ended.trail)
            else:
                self._ended.append(ended)
        return left

    def _remember(self, station: Station, hook: str, trail: tuple[Step, ...]) -> None:
        """What let it pass: the first rule of a filter; where no rule did, the first policy."""
        if station.priority != JUDGES or hook not in {"INPUT", "FORWARD", "OUTPUT"} or not trail:
            return
        if not self._accepted or (_is_policy(self._accepted) and not _is_policy(trail)):
            self._accepted = trail

    def _doubt_what_is_not_seen(self) -> None:
        """A listing that is not whole, and nftables' own chains, may decide otherwise."""
        for ruleset in self._rulesets:
            if ruleset.fault and not self._is_followed(ruleset):
                self._doubt(ruleset.fault)
        passing = {hook for ended in self._ended if ended.verdict is Verdict.PASSES for hook in _hooks(ended.packet)}
        is_unread = bool(passing) and self._host.nftables() is None
        listed = self._host.base_chains(self._packet.family) if is_unread else ()
        if listed is None:
            self._doubt("nftables may stop it: whether it has chains of its own cannot be asked")
        chains = [chain for chain in listed or () if chain.hook in passing]
        if chains:
            dropping = sorted(chains, key=lambda chain: chain.policy != "drop")
            said = list(map(_asked, dropping))
            self._doubt(f"nftables may stop it: {said[0]}", f"nftables is asked as well: {', '.join(said)}")

    def _doubt_what_is_beside(self) -> None:
        passing = {ended.packet.out_device for ended in self._ended if ended.verdict is Verdict.PASSES}
        listed = self._host.nftables() if passing else None
        found = list(beside(listed, self._packet.in_device, sorted(passing))) if listed is not None else []
        if found:
            self._doubt(f"nftables may stop it: its chain {found[0]} is not followed", ASKED.format(", ".join(found)))

    def _is_followed(self, ruleset: Ruleset) -> bool:
        """What iptables-nft cannot list is followed as nftables lists it."""
        return INCOMPATIBLE in ruleset.fault and self._host.nftables() is not None

    def _doubt(self, why: str, note: str = "") -> None:
        self._notes.append(note or why)
        step = Step("", None, why, "", 0, "may end it", sure=False)
        self._ended.append(Ended(Verdict.UNCERTAIN, (step,), self._packet, NOTHING))


def _asked(chain: BaseChain) -> str:
    drops = "drops what it does not accept" if chain.policy == "drop" else "has rules of its own"
    return f"its chain {chain.owner} {chain.name} {drops}"


def _hooks(packet: Packet) -> tuple[str, ...]:
    if not packet.in_device:
        return ("output", "postrouting")
    return ("prerouting", "forward", "postrouting") if packet.out_device else ("prerouting", "input")


def _is_policy(trail: tuple[Step, ...]) -> bool:
    place = trail[-1].place
    return place is not None and place.number == 0


def _come_back(packet: Packet) -> Packet:
    """What was sent by lo, as it arrives: translated as far as it will ever be (nf_nat_initialized)."""
    connection = replace(packet.connection, settled=frozenset({"SNAT", "DNAT"}))
    return replace(packet, in_device=packet.out_device, out_device="", connection=connection)


def _not_tracked(packet: Packet) -> Packet:
    """To raw, no packet belongs to a connection yet: what asks for its state is told INVALID."""
    return packet if packet.ctstate == "UNTRACKED" else replace(packet, ctstate="INVALID")


def _connection(packet: Packet) -> Connection:
    """A first packet's connection begins with it."""
    connection = packet.connection
    begins = packet.ctstate == "NEW" and connection.original is None
    return replace(connection, proto=packet.proto, original=packet.ends) if begins else connection
