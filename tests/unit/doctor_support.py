"""A router in values: the recorded firewall3 with one network of Docker's behind it, and what was found about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Interface, ip_address, ip_interface, ip_network
from pathlib import Path

from dmsfw.doctor.containers import Container, Endpoint
from dmsfw.doctor.findings import Findings, Trial
from dmsfw.doctor.kernel import Bridge, Switches
from dmsfw.doctor.leaving import Leaving
from dmsfw.doctor.names import Lookup
from dmsfw.doctor.policies import Policies
from dmsfw.doctor.probe import Outcome, Probe
from dmsfw.doctor.target import Target
from dmsfw.doctor.ways import Ways, first_packet, ways
from dmsfw.model import Network, Uplink, Uplinks
from dmsfw.trace import Packet
from dmsfw.trace.host import BaseChain, Interface, Route
from dmsfw.trace.nft.model import Nftables
from dmsfw.trace.packet import Address, Family
from dmsfw.trace.ruleset import Ruleset, parse

RECORDED = Path(__file__).parents[1] / "cases" / "openwrt"
SAVED = {4: (RECORDED / "fw3.iptables-save.txt").read_text(), 6: (RECORDED / "fw3.ip6tables-save.txt").read_text()}

BRIDGE, WAN = "br-4e4eb4db3fbd", "pppoe-wan"
SOURCE, SERVER = ip_address("172.18.0.2"), ip_address("220.197.33.205")
COMPOSE = (("com.docker.compose.network", "dms-network"), ("com.docker.compose.project", "dms-service"))
NETWORK = Network("4e" * 32, "dms", "bridge", BRIDGE, (ip_network("172.18.0.0/16"),), labels=COMPOSE)
OTHER = Network("5f" * 32, "other", "bridge", "br-other", (ip_network("172.19.0.0/16"),))
ENDPOINT = Endpoint(NETWORK.id, "dms", (SOURCE,), (ip_address("172.18.0.1"),))
CONTAINER = Container("ab" * 32, "mail", 7, "dms", endpoints=(ENDPOINT,))
UPLINKS = Uplinks((Uplink("wan", WAN),), (Uplink("vpn", "wg0"),))
WAN_ADDRESS = IPv4Interface("198.51.100.2/24")


@dataclass
class FakeHost:
    """Implements trace's Host. `extra`: rules by the line that they go in front of."""

    device: str = WAN
    extra: Mapping[str, str] = field(default_factory=dict)
    forwarding: bool = True
    local: Sequence[str] = ()
    chains: tuple[BaseChain, ...] = ()
    nft: Nftables | None = None

    def rulesets(self, family: Family) -> tuple[Ruleset, ...]:
        text = SAVED[family]
        for line, rule in self.extra.items():
            assert line in text
            text = text.replace(line, f"{rule}\n{line}", 1)
        return (parse(text, family),)

    def route(self, packet: Packet) -> Route:
        if packet.family == 4 and packet.dst in ip_network("172.18.0.0/16"):
            return Route("forward", BRIDGE)
        return Route("local") if str(packet.dst) in self.local else Route("forward", self.device, "198.51.100.1")

    def address_kind(self, address: Address, device: str = "") -> str | None:
        return "LOCAL" if str(address) in self.local and not device else "UNICAST"

    def addresses(self, family: Family, device: str) -> tuple[Interface, ...] | None:
        if family == 6:
            return (ip_interface("2001:db8::2/64"),)
        return (WAN_ADDRESS,) if device == WAN else (ip_interface("172.18.0.1/16"),)

    def in_set(self, *_: object) -> bool | None:
        return None

    def sees_bridge_ports(self, *_: object) -> bool | None:
        return False

    def routes_by_mark(self, *_: object) -> bool | None:
        return False

    def routes_by(self, *_: object) -> frozenset[str]:
        return frozenset()

    def forwards(self, *_: object) -> bool | None:
        return self.forwarding

    def nftables(self) -> Nftables | None:
        return self.nft

    def base_chains(self, *_: object) -> tuple[BaseChain, ...]:
        return self.chains

    def kernel(self) -> tuple[int, int]:
        return (6, 6)


FIRST_ZONE = '-A FORWARD -i eth-lan -m comment --comment "!fw3" -j zone_lan_forward'
ESTABLISHED = '-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -m comment --comment "!fw3" -j ACCEPT'
WAN_NAT = '-A POSTROUTING -o pppoe-wan -m comment --comment "!fw3" -j zone_wan_postrouting'
FIRST_NAT = '-A PREROUTING -m comment --comment "!fw3: Custom prerouting rule chain" -j prerouting_rule'
LAST_FORWARD = '-A FORWARD -m comment --comment "!fw3" -j reject'
FIRST_OUTPUT = '-A OUTPUT -o lo -m comment --comment "!fw3" -j ACCEPT'
FIRST_INPUT = '-A INPUT -i lo -m comment --comment "!fw3" -j ACCEPT'
OPEN = {FIRST_ZONE: f"-A FORWARD -i {BRIDGE} -p tcp -m tcp --dport 465 -j ACCEPT"}


def followed(host: FakeHost, target: Target) -> Ways:
    return ways(first_packet(BRIDGE, SOURCE, target.at(SERVER)), host)


def trial(
    inside: Outcome = "refused",
    *,
    host: Outcome = "connects",
    kernel: FakeHost | None = None,
    target: Target | None = None,
    policies: Policies | None = None,
    **given: object,
) -> Trial:
    """The field case's address, refused; with whatever else is given."""
    target = target or Target("smtp.example.com", 465)
    found = Trial(
        SERVER,
        host=Probe(str(SERVER), target.port, host),
        inside=Probe(str(SERVER), target.port, inside),
        leaving=Leaving(SERVER, SOURCE, NETWORK),
        bridge=Bridge(BRIDGE, exists=True, up=True),
        switches=Switches(4, forwards=True),
        policies=policies or Policies(uplinks=(WAN,)),
        ways=followed(kernel or FakeHost(), target),
    )
    return replace(found, **given)  # type: ignore[arg-type]


def findings(*trials: Trial, target: Target | None = None, **given: object) -> Findings:
    found = Findings(
        target or Target("smtp.example.com", 465),
        CONTAINER,
        here=Lookup((str(SERVER),), "the host"),
        there=Lookup((str(SERVER),), "127.0.0.11"),
        trials=trials,
    )
    return replace(found, **given)  # type: ignore[arg-type]
