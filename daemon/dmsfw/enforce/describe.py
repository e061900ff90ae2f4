"""A rule in words that its owner knows it by: addresses, devices, ports, states, comment and target."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from ipaddress import ip_address

PROTOCOLS = {1: "icmp", 2: "igmp", 6: "tcp", 17: "udp", 47: "gre", 50: "esp", 58: "ipv6-icmp", 132: "sctp"}

DEVICE_BYTES = 16
"""IFNAMSIZ."""

PORT_PAIRS = struct.Struct("=4H")
"""Source and destination range, the head of `struct xt_tcp` and `struct xt_udp`."""

MULTIPORT = struct.Struct("=BB15H15BB")
"""struct xt_multiport_v1: which ports, count, ports, whether each begins a range, inverted."""

ALL_PORTS = (0, 65535)

INVERTED = {"-i": 0x01, "-o": 0x02, "-s": 0x08, "-d": 0x10, "-p": 0x40}
"""Bits of the inversions in the head (IPT_INV_VIA_IN and so on; the same for IPv6)."""

INVERTED_AT = {4: 83, 6: 132}

PORT_PAIR_INVERTED_AT = {"tcp": 11, "udp": 8}
"""Where `struct xt_tcp` and `struct xt_udp` keep their inversions: 1 the source ports, 2 the destination ports."""


def describe(  # noqa: PLR0917 - the parts of a rule, in its order
    version: int, ip: bytes, matches: Sequence[tuple[str, bytes]], states: Sequence[str], comment: str, target: str
) -> str:
    """Write a rule much as `iptables-save` does. Of a match that is not known here, only the name is shown.

    `ip`: the head of a `struct ip[6]t_entry`; `matches`: names with their content. Names are shown as they stand in
    the table: filter them before printing.
    """
    inverted = ip[INVERTED_AT[version]]
    words = [f"{'! ' if inverted & INVERTED[flag] else ''}{flag} {value}" for flag, value in _fields(version, ip)]
    words += [word for name, content in matches for word in _match(name, content)]
    if states:
        words.append(f"--ctstate {','.join(states)}")
    if comment:
        words.append(f'-m comment --comment "{comment}"')
    return " ".join([*words, f"-j {target}" if target else ""]).rstrip()


def _fields(version: int, ip: bytes) -> Iterator[tuple[str, str]]:
    yield from _addresses(version, ip)
    yield from _devices(version, ip)
    (number,) = struct.unpack_from("=H", ip, 80 if version == 4 else 128)  # noqa: PLR2004 - an address family
    if number:
        yield "-p", PROTOCOLS.get(number, str(number))


def _addresses(version: int, ip: bytes) -> Iterator[tuple[str, str]]:
    size = 4 if version == 4 else 16  # noqa: PLR2004 - an address family
    for number, flag in enumerate(("-s", "-d")):
        address, mask = (ip[at : at + size] for at in (number * size, (number + 2) * size))
        if any(mask):
            prefix = sum(byte.bit_count() for byte in mask)
            yield flag, f"{ip_address(address)}/{prefix}"


def _devices(version: int, ip: bytes) -> Iterator[tuple[str, str]]:
    start = 16 if version == 4 else 64  # noqa: PLR2004 - an address family
    for number, flag in enumerate(("-i", "-o")):
        at = start + number * DEVICE_BYTES
        name = ip[at : at + DEVICE_BYTES].partition(b"\0")[0]
        mask = ip[at + 2 * DEVICE_BYTES : at + 3 * DEVICE_BYTES].partition(b"\0")[0]
        if name:
            yield flag, f"{name.decode('utf-8', 'replace')}{'+' if len(mask) == len(name) else ''}"


def _match(name: str, content: bytes) -> Iterator[str]:
    if name in {"tcp", "udp"}:
        yield from _port_pairs(content, content[PORT_PAIR_INVERTED_AT[name]])
    elif name == "multiport":
        yield f"-m multiport {_multiport(content)}".rstrip()
    elif name != "comment":
        yield f"-m {name}"


def _port_pairs(content: bytes, inverted: int) -> Iterator[str]:
    ports = PORT_PAIRS.unpack_from(content)
    for bit, flag, pair in ((1, "--sport", ports[:2]), (2, "--dport", ports[2:])):
        if pair != ALL_PORTS:
            shown = str(pair[0]) if pair[0] == pair[1] else f"{pair[0]}:{pair[1]}"
            yield f"{'! ' if inverted & bit else ''}{flag} {shown}"


def _multiport(content: bytes) -> str:
    if len(content) < MULTIPORT.size:
        return ""
    which, count, *rest, inverted = MULTIPORT.unpack_from(content)
    ports, begins = rest[:15], rest[15:30]
    flag = {0: "--sports", 1: "--dports", 2: "--ports"}.get(which, "--ports")
    text = "".join(f"{port}{':' if begins[number] else ','}" for number, port in enumerate(ports[:count]))
    return f"{'! ' if inverted else ''}{flag} {text[:-1]}"
