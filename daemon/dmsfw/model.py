"""The nouns of dmsfw: frozen values without behaviour of their own.

Everything that comes from outside (Docker, UCI, ubus) has been validated before it becomes one of these, and their
constructors check once more what a wrong value would open. Nothing here knows how a firewall is spoken to.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Literal, NamedTuple

from dmsfw.errors import InvalidValue

Subnet = IPv4Network | IPv6Network
Version = Literal[4, 6]
VERSIONS: tuple[Version, ...] = (4, 6)
Family = Literal["any", "ipv4", "ipv6"]
BackendChoice = Literal["auto", "iptables", "nftables"]
Proto = Literal["tcp", "udp", "sctp", "icmp", "all"]

PROTOS: tuple[Proto, ...] = ("tcp", "udp", "sctp", "icmp", "all")
PROTOS_WITH_PORTS: tuple[Proto, ...] = ("tcp", "udp", "sctp")

PROTOCOL_NUMBERS = {"tcp": 6, "udp": 17, "sctp": 132, "icmp": 1, "ipv6-icmp": 58}
"""Of those that a policy may name (IANA); icmp of IPv6 is a protocol of its own."""

MAX_PORT = 65535
"""Highest TCP, UDP or SCTP port (16 bits)."""

DEVICE_NAME = re.compile(r"[A-Za-z0-9_.@-]{1,15}")
"""Device names that dmsfw uses. The kernel allows 15 bytes (IFNAMSIZ - 1) of almost anything; Docker accepts `br+`,
which iptables reads as a wildcard, and `x"accept#`, which is text to inject. Everything else is refused."""

ID_LENGTH = 12
"""Hexadecimal digits of a grant's id (48 bits): the same length as Docker's short ids."""


def version_of(what: IPv4Address | IPv6Address | Subnet) -> Version:
    """The address family: 4 or 6."""
    return 4 if what.version == 4 else 6  # noqa: PLR2004 - that is what it is called


def is_device_name(name: str) -> bool:
    """Tell whether `name` may stand in a rule. The kernel has no `.` and no `..` (dev_valid_name)."""
    return DEVICE_NAME.fullmatch(name) is not None and name not in {".", ".."}


class PortRange(NamedTuple):
    """Ports from `first` to `last`, both included."""

    first: int
    last: int

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


Ports = tuple[PortRange, ...]
"""Sorted, disjoint, not touching. Empty means every port, which a policy has to say in so many words (`any`)."""


def ports_text(ports: Ports) -> str:
    """Write ports as a user does: `465,1000-2000`, or `any`."""
    return ",".join(map(str, ports)) or "any"


@dataclass(frozen=True, slots=True)
class Policy:
    """What one `egress` section allows. `labels` are (key, value) pairs that must all be there; value None: presence.

    A network is selected by all of the labels together, or by one of the globs in `networks`.
    `uplinks` empty: the main list. `destinations` empty: anywhere. `ports` empty: any port.
    """

    name: str
    labels: tuple[tuple[str, str | None], ...] = ()
    networks: tuple[str, ...] = ()
    protos: tuple[Proto, ...] = ("tcp",)
    ports: Ports = ()
    destinations: tuple[Subnet, ...] = ()
    uplinks: tuple[str, ...] = ()
    dns: bool = False
    masq: bool = True
    family: Family = "any"
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Zone:
    """The firewall's zone `wan`, as far as it names its members itself."""

    interfaces: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole configuration, valid. `wan_zone` comes from the firewall's own file beside ours.

    `metrics_file` empty: no metrics are written.
    """

    enabled: bool = True
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"
    docker_url: str = "unix:///var/run/docker.sock"
    uplinks: tuple[str, ...] = ()
    uplink_devices: tuple[str, ...] = ()
    resync_s: int = 60
    metrics_file: str = ""
    backend: BackendChoice = "auto"
    policies: tuple[Policy, ...] = ()
    wan_zone: Zone = field(default_factory=Zone)

    @property
    def active(self) -> tuple[Policy, ...]:
        """The policies that are switched on."""
        return tuple(policy for policy in self.policies if policy.enabled)


@dataclass(frozen=True, slots=True)
class Network:
    """A network of Docker's. `device` is its bridge in the kernel; empty where its driver makes none.

    `problem` says why a network cannot be opened whatever the policies say (a hostile device name, say); else empty.
    """

    id: str
    name: str
    driver: str = "bridge"
    device: str = ""
    subnets: tuple[Subnet, ...] = ()
    internal: bool = False
    labels: tuple[tuple[str, str], ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Detour:
    """A container of a network that leaves the host by another of its networks."""

    container: str
    network: str
    leaves_by: str


@dataclass(frozen=True, slots=True)
class Uplink:
    """A logical interface with its layer-3 device. `up` False: it is down, and this was its last device."""

    interface: str
    device: str
    up: bool = True


@dataclass(frozen=True, slots=True)
class Uplinks:
    """What one reading of the uplinks gave.

    `chosen`: the ways out for every policy that names none. `others`: the other interfaces that a policy may name.
    `missing`: chosen interfaces that have no device. `default_devices`: devices of the default routes, for the hint
    that is given when nothing is up.
    """

    chosen: tuple[Uplink, ...] = ()
    others: tuple[Uplink, ...] = ()
    missing: tuple[str, ...] = ()
    default_devices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The world as it was last read: the only input of a decision."""

    settings: Settings
    networks: tuple[Network, ...] = ()
    uplinks: Uplinks = field(default_factory=Uplinks)


