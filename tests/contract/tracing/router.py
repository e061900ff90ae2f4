"""A router in this network namespace whose every wire ends in the test's hand.

    br-lan   10.1.0.1/24, fd00:1::1/64       a bridge with the port `port0`, a tap device; the clients' side
    wan0     192.0.2.1/24, 2001:db8:2::1/64  a tun device; the default route
    wan1     198.18.0.1/24, 2001:db8:3::1/64 a tun device; the way of packets with mark 0x10/0x10

A packet that is written to a device has been through the firewall when the write returns: what it became can be read
at once, and nothing is waited for. The kernel's own packets are dropped in raw OUTPUT, where they are counted.
"""

from __future__ import annotations

import fcntl
import os
import select
import socket
import struct
import subprocess
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from dmsfw.trace import Packet
from dmsfw.trace.shell import Said, ThisShell
from tests.contract.tracing.frames import CLIENT_MAC_TEXT, Seen, framed, seen

TUNSETIFF = 0x400454CA
TUN, TAP, NO_PI = 1, 2, 0x1000
PATIENCE_S = 2.0
"""How long a packet may take that has to come; it takes no time at all."""

LAN, WAN, SECOND = "br-lan", "wan0", "wan1"
PORT = "port0"

SETUP = f"""\
link add {LAN} type bridge
link set {LAN} address 02:00:00:00:00:01
link set {PORT} master {LAN}
link set {PORT} up
link set {LAN} up
link set {WAN} up
link set {SECOND} up
addr add 10.1.0.1/24 dev {LAN}
addr add 192.0.2.1/24 dev {WAN}
addr add 198.18.0.1/24 dev {SECOND}
addr add fd00:1::1/64 dev {LAN} nodad
addr add 2001:db8:2::1/64 dev {WAN} nodad
addr add 2001:db8:3::1/64 dev {SECOND} nodad
route add default dev {WAN}
route add default dev {SECOND} table 100
rule add fwmark 0x10/0x10 lookup 100
route add 10.2.0.0/16 via 10.1.0.2
neigh add 10.1.0.2 lladdr {CLIENT_MAC_TEXT} dev {LAN} nud permanent
neigh add 10.1.0.3 lladdr {CLIENT_MAC_TEXT} dev {LAN} nud permanent
neigh add fd00:1::2 lladdr {CLIENT_MAC_TEXT} dev {LAN} nud permanent
neigh add fd00:1::3 lladdr {CLIENT_MAC_TEXT} dev {LAN} nud permanent
"""

SETUP_6 = f"""\
route add default dev {WAN}
route add default dev {SECOND} table 100
rule add fwmark 0x10/0x10 lookup 100
route add fd00:2::/64 via fd00:1::2
"""

SETTINGS = {
    "ipv4/ip_forward": "1",
    "ipv6/conf/all/forwarding": "1",
    "ipv4/conf/all/rp_filter": "0",
    "ipv4/conf/all/send_redirects": "0",
    f"ipv4/conf/{LAN}/send_redirects": "0",
    "ipv4/icmp_ratelimit": "0",
    "ipv6/icmp/ratelimit": "0",
    "ipv4/icmp_echo_ignore_broadcasts": "0",
    "netfilter/nf_conntrack_tcp_loose": "0",
}

IPCTNL_MSG_CT_DELETE = 0x0102
"""NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE; without a tuple it empties the whole table."""


class Outcome(NamedTuple):
    """What became of a packet: the device that it left by (`host`: the router took it; empty: nothing came)."""

    device: str
    seen: Seen | None


