"""The router's ways out: veth pairs to the provider that come, go and change their names while the router runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from subprocess import CompletedProcess

from tests.lab.netifd import Netifd

Shell = Callable[[str], "CompletedProcess[str]"]
SERVER, SERVER6 = "203.0.113.205", "2001:db8:205::205"
"""The mail server's documentation addresses (RFC 5737, RFC 3849)."""
RESOLVER = "203.0.113.53"
"""The provider's name server, for routers that ask it directly."""
DELEGATED = "2001:db8:d0c::/48"
"""The prefix that the provider routes to the router: networks with it need no masquerade."""
LINK_LOCAL_GATEWAY = "fe80::1"


@dataclass(frozen=True)
class Line:
    """What the provider gives on one line: addresses without their prefix length, which are 24 and 64."""

    interface: str
    device: str
    address: str
    gateway: str
    address6: str
    gateway6: str
    metric: int


WAN = Line("wan", "pppoe-wan", "198.51.100.2", "198.51.100.1", "2001:db8:100::2", "2001:db8:100::1", 0)
WANB = Line("wanb", "eth2", "198.51.101.7", "198.51.101.1", "2001:db8:101::2", "2001:db8:101::1", 20)


class Uplink:
    """One line: the kernel's device, its routes, and what netifd says of it, kept in step."""

    def __init__(self, line: Line, shell: Shell, netifd: Netifd, *, ipv6: bool) -> None:
        self.line, self._shell, self._netifd, self._ipv6 = line, shell, netifd, ipv6
        self.device = line.device

    @property
    def interfaces(self) -> tuple[str, ...]:
        """The logical interfaces on this line; over PPPoE, IPv6 is a dynamic one of its own."""
        return ("wan", "wan_6") if self.line.interface == "wan" and self._ipv6 else (self.line.interface,)

    def up(self, device: str | None = None) -> None:
        """Make the device, under another name if told, with addresses and default routes; netifd shows it up."""
        self.device = device or self.device
        self._shell(self.commands())
        self.up_for_netifd()

    def up_for_netifd(self) -> None:
        """Let netifd show the line up on its device."""
        for interface in self.interfaces:
            self._netifd.up(interface, self.device)

    def down(self) -> None:
        """Remove the device; its routes go with it, and netifd shows the line down."""
        self._shell(f"ip link delete {self.device}")
        for interface in self.interfaces:
            self._netifd.down(interface)

    def redial(self, device: str | None = None) -> None:
        """Lose the line and get it again, as PPPoE does every night; maybe under another device name."""
        self.down()
        self.up(device)

    def rename(self, device: str) -> None:
        """Rename the living device (it goes down for that, and loses its routes, which are set again)."""
        self._shell(f"ip link set {self.device} down; ip link set {self.device} name {device}")
        self.device = device
        self._shell("\n".join(self._addressing()))
        self.up_for_netifd()

    def commands(self) -> str:
        """Return the shell commands that make the line, both ends."""
        line, far = self.line, self.line.interface
        ends = [
            f"ip link add {self.device} type veth peer name {far} netns isp",
            f"ip -netns isp address add {line.gateway}/24 dev {far}",
            f"ip -netns isp link set {far} up",
        ]
        if self._ipv6:
            ends += [f"ip -netns isp address add {a}/64 dev {far} nodad" for a in (line.gateway6, LINK_LOCAL_GATEWAY)]
        ends += self._addressing()
        if self._ipv6:
            ends.append(f"ip -netns isp route replace {DELEGATED} via {line.address6} metric {line.metric + 1}")
        return "\n".join(ends)

    def _addressing(self) -> list[str]:
        line, device = self.line, self.device
        commands = [
            f"ip address replace {line.address}/24 dev {device}",
            f"ip link set {device} up",
            f"ip route replace default via {line.gateway} dev {device} metric {line.metric}",
        ]
        if self._ipv6:
            commands += [
                f"ip address replace {line.address6}/64 dev {device} nodad",
                f"ip route replace default via {LINK_LOCAL_GATEWAY} dev {device} metric {512 + line.metric}",
            ]
        return commands