@dataclass(frozen=True, slots=True)
class Grant:
    """What may pass, in nobody's tongue: from a bridge and subnet by an uplink's device, and who asks for it.

    Raises: InvalidValue for a value that would open more than it says.
    """

    network: str
    bridge: str
    subnet: Subnet
    uplink: str
    proto: Proto
    ports: Ports = ()
    destination: Subnet | None = None
    masquerade: bool = True
    whys: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for device in (self.bridge, self.uplink):
            if not is_device_name(device):
                raise InvalidValue("device", device, "1 to 15 of A-Z a-z 0-9 _ . @ -")
        if self.ports and self.proto not in PROTOS_WITH_PORTS:
            raise InvalidValue("ports", ports_text(self.ports), f"no ports with {self.proto}")
        for first, last in self.ports:
            if not 1 <= first <= last <= MAX_PORT:
                raise InvalidValue("ports", f"{first}-{last}", f"1 to {MAX_PORT}")
        if self.destination is not None and self.destination.version != self.subnet.version:
            raise InvalidValue("destination", str(self.destination), f"an IPv{self.subnet.version} address")

    @property
    def id(self) -> str:
        """A stable name for what the grant says: the same after a restart, whoever asks for it."""
        what = (self.proto, ports_text(self.ports), self.destination, self.masquerade)
        said = (self.bridge, self.subnet, self.uplink, *what)
        return hashlib.sha256(" ".join(map(str, said)).encode()).hexdigest()[:ID_LENGTH]

    @property
    def sort_key(self) -> tuple[str, ...]:
        """The order in which grants are listed and installed; total, and independent of what was read first."""
        return (self.network, self.bridge, str(self.subnet.version), str(self.subnet), self.uplink, self.proto, self.id)


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a plan. `place` says where in the firewall, `text` is the rule in the firewall's own tongue."""

    sign: Literal["+", "-"]
    place: str
    text: str
    why: str = ""

    def __str__(self) -> str:
        return f"{self.sign} {self.text}"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a pass had to change (or would), and what stands there. Empty `changes`: in sync.

    `rules` counts the owned rules that are due, `rules_by_bridge` those of each network (a rule that two share counts
    for both); `ahead` are other people's rules that a packet meets before ours. `notes`: what keeps the firewall from
    allowing all that was asked for, one sentence each. `served`: the firewalls that the rules are in.
    """

    changes: tuple[Change, ...] = ()
    rules: int = 0
    rules_by_bridge: tuple[tuple[str, int], ...] = ()
    ahead: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    served: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.changes)
