"""The routing decision for all that a packet may have become."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv6Address, ip_network

from dmsfw.errors import InvalidValue
from dmsfw.trace.branches import WHOLE, Ended, Live, Share, add
from dmsfw.trace.host import Hop, Host, Route
from dmsfw.trace.packet import WITH_PORTS, Packet, protocol
from dmsfw.trace.result import Step, Verdict
from dmsfw.trace.route import TAKES_PORTS

ASKED_FOR = "as was asked for"
BY_PROTOCOL = "rules of the routing policy look at its protocol, for which its way cannot be asked"

NOT_SAID = {"tos": "type of service", "dscp": "type of service"}
OF_SENDERS = {"uidrange": "sender's user"}
"""What rules of the routing policy may look at, by ip's words; the second of what the host itself sends."""


class Routing:
    """Sends packets on by `out` where that was asked for, else as the host routes them. `note` is told every step."""

    def __init__(self, host: Host, out: str, note: Callable[[Step], None]) -> None:
        self._host = host
        self._out = out
        self._note = note
        self.notes: list[str] = []

    def decide(self, live: Live) -> tuple[Live, Live, list[Ended]]:
        """What the host itself takes, what goes on (each with its out-device), and what goes nowhere."""
        local: Live = {}
        onward: Live = {}
        ended: list[Ended] = []
        for packet, share in live.items():
            route = self._route(packet)
            doubt = self._doubt(packet, route)
            self._tell_hops(route)
            step = self._step(route, doubt, share)
            left = share / 2 if doubt else share
            if doubt:
                ended.append(Ended(Verdict.UNCERTAIN, (step,), packet, left))
            if route.kind == "local":
                local[packet] = left
            elif route.kind == "forward":
                for device in route.devices:
                    add(onward, replace(packet, out_device=device), left / len(route.devices))
            else:
                verdict = Verdict.UNREACHABLE if route.kind == "none" else Verdict.UNCERTAIN
                ended.append(Ended(verdict, (step,), packet, left))
        return local, onward, ended

    def _route(self, packet: Packet) -> Route:
        if packet.to_host:
            return Route("local", text="it was turned to this host")
        found = self._host.route(packet)
        if found.kind == "local" and found.device and not packet.in_device:
            found = found._replace(kind="forward")
        if self._out:
            self._compare(found)
            return Route("forward", self._out, text=ASKED_FOR)
        if packet.in_device and self._is_kept(packet, found):
            return Route("none", text=f"forwarding is off for what comes in by {packet.in_device}")
        if self._stays_in_bridge(packet, found):
            return Route("bridged", found.device)
        return found

    def _is_kept(self, packet: Packet, found: Route) -> bool:
        """The host forwards nothing of what comes in there."""
        return found.kind in {"none", "forward"} and self._host.forwards(packet.family, packet.in_device) is False

    def _tell_hops(self, route: Route) -> None:
        """Which of several a connection takes hangs on its addresses, and on its ports where the kernel is set so."""
        if route.hops:
            said = ", ".join(map(_hop, route.hops))
            self.notes.append(f"its route has several next hops ({said}): another connection may take another")

    def _compare(self, found: Route) -> None:
        if self._out in found.devices:
            self._tell_hops(found)
        elif found.kind == "forward":
            self.notes.append(f"the host would send it out by {found.device}, not by {self._out}")
        if found.kind == "local":
            self.notes.append(f"the host would take it for itself, and not send it out by {self._out}")
        if found.kind == "none":
            self.notes.append(f"the host has no way for it: {found.text}")

    def _stays_in_bridge(self, packet: Packet, route: Route) -> bool:
        """A DNAT that leads back into the bridge: where rules see bridged packets, the bridge sends it on by itself.

        From br_nf_pre_routing_finish (net/bridge/br_netfilter_hooks.c). What comes by no port of a bridge is routed.
        """
        back = route.kind == "forward" and route.device == packet.in_device and packet.physdev != ""
        return (
            back
            and "DNAT" in (packet.connection.nat or ())
            and self._host.sees_bridge_ports(packet.family) is not False
        )

    def _doubt(self, packet: Packet, route: Route) -> str:
        """What is not known of a packet, and might send it elsewhere."""
        if packet.to_host or self._out or route.kind in {"bridged", "unknown"}:
            return ""
        leaves = route.kind != "local"
        not_known: list[str] = [name for name in ("src", "dst", "mark") if name in packet.unknown]
        doubtful = [name for name in not_known if self._routes_by(name, packet) and (leaves or name != "src")]
        doubtful += self._looked_at(packet) if leaves else []
        if doubtful:
            return f"its {' and '.join(doubtful)} is not known here"
        return BY_PROTOCOL if leaves and not route.doubt and self._looks_at_protocol(packet) else route.doubt

    def _routes_by(self, field: str, packet: Packet) -> bool:
        """Routes of IPv6 may be for some sources only."""
        if field == "mark":
            return self._host.routes_by_mark(packet.family) is not False
        words = self._host.routes_by(packet.family)
        return field == "dst" or isinstance(packet.src, IPv6Address) or not words or any(map(_is_network, words))

    def _looked_at(self, packet: Packet) -> list[str]:
        """What rules of the routing policy look at, and nobody has said of the packet."""
        asked = {**NOT_SAID, **({} if packet.in_device else OF_SENDERS)}
        if packet.proto in TAKES_PORTS and packet.sport is None:
            asked["sport"] = "source port"
        words = self._host.routes_by(packet.family)
        return list(dict.fromkeys(asked[word] for word in asked if word in words))

    def _looks_at_protocol(self, packet: Packet) -> bool:
        """`ip route get` is told no protocols but those two (route.py)."""
        if packet.proto in TAKES_PORTS:
            return False
        words = self._host.routes_by(packet.family)
        looks_at_ports = packet.proto in WITH_PORTS and not words.isdisjoint({"sport", "dport"})
        return looks_at_ports or ("ipproto" in words and any(_is_protocol(word, packet.proto) for word in words))

    def _step(self, route: Route, doubt: str, share: Share) -> Step:
        step = Step(
            hook="routing",
            place=None,
            rule=route.text,
            comment="",
            packets=0,
            does=_does(route),
            sure=share == WHOLE and route.kind not in {"unknown", "bridged"} and not doubt and len(route.devices) == 1,
            why="whether the bridge passes it is not known" if route.kind == "bridged" else doubt,
        )
        self._note(step)
        return step


def _is_network(word: str) -> bool:
    try:
        return bool(ip_network(word, strict=False))
    except ValueError:
        return False


def _is_protocol(word: str, proto: str) -> bool:
    try:
        return protocol(word) == proto
    except InvalidValue:
        return False


def _hop(hop: Hop) -> str:
    return f"by {hop.device}" + (f" to {hop.gateway}" if hop.gateway else "")


def _does(route: Route) -> str:
    if route.kind == "local":
        return "takes it for this host"
    if route.kind == "forward":
        ways = dict.fromkeys((Hop(route.device, route.gateway), *route.hops))
        return f"sends it out {', or '.join(map(_hop, ways))}"
    if route.kind == "bridged":
        return f"leaves it to the bridge {route.device}"
    return "has no way for it" if route.kind == "none" else "cannot be asked for its way"