class Router:
    """Made once in a namespace of its own; the rules change under it."""

    def __init__(self) -> None:
        self._fds = {PORT: _device(PORT, TAP), WAN: _device(WAN, TUN), SECOND: _device(SECOND, TUN)}
        for options, commands in (([], SETUP), (["-6"], SETUP_6)):
            subprocess.run(["ip", *options, "-batch", "-"], input=commands, check=True, text=True)
        _await_addresses()
        for name, value in SETTINGS.items():
            Path("/proc/sys/net", name).write_text(value)
        self._host = [_listener(family, number) for family, number in LISTENED]
        self._poll = select.poll()
        for fd in (*self._fds.values(), *(one.fileno() for one in self._host)):
            self._poll.register(fd, select.POLLIN)
        self._conntrack = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)

    def close(self) -> None:
        for fd in self._fds.values():
            os.close(fd)
        for one in (*self._host, self._conntrack):
            one.close()

    def bridge_calls(self, *, on: bool) -> None:
        """Whether rules are asked about packets as they come in by a bridge's port."""
        for name in ("iptables", "ip6tables"):
            Path("/proc/sys/net/bridge", f"bridge-nf-call-{name}").write_text(str(int(on)))

    def forget(self) -> None:
        """Empty the table of connections."""
        flags = 1 | 4  # NLM_F_REQUEST | NLM_F_ACK
        self._conntrack.send(struct.pack("=IHHIIBBH", 20, IPCTNL_MSG_CT_DELETE, flags, 1, 0, 0, 0, 0))
        self._conntrack.recv(4096)

    def send(self, packet: Packet, data: bytes, *, expected: bool) -> Outcome:
        """Let the packet arrive by its device, and see what becomes of it. `expected`: it will come out."""
        if packet.in_device == LAN:
            os.write(self._fds[PORT], framed(data))
        else:
            os.write(self._fds[packet.in_device], data)
        found = self._read()
        if not found and expected:
            self._poll.poll(PATIENCE_S * 1000)
            found = self._read()
        assert len(found) < 2, f"{packet} came out more than once: {found}"
        return found[0] if found else Outcome("", None)

    def _read(self) -> list[Outcome]:
        found = []
        for name, fd in self._fds.items():
            while data := _read(fd):
                packet = data[14:] if name == PORT else data
                one = seen(packet) if data[12:14] != b"\x08\x06" or name != PORT else None
                if one is not None:
                    found.append(Outcome(LAN if name == PORT else name, one))
        for listener in self._host:
            found += _received(listener)
        return found


LISTENED = [
    *((socket.AF_INET, number) for number in (1, 6, 17, 47, 132)),
    *((socket.AF_INET6, number) for number in (58, 6, 17, 47, 132)),
]


def _await_addresses() -> None:
    """IPv6 takes its own addresses for local a moment after they are given."""
    ends = monotonic() + PATIENCE_S
    listed = ""
    while listed.count("local 2001:") + listed.count("local fd00:") < 3:
        assert monotonic() < ends, listed
        listed = ThisShell().run("ip", "-6", "route", "show", "table", "local").out


def _device(name: str, kind: int) -> int:
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("=16sH22x", name.encode(), kind | NO_PI))
    return fd


def _listener(family: int, number: int) -> socket.socket:
    """What the router takes for itself: a raw socket is given it behind INPUT."""
    made = socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK, number)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    return made


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, 4096)
    except BlockingIOError:
        return b""


def _received(listener: socket.socket) -> list[Outcome]:
    found = []
    while True:
        try:
            data, extra, _, sender = listener.recvmsg(4096, 256)
        except BlockingIOError:
            return found
        if listener.family == socket.AF_INET6:
            dst = next(value[:16] for level, kind, value in extra if (level, kind) == (41, socket.IPV6_PKTINFO))
            src = socket.inet_pton(socket.AF_INET6, sender[0].partition("%")[0])
            data = struct.pack("!IHBB", 6 << 28, len(data), listener.proto, 64) + src + dst + data
        one = seen(data)
        if one is not None:
            found.append(Outcome("host", one))


class Answers(ThisShell):
    """The real programs' answers, kept: nothing but the rules changes. The rules are given."""

    def __init__(self) -> None:
        self.saved: dict[str, str] = {}
        self._known: dict[tuple[str, ...], Said] = {}

    def run(self, *command: str) -> Said:
        if command[0] in self.saved:
            return Said(0, self.saved[command[0]])
        if command[0].endswith("-save"):
            return Said(None)
        if "ipproto" in command:
            command = command[: command.index("ipproto")]  # no routing rule asks for ports here
        if command not in self._known:
            self._known[command] = super().run(*command)
        return self._known[command]
