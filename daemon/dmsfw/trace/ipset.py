"""Whether a packet is in an ipset: asked of `ipset test`, which needs an entry of the set's own type."""

from __future__ import annotations

import re

from dmsfw.trace.packet import WITH_PORTS, Packet
from dmsfw.trace.shell import Shell

_TYPE = re.compile(r"^Type: (?:hash|bitmap|list):(\S+)$", re.MULTILINE)
ADDRESSES = frozenset({"ip", "net"})


def holds(shell: Shell, name: str, parts: tuple[str, ...], packet: Packet) -> bool | None:
    """Whether it does; None where that cannot be asked."""
    if name.startswith("-"):
        return None
    described = shell.run("ipset", "list", "-terse", name)
    match = _TYPE.search(described.out)
    entry = _entry(match[1].split(","), parts, packet) if described.code == 0 and match else None
    if entry is None:
        return None
    said = shell.run("ipset", "test", name, entry)
    if said.code == 0:
        return True
    return False if said.code == 1 and "is NOT in set" in said.err else None


def _entry(kinds: list[str], parts: tuple[str, ...], packet: Packet) -> str | None:
    """`10.0.0.1,tcp:80`; None for parts that a packet seen from here does not tell."""
    if len(parts) < len(kinds):
        return None
    found = [_part(kind, part, packet) for kind, part in zip(kinds, parts, strict=False)]
    return None if None in found else ",".join(filter(None, found))


def _part(kind: str, part: str, packet: Packet) -> str | None:
    if part not in {"src", "dst"}:
        return None
    if kind in ADDRESSES:
        return str(packet.src if part == "src" else packet.dst)
    if kind == "iface":
        return (packet.in_device if part == "src" else packet.out_device) or None
    if kind == "port" and packet.proto in WITH_PORTS:
        port = packet.sport if part == "src" else packet.dport
        return None if port is None else f"{packet.proto}:{port}"
    return None
