"""What has to be asked of the host while a packet is followed: the port, and its answers."""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv6Interface
from typing import NamedTuple, Protocol

from dmsfw.trace.nft.model import Nftables
from dmsfw.trace.packet import Address, Family, Packet
from dmsfw.trace.ruleset import Ruleset

Interface = IPv4Interface | IPv6Interface


class Hop(NamedTuple):
    """One of several next hops, on the link where it has no gateway."""

    device: str
    gateway: str = ""


class Route(NamedTuple):
    """A routing decision. `kind`: forward (by `device`, over `gateway` or on the link), local, none, or unknown.

    A local one has a `device` where it is for many, by which the host itself sends such a packet.
    `text`: what the kernel said. `hops`: where the route has several, all that a connection may take, this one's too.
    `doubt`: why others may be there that are not known; or empty.
    """

    kind: str
    device: str = ""
    gateway: str = ""
    text: str = ""
    hops: tuple[Hop, ...] = ()
    doubt: str = ""

    @property
    def devices(self) -> tuple[str, ...]:
        """What connections leave by, this one's first."""
        return tuple(dict.fromkeys((self.device, *(hop.device for hop in self.hops))))


class BaseChain(NamedTuple):
    """A chain of nftables' own on a hook that our packets pass. `owner`: family and table."""

    owner: str
    name: str
    hook: str
    policy: str


class Host(Protocol):
    """Answers of one network namespace. An answer that cannot be had is None, and never an exception."""

    def rulesets(self, family: Family) -> tuple[Ruleset, ...]:
        """The rules of each variant that has some; a packet must pass all of them."""

    def route(self, packet: Packet) -> Route:
        """Where the packet goes, as it stands now."""

    def address_kind(self, address: Address, device: str = "") -> str | None:
        """LOCAL, BROADCAST, MULTICAST or UNICAST, as `addrtype` has it; `device`: as seen from that one only."""

    def addresses(self, family: Family, device: str) -> tuple[Interface, ...] | None:
        """The device's own addresses that packets may be sent from, with their networks, the first one first."""

    def in_set(self, name: str, parts: tuple[str, ...], packet: Packet) -> bool | None:
        """Whether the packet is in an ipset; `parts` are src or dst, a word for each part of the set's entries."""

    def sees_bridge_ports(self, family: Family) -> bool | None:
        """Whether rules are asked about packets within a bridge (net.bridge.bridge-nf-call-ip*tables)."""

    def forwards(self, family: Family, device: str) -> bool | None:
        """Whether the host forwards what comes in by a device."""

    def routes_by_mark(self, family: Family) -> bool | None:
        """Whether a rule of the routing policy looks at marks."""

    def routes_by(self, family: Family) -> frozenset[str]:
        """Words of the routing policy's rules: what they look at, and names. Empty where it cannot be asked."""

    def nftables(self) -> Nftables | None:
        """All tables of nftables; None where they cannot be read."""

    def base_chains(self, family: Family) -> tuple[BaseChain, ...] | None:
        """Where nftables() is None: chains of its own (not of iptables-nft) that routed packets of the family pass."""

    def kernel(self) -> tuple[int, int]:
        """Major and minor version of the kernel."""
