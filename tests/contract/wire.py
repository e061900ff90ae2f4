"""Devices whose other end is in the test's hand: what is written to one arrives there, what is sent out by it is read.

Tun devices need no second namespace and no neighbour; a packet that is written has been through the firewall, or is on
its way, when the write returns. That nothing came is told by a later packet that did.
"""

from __future__ import annotations

import fcntl
import os
import select
import socket
import struct
import subprocess
from ipaddress import ip_address
from itertools import count
from types import TracebackType
from typing import NamedTuple

TUNSETIFF = 0x400454CA
IFF_TUN_NO_PI = 0x0001 | 0x1000
PATIENCE_S = 5.0
"""How long a packet may take that has to come; it takes microseconds."""

PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "gre": 47, "ipv6-icmp": 58, "sctp": 132}


class Seen(NamedTuple):
    """What left by a device."""

    source: str
    destination: str
    payload: bytes


class Wire:
    """A device of this network namespace, up, with an address of each family."""

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self._fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.ioctl(self._fd, TUNSETIFF, struct.pack("=16sH22x", name.encode(), IFF_TUN_NO_PI))
        batch = (
            f"link set {name} up\naddr add 203.0.113.{number}/32 dev {name}\n"
            f"addr add 2001:db8:9::{number}/128 dev {name} nodad\n"
        )
        subprocess.run(["ip", "-batch", "-"], input=batch, check=True, text=True)

    def __enter__(self) -> Wire:  # noqa: PYI034 - typing.Self is newer than Python 3.10
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)

    def arrive(
        self, source: str, destination: str, proto: str, port: int, payload: bytes = b"", *, here: int | None = None
    ) -> None:
        """Let a packet arrive on this device; `here`: its own port, else one that no packet had before."""
        os.write(self._fd, packet(source, destination, proto, (here or next(FROM_PORTS), port), payload))

    def leaves(self, payload: bytes) -> list[Seen]:
        """All that left by this device until, and with, the packet that ends with `payload`."""
        seen: list[Seen] = []
        while not seen or not seen[-1].payload.endswith(payload):
            ready, _, _ = select.select([self._fd], [], [], PATIENCE_S)
            assert ready, f"nothing leaves by {self.name} but {seen}"
            one = _seen(os.read(self._fd, 2048))
            if one:
                seen.append(one)
        return seen


FROM_PORTS = count(40001)
"""No two packets belong to one connection."""


def packet(source: str, destination: str, proto: str, ports: tuple[int, int], payload: bytes) -> bytes:
    """An IP packet to a port; for TCP and SCTP, the one that opens a connection."""
    number = PROTOCOLS[proto]
    return sealed(source, destination, number, _body(number, *ports, payload))


def sealed(source: str, destination: str, number: int, body: bytes) -> bytes:
    """An IP packet around the body of a protocol, with the checksums that it needs."""
    version = ip_address(source).version
    ends = ip_address(source).packed + ip_address(destination).packed
    pseudo = struct.pack("!II", len(body), number) if version == 6 else struct.pack("!HH", number, len(body))
    if number in _CHECKSUM_AT:
        at = _CHECKSUM_AT[number]
        of = body if number == 1 else ends + pseudo + body
        body = body[:at] + struct.pack("!H", _checksum(of) or 0xFFFF) + body[at + 2 :]
    if number == 132:
        body = body[:8] + struct.pack("<I", _crc32c(body)) + body[12:]
    if version == 6:
        return struct.pack("!IHBB", 6 << 28, len(body), number, 64) + ends + body
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0, 64, number, 0) + ends
    return head[:10] + struct.pack("!H", _checksum(head)) + head[12:] + body


_CHECKSUM_AT = {1: 2, 6: 16, 17: 6, 58: 2}


def _body(number: int, here: int, port: int, payload: bytes) -> bytes:
    if number == 6:
        return struct.pack("!HHIIBBHHH", here, port, 1, 0, 5 << 4, 0x02, 65535, 0, 0) + payload
    if number == 17:
        return struct.pack("!HHHH", here, port, 8 + len(payload), 0) + payload
    if number == 132:
        chunk = struct.pack("!BBHIIHHI", 1, 0, 20, 1, 65535, 1, 1, 1)  # INIT
        return struct.pack("!HHII", here, port, 0, 0) + chunk
    if number == 47:
        return struct.pack("!HH", 0, 0x0800) + payload
    return struct.pack("!BBHHH", 8 if number == 1 else 128, 0, 0, here, 1) + payload


def _checksum(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def _seen(raw: bytes) -> Seen | None:
    if raw[0] >> 4 == 4:
        return Seen(*(socket.inet_ntop(socket.AF_INET, raw[at : at + 4]) for at in (12, 16)), raw[20:])
    source, destination = (socket.inet_ntop(socket.AF_INET6, raw[at : at + 16]) for at in (8, 24))
    of_the_kernel = source.startswith("fe80") or destination.startswith("ff")
    return None if of_the_kernel else Seen(source, destination, raw[40:])
