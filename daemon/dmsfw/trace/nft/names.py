"""Numbers by the names that nft writes (nft describe), and readers for values of a kind."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address

from dmsfw.errors import InvalidValue
from dmsfw.trace.nft.values import Interval, Scalar
from dmsfw.trace.packet import NUMBERS, protocol

NAME_BYTES = 16
"""IFNAMSIZ (linux/if.h)."""

STATES = {"invalid": 1, "established": 2, "related": 4, "new": 8, "untracked": 64}
STATUSES = {"expected": 1, "seen-reply": 2, "assured": 4, "confirmed": 8, "snat": 16, "dnat": 32, "dying": 512}
DIRECTIONS = {"original": 0, "reply": 1}
FLAGS = {"fin": 1, "syn": 2, "rst": 4, "psh": 8, "ack": 16, "urg": 32, "ecn": 64, "cwr": 128}
FAMILIES = {"ipv4": 2, "ipv6": 10}
ETHERTYPES = {"ip": 0x0800, "arp": 0x0806, "vlan": 0x8100, "8021q": 0x8100, "8021ad": 0x88A8, "ip6": 0x86DD}
PACKET_TYPES = {"host": 0, "unicast": 0, "broadcast": 1, "multicast": 2, "other": 3}
ADDRESS_TYPES = {
    "unspec": 0, "unicast": 1, "local": 2, "broadcast": 3, "anycast": 4, "multicast": 5, "blackhole": 6,
    "unreachable": 7, "prohibit": 8,
}  # fmt: skip
ICMP_TYPES = {
    "echo-reply": 0, "destination-unreachable": 3, "source-quench": 4, "redirect": 5, "echo-request": 8,
    "router-advertisement": 9, "router-solicitation": 10, "time-exceeded": 11, "parameter-problem": 12,
    "timestamp-request": 13, "timestamp-reply": 14, "info-request": 15, "info-reply": 16, "address-mask-request": 17,
    "address-mask-reply": 18,
}  # fmt: skip
ICMP_CODES = {
    "net-unreachable": 0, "host-unreachable": 1, "prot-unreachable": 2, "port-unreachable": 3, "frag-needed": 4,
    "net-prohibited": 9, "host-prohibited": 10, "admin-prohibited": 13,
}  # fmt: skip
ICMPV6_TYPES = {
    "destination-unreachable": 1, "packet-too-big": 2, "time-exceeded": 3, "parameter-problem": 4, "echo-request": 128,
    "echo-reply": 129, "mld-listener-query": 130, "mld-listener-report": 131, "mld-listener-done": 132,
    "mld-listener-reduction": 132, "nd-router-solicit": 133, "nd-router-advert": 134, "nd-neighbor-solicit": 135,
    "nd-neighbor-advert": 136, "nd-redirect": 137, "router-renumbering": 138, "ind-neighbor-solicit": 141,
    "ind-neighbor-advert": 142, "mld2-listener-report": 143,
}  # fmt: skip
ICMPV6_CODES = {
    "no-route": 0, "admin-prohibited": 1, "addr-unreachable": 3, "port-unreachable": 4, "policy-fail": 5,
    "reject-route": 6,
}  # fmt: skip


def number(raw: object) -> Interval:
    """A number, also one in digits. Raises: ValueError, TypeError."""
    if isinstance(raw, str):
        raw = int(raw, 0)
    if not isinstance(raw, int) or isinstance(raw, bool):
        raise TypeError(f"{raw} is no number")
    return raw, raw


def named(names: Mapping[str, int]) -> Scalar:
    """A reader of names, and of numbers that have none."""

    def scalar(raw: object) -> Interval:
        if isinstance(raw, str) and raw in names:
            return names[raw], names[raw]
        return number(raw)

    return scalar


def address4(raw: object) -> Interval:
    """An address of IPv4. Raises: ValueError."""
    found = int(IPv4Address(raw if isinstance(raw, str) else ""))
    return found, found


def address6(raw: object) -> Interval:
    """An address of IPv6. Raises: ValueError."""
    found = int(IPv6Address(raw if isinstance(raw, str) else ""))
    return found, found


def proto(raw: object) -> Interval:
    """A protocol, by its number or by a name of /etc/protocols. Raises: ValueError, TypeError."""
    if not isinstance(raw, str):
        return number(raw)
    try:
        name = protocol(raw)
        found = NUMBERS[name] if name in NUMBERS else int(name)
    except InvalidValue:
        try:
            found = socket.getprotobyname(raw)
        except OSError as error:
            raise ValueError(f"the protocol {raw} is not known") from error
    return found, found


def device(raw: object) -> Interval:
    """A device's name. Raises: ValueError."""
    if not isinstance(raw, str):
        raise ValueError(f"device {raw} is gone")  # noqa: TRY004 - its number is all that is left
    return name_number(raw), name_number(raw)


def pattern(raw: object) -> Interval:
    """A device's name, or the beginning of one and a star. Raises: ValueError."""
    if not isinstance(raw, str):
        raise ValueError(f"{raw} is no name")  # noqa: TRY004 - it is a value that nft does not write
    if not raw.endswith("*"):
        return device(raw)
    if raw.endswith("\\*"):
        return device(raw[:-2] + "*")
    beginning = raw[:-1].encode(errors="surrogateescape")[:NAME_BYTES]
    rest = NAME_BYTES - len(beginning)
    return int.from_bytes(beginning + bytes(rest), "big"), int.from_bytes(beginning + b"\xff" * rest, "big")


def name_number(name: str) -> int:
    """A device's name as the kernel compares it."""
    return int.from_bytes(name.encode(errors="surrogateescape")[:NAME_BYTES].ljust(NAME_BYTES, b"\0"), "big")
