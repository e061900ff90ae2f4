"""The host's own addresses, as `ip` lists them."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_interface, ip_network
from typing import NamedTuple

from dmsfw.trace.host import Interface
from dmsfw.trace.packet import Address, Family
from dmsfw.trace.shell import Shell

KINDS = {"local": "LOCAL", "broadcast": "BROADCAST"}


class Local(NamedTuple):
    """A line of the routing table `local`: addresses of a kind, on a device. `bits`: length of the prefix."""

    kind: str
    first: int
    last: int
    bits: int
    device: str


def local_table(shell: Shell, family: Family) -> tuple[Local, ...] | None:
    """The table; None when it cannot be had."""
    said = shell.run("ip", f"-{family}", "route", "show", "table", "local")
    return tuple(_local(said.out)) if said.code == 0 else None


def _local(text: str) -> Iterator[Local]:
    for words in map(str.split, text.splitlines()):
        if len(words) < 4 or words[0] not in KINDS or words[2] != "dev":  # noqa: PLR2004 - local 10.0.0.1 dev eth0
            continue
        try:
            network = ip_network(words[1])
        except ValueError:
            continue
        ends = int(network.network_address), int(network.broadcast_address)
        yield Local(KINDS[words[0]], *ends, network.prefixlen, words[3])


def kind(table: tuple[Local, ...], address: Address, device: str = "") -> str:
    """What addrtype calls it (__inet_dev_addr_type). On another device than `device` it is UNICAST like any other."""
    if address.is_multicast:
        return "MULTICAST"
    number = int(address)
    if address.version == 4 and (number >> 24 == 0 or number == 0xFFFFFFFF):  # noqa: PLR2004 - 0/8, and to all
        return "BROADCAST"
    found = [line for line in table if line.first <= number <= line.last]
    best = max(found, key=lambda line: line.bits, default=None)
    return best.kind if best is not None and device in {"", best.device} else "UNICAST"


def of_device(shell: Shell, family: Family, device: str) -> tuple[Interface, ...] | None:
    """Addresses of a device that packets may leave with: global, and no secondary or tentative ones.

    None: not known.
    """
    said = shell.run("ip", "-o", f"-{family}", "addr", "show", "dev", device)
    return tuple(_usable(said.out)) if said.code == 0 else None


def _usable(text: str) -> Iterator[Interface]:
    for words in map(str.split, text.splitlines()):
        if len(words) < 4 or not words[2].startswith("inet") or "scope" not in words[:-1]:  # noqa: PLR2004
            continue
        is_global = words[words.index("scope") + 1] == "global"
        if not is_global or {"secondary", "temporary", "tentative", "deprecated"} & set(words):
            continue
        try:
            yield _interface(words)
        except ValueError:
            continue


def _interface(words: list[str]) -> Interface:
    """`10.0.0.1/24`; of a line from point to point (`10.64.1.2 peer 10.64.1.1/32`) the own end."""
    if words[4:5] == ["peer"]:
        peer = ip_interface(words[5])
        return ip_interface(f"{ip_address(words[3])}/{peer.network.prefixlen}")
    return ip_interface(words[3])
