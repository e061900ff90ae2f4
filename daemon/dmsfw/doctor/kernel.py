"""The host's side of a network: its bridge, and the switches without which nothing is forwarded."""

from __future__ import annotations

import fcntl
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

IFF_UP: Final = 0x1
"""Flag of a device (linux/if.h)."""

SIOCGIFFLAGS: Final = 0x8913
"""Asks for a device's flags (linux/sockios.h). /sys/class/net shows the namespace that mounted it, not always ours."""

SYSCTL: Final = Path("/proc/sys/net")


@dataclass(frozen=True, slots=True)
class Bridge:
    """A bridge as the kernel has it."""

    device: str
    exists: bool = False
    up: bool = False


@dataclass(frozen=True, slots=True)
class Switches:
    """What the kernel passes on at all. None: there is no such switch here.

    `forwards`: packets that come in by the bridge are passed on. `bridged_meet_iptables`: what stays in one bridge
    meets FORWARD too (Debian's default; OpenWrt switches it off).
    """

    version: int
    forwards: bool | None = None
    bridged_meet_iptables: bool | None = None


def bridge(device: str) -> Bridge:
    """Look at a bridge, in our own network namespace."""
    request = struct.pack("16sH14x", device.encode(), 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            answer = fcntl.ioctl(any_socket, SIOCGIFFLAGS, request)
        except OSError:
            return Bridge(device)
    flags: int = struct.unpack_from("=H", answer, 16)[0]
    return Bridge(device, exists=True, up=bool(flags & IFF_UP))


def switches(version: int, device: str, sysctl: Path = SYSCTL) -> Switches:
    """Read the switches for packets that come in by `device`.

    IPv4 asks the device's own switch (ip_route_input), which `ip_forward` sets for all; IPv6 the common one too.
    """
    family = "ipv4" if version == 4 else "ipv6"  # noqa: PLR2004 - the IP version
    own = _flag(sysctl / family / "conf" / device / "forwarding") if device else None
    common = _flag(sysctl / family / "conf" / "all" / "forwarding")
    forwards = common if own is None or (family == "ipv6" and not common) else own
    nf_call = "bridge-nf-call-iptables" if family == "ipv4" else "bridge-nf-call-ip6tables"
    return Switches(version, forwards, _flag(sysctl / "bridge" / nf_call))


def _flag(path: Path) -> bool | None:
    try:
        return path.read_text().strip() not in {"", "0"}
    except OSError:
        return None
