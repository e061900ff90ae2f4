"""Packets as bytes, from what the model says of them, and back."""

from __future__ import annotations

import struct
from ipaddress import ip_address
from typing import NamedTuple

from dmsfw.trace import Packet
from dmsfw.trace.packet import NUMBERS, WITH_PORTS, Address
from tests.contract.wire import sealed

BRIDGE_MAC = bytes.fromhex("020000000001")
CLIENT_MAC = bytes.fromhex("020000000002")
CLIENT_MAC_TEXT = "02:00:00:00:00:02"
ETHER_TYPES = {4: 0x0800, 6: 0x86DD}

FLAGS = {"FIN": 1, "SYN": 2, "RST": 4, "PSH": 8, "ACK": 16, "URG": 32}
FIRST, FIRST_BACK = 1, 5000
"""Sequence numbers of either side."""

OURS = {"icmp": frozenset({0, 3, 8}), "icmpv6": frozenset({1, 128, 129})}
"""Types of ICMP that the tests send: echoes, and what is unreachable. The kernel has others of its own."""


class Seen(NamedTuple):
    """A packet that came out: what translation may have changed. For ICMP `sport` is the identifier."""

    src: Address
    sport: int | None
    dst: Address
    dport: int | None
    proto: str


def raw(packet: Packet, identifier: int, payload: bytes = b"?") -> bytes:
    """The packet as it travels. `identifier`: that of an echo."""
    return sealed(str(packet.src), str(packet.dst), packet.number, _body(packet, identifier, payload))


def complaint(packet: Packet, about: bytes) -> bytes:
    """An error message of ICMP about a packet; it quotes its beginning."""
    assert packet.icmp is not None
    body = struct.pack("!BBHI", *packet.icmp, 0, 0) + about[:64]
    return sealed(str(packet.src), str(packet.dst), packet.number, body)


def framed(packet: bytes) -> bytes:
    """The same in a frame of the client's to the router's bridge."""
    return BRIDGE_MAC + CLIENT_MAC + struct.pack("!H", ETHER_TYPES[packet[0] >> 4]) + packet


def _body(packet: Packet, identifier: int, payload: bytes) -> bytes:
    if packet.icmp is not None:
        return struct.pack("!BBHHH", *packet.icmp, 0, identifier, 1) + payload
    if packet.proto == "tcp":
        return _tcp(packet)
    ports = packet.sport or 0, packet.dport or 0
    if packet.proto == "udp":
        return struct.pack("!HHHH", *ports, 8 + len(payload), 0) + payload
    if packet.proto == "sctp":
        return struct.pack("!HHII", *ports, 0, 0) + struct.pack("!BBHIIHHI", 1, 0, 20, 1, 65535, 1, 1, 1)
    return struct.pack("!HH", 0, 0x0800) + bytes(16)  # GRE; NAT wants room for a PPTP header (nf_nat_proto.c)


def _tcp(packet: Packet) -> bytes:
    flags = sum(FLAGS[name] for name in packet.tcp_flags)
    seq, ack = {2: (FIRST, 0), 18: (FIRST_BACK, FIRST + 1), 16: (FIRST + 1, FIRST_BACK + 1)}.get(flags, (FIRST, 0))
    return struct.pack("!HHIIBBHHH", packet.sport or 0, packet.dport or 0, seq, ack, 5 << 4, flags, 65535, 0, 0)


def seen(packet: bytes) -> Seen | None:
    """What a packet that came out says; None for what the kernel sends of itself."""
    version = packet[0] >> 4
    number, at, size = (packet[9], 12, 4) if version == 4 else (packet[6], 8, 16)
    src, dst = (ip_address(packet[at + n * size : at + (n + 1) * size]) for n in (0, 1))
    body = packet[(packet[0] & 15) * 4 if version == 4 else 40 :]
    proto = next((name for name, one in NUMBERS.items() if one == number), str(number))
    if proto in {"icmp", "icmpv6"}:
        return Seen(src, int.from_bytes(body[4:6], "big"), dst, None, proto) if body[0] in OURS[proto] else None
    if proto == "tcp" and body[13] & FLAGS["RST"]:
        return None  # REJECT's, which goes straight to a bridge where rules see bridged packets (nf_send_reset)
    if proto not in WITH_PORTS:
        return Seen(src, None, dst, None, proto) if proto == "gre" else None
    return Seen(src, *struct.unpack("!H", body[:2]), dst, *struct.unpack("!H", body[2:4]), proto)
