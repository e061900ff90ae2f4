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


def describe(
    version: int, ip: bytes, matches: Sequence[tuple[str, bytes]], states: Sequence[str], comment: str, target: str
) -> str:
    """Write a rule much as `iptables-save` does. Of a match that is not known here, only the name is shown.

    `ip`: the head of a `struct ip[6]t_entry`; `matches`: names with their content. Names are shown as they stand in
    the table: filter them before printing.
    """
    words = [*_addresses(version, ip), *_devices(version, ip), *_protocol(version, ip)]
    words += [word for name, content in matches for word in _match(name, content)]
    if states:
        words.append(f"--ctstate {','.join(states)}")
    if comment:
        words.append(f'-m comment --comment "{comment}"')
    return " ".join([*words, f"-j {target}" if target else ""]).rstrip()


def _addresses(version: int, ip: bytes) -> Iterator[str]:
    size = 4 if version == 4 else 16  # noqa: PLR2004 - an address family
    for number, flag in enumerate(("-s", "-d")):
        address, mask = (ip[at : at + size] for at in (number * size, (number + 2) * size))
        if any(mask):
            prefix = sum(byte.bit_count() for byte in mask)
            yield f"{flag} {ip_address(address)}/{prefix}"


def _devices(version: int, ip: bytes) -> Iterator[str]:
    start = 16 if version == 4 else 64  # noqa: PLR2004 - an address family
    for number, flag in enumerate(("-i", "-o")):
        at = start + number * DEVICE_BYTES
        name = ip[at : at + DEVICE_BYTES].partition(b"\0")[0]
        mask = ip[at + 2 * DEVICE_BYTES : at + 3 * DEVICE_BYTES].partition(b"\0")[0]
        if name:
            yield f"{flag} {name.decode('utf-8', 'replace')}{'+' if len(mask) == len(name) else ''}"


def _protocol(version: int, ip: bytes) -> Iterator[str]:
    (number,) = struct.unpack_from("=H", ip, 80 if version == 4 else 128)  # noqa: PLR2004 - an address family
    if number:
        yield f"-p {PROTOCOLS.get(number, number)}"


def _match(name: str, content: bytes) -> Iterator[str]:
    if name in {"tcp", "udp"}:
        yield from _port_pairs(content)
    elif name == "multiport":
        yield f"-m multiport {_multiport(content)}".rstrip()
    elif name != "comment":
        yield f"-m {name}"


def _port_pairs(content: bytes) -> Iterator[str]:
    sources_and_destinations = PORT_PAIRS.unpack_from(content)
    for flag, pair in (("--sport", sources_and_destinations[:2]), ("--dport", sources_and_destinations[2:])):
        if pair != ALL_PORTS:
            yield f"{flag} {pair[0]}" if pair[0] == pair[1] else f"{flag} {pair[0]}:{pair[1]}"


def _multiport(content: bytes) -> str:
    if len(content) < MULTIPORT.size:
        return ""
    which, count, *rest = MULTIPORT.unpack_from(content)
    ports, begins = rest[:15], rest[15:30]
    flag = {0: "--sports", 1: "--dports", 2: "--ports"}.get(which, "--ports")
    text = "".join(f"{port}{':' if begins[number] else ','}" for number, port in enumerate(ports[:count]))
    return f"{flag} {text[:-1]}"
