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

from collections.abc import Iterable
from dataclasses import replace

from dmsfw.trace.branches import NOTHING, WHOLE, Ended, Live, Share, add
from dmsfw.trace.differences import is_marked_only, is_other, is_policy, kinds, stops
from dmsfw.trace.ends import ends
from dmsfw.trace.host import Host
from dmsfw.trace.packet import Address, Packet
from dmsfw.trace.result import Step, Verdict, Way
from dmsfw.trace.routing import Routing
from dmsfw.trace.stations import JUDGES, NAT, TRACKING, Group, Station, groups, stations
from dmsfw.trace.tracked import (
    asks_nat,
    came_back,
    carried_over,
    connection_of,
    is_cut_off,
    is_tracked,
    not_tracked_yet,
)
from dmsfw.trace.unseen import unseen
from dmsfw.trace.walk import TooMuch
from dmsfw.trace.walks import Course, Passed, Walks

FIRST = frozenset({"PREROUTING", "OUTPUT"})
"""Hooks in which connection tracking sees a packet first."""

LOOPBACK = "lo"

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
        self._connection = connection_of(packet)
        self._host = host
        self._steps: list[Step] = []
        self._ended: list[Ended] = []
        self._accepted: tuple[Step, ...] = ()
        self._accepted_by: dict[str, tuple[Step, ...]] = {}
        self._notes: list[str] = []
        self._stray: set[Address] = set()

    def way(self) -> Way:
        routing = Routing(self._host, self._packet.out_device, self._steps.append)
        try:
            self._go(routing)
        except TooMuch as error:
            self._doubt(str(error))
        for doubt in unseen(self._host, self._packet, list(self._ended)):
            self._doubt(*doubt)
        assumed = [f"{step.place or step.hook}: {step.why}" for step in self._steps if step.why]
        notes = dict.fromkeys((*self._notes, *routing.notes, *assumed))
        besides = tuple(trail for trail in self._accepted_by.values() if trail != self._accepted)
        return Way(self._packet, tuple(self._steps), ends(self._ended), tuple(notes), besides)

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
            add(changed if is_other(self._packet, packet) else kept, packet, share)
        for packet, share in self._routed(routing, changed).items():
            add(kept, packet, share)
        self._leave(kept)

    def _routed(self, routing: Routing, live: Live) -> Live:
        """The host's own packets with the device that each leaves by: lo where it is for the host itself."""
        local, onward, ended = routing.decide({replace(packet, out_device=""): live[packet] for packet in live})
        self._ended += ended
        if not self._packet.out_device:
            self._stray.update(packet.dst for packet in onward if packet.out_device == LOOPBACK)
        return {**onward, **{replace(packet, out_device=LOOPBACK): local[packet] for packet in local}}

    def _leave(self, live: Live) -> None:
        back: Live = {}
        for packet, share in self._hook("POSTROUTING", live).items():
            if packet.out_device == LOOPBACK:
                add(back, came_back(packet), share)
            else:
                self._pass(packet, share)
        arrived = self._hook("PREROUTING", back, tracked=True)
        for packet in [one for one in arrived if one.dst in self._stray]:
            self._lose(packet, arrived.pop(packet))
        for packet, share in self._hook("INPUT", arrived).items():
            self._pass(packet, share)

    def _lose(self, packet: Packet, share: Share) -> None:
        """What a route, not an address, sends by lo is nobody's when it comes back: it keeps its way (dst_discard)."""
        step = Step("routing", None, f"to {packet.dst} by {LOOPBACK}", "", 0, "has no way for it", sure=share == WHOLE)
        self._steps.append(step)
        self._ended.append(Ended(Verdict.UNREACHABLE, (step,), packet, share))

    def _pass(self, packet: Packet, share: Share) -> None:
        self._ended.append(Ended(Verdict.PASSES, self._accepted, packet, share))

    def _hook(self, hook: str, live: Live, *, tracked: bool = False) -> Live:
        """By all that is asked there, in order of priority. `tracked`: its connection is known already."""
        found = stations(self._host, self._packet.family, hook)
        if hook in FIRST and not tracked:
            self._doubt_what_comes_with_tracking(found)
            live = {not_tracked_yet(one): live[one] for one in live}
            live = self._tracked(self._plain(hook, live, [one for one in found if one.priority < TRACKING]))
            found = [one for one in found if one.priority >= TRACKING]
        plain = [one for one in found if not one.translates]
        live = self._plain(hook, live, [one for one in plain if one.priority < NAT[hook]])
        if hook != "FORWARD":
            live = self._nat(hook, live, [one for one in found if one.translates])
        return self._plain(hook, live, [one for one in plain if one.priority >= NAT[hook]])

    def _doubt_what_comes_with_tracking(self, found: list[Station]) -> None:
        for one in found:
            if one.priority == TRACKING and not one.translates:
                self._doubt(
                    f"whether {one.table} is asked at priority {TRACKING} before connection tracking is not known"
                )

    def _tracked(self, live: Live) -> Live:
        """Behind raw, connection tracking sees every packet that is not to be kept from it."""
        found: Live = {}
        for packet, share in live.items():
            belongs = packet.ctstate != "UNTRACKED"
            add(found, replace(packet, ctstate=self._state, connection=self._connection) if belongs else packet, share)
        return found

    def _plain(self, hook: str, live: Live, asked: list[Station]) -> Live:
        for group in groups(asked):
            live = self._walk(group, hook, live)
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
        for packet, share in self._plain(hook, first, asked).items():
            add(done, packet, share)
        return done

    def _cut_off(self, packet: Packet, share: Share) -> None:
        does = f"drops it: its connection was masqueraded for {packet.connection.masqueraded}"
        step = Step("POSTROUTING", None, "connection tracking", "", 0, does, sure=share == WHOLE)
        self._steps.append(step)
        self._ended.append(Ended(Verdict.DROPPED, (step,), packet, share))

    def _walk(self, group: Group, hook: str, live: Live) -> Live:
        """Through all of one priority; what is stopped is kept, the rest goes on. Raises: TooMuch."""
        walks = Walks(self._host, hook)
        course = walks.through(group.stations, live, self._steps.append)
        for station, _, ended in course.passed:
            for one in ended:
                if one.verdict is Verdict.PASSES:
                    self._remember(station, hook, one.trail)
        self._ended += course.stopped
        self._look_at_marks(hook, course)
        if not group.in_known_order:
            for order in group.others:
                other = walks.through(order.stations, live, lambda _: None)
                self._look_at_marks(hook, other)
                self._compare(course, other, f"which of {group} is asked first is not known")
        return course.left

    def _compare(self, course: Course, other: Course, why: str) -> None:
        """Doubt it where another order makes a difference, unless it is only whether it is dropped or refused."""
        if other.left != course.left or stops(other.stopped) != stops(course.stopped):
            self._doubt(why)
        elif kinds(other.stopped) != kinds(course.stopped):
            self._ended += [replace(one, share=NOTHING) for one in other.stopped]
            self._notes.append(why)

    def _remember(self, station: Station, hook: str, trail: tuple[Step, ...]) -> None:
        """What let it pass: the first rule of a filter, or else the first policy; and the first rule of each table."""
        if station.priority != JUDGES or hook not in {"INPUT", "FORWARD", "OUTPUT"} or not trail:
            return
        if not is_policy(trail):
            self._accepted_by.setdefault(station.title, trail)
        if not self._accepted or (is_policy(self._accepted) and not is_policy(trail)):
            self._accepted = trail

    def _look_at_marks(self, hook: str, course: Course) -> None:
        """Only mangle, and nft's chains of type route, have a packet routed again for its mark."""
        if hook != "OUTPUT" or not any(is_marked_only(one.asked, one.ended) for one in _keeping_routes(course)):
            return
        if self._host.routes_by_mark(self._packet.family) is not False:
            self._doubt("it is marked where it is not routed again, and the routing looks at marks")

    def _doubt(self, why: str, note: str = "") -> None:
        self._notes.append(note or why)
        step = Step("", None, why, "", 0, "may end it", sure=False)
        self._ended.append(Ended(Verdict.UNCERTAIN, (step,), self._packet, NOTHING))


def _keeping_routes(course: Course) -> Iterable[Passed]:
    return (one for one in course.passed if not one.station.reroutes)
