"""Translations: nft's words for what the targets of iptables do; the kernel does it by the same functions."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

from dmsfw.trace.nft.lookups import Stores
from dmsfw.trace.nft.needs import needed
from dmsfw.trace.nft.operations import Ask, Do, Effects
from dmsfw.trace.nft.text import written
from dmsfw.trace.packet import Packet
from dmsfw.trace.scene import Scene
from dmsfw.trace.targets import anything, effects

OPTIONS = {
    "dnat": ("DNAT", "--to-destination"),
    "snat": ("SNAT", "--to-source"),
    "masquerade": ("MASQUERADE", "--to-ports"),
    "redirect": ("REDIRECT", "--to-ports"),
}
FAMILIES = {"ip": 4, "ip6": 6}
FLAGS = {"random": "--random", "fully-random": "--random", "persistent": "--persistent"}


def translation(kind: str, body: object, stores: Stores) -> Iterator[Ask | Do]:
    """What a statement does; one that is for the other family does nothing. Raises: ValueError, TypeError, KeyError."""
    found = body if isinstance(body, dict) else {}
    target, name = OPTIONS[kind]
    where = _where(found, ":" if "nat" in kind else "")
    options = (*((name, where) if where else ()), *_flags(found))
    family = FAMILIES.get(str(found.get("family", "")))
    follows = where is not None and "type_flags" not in found

    def done(packet: Packet, scene: Scene) -> Effects:
        if family not in {None, packet.family}:
            return effects("", packet, (), scene)
        return effects(target, packet, options, scene) if follows else anything(packet, f"a map says where to {kind}")

    for part in ("addr", "port"):
        yield from needed(found.get(part), stores)
    yield Do(done)


def _where(body: dict[str, object], colon: str) -> str | None:
    """`10.0.0.1-10.0.0.9:80-90`, as iptables has it; None: a map says it. `colon`: before ports alone."""
    address, port = body.get("addr", ""), body.get("port", "")
    if any(isinstance(one, dict) and not {"range", "prefix"} & set(one) for one in (address, port)):
        return None
    where, ports = _range(address), written(port)
    if "addr" not in body:
        return f"{colon}{ports}" if ports else ""
    return f"[{where}]:{ports}" if ports and ":" in where else f"{where}:{ports}" if ports else where


def _range(address: object) -> str:
    """A range of addresses is listed as a prefix where it is one. Raises: ValueError, KeyError."""
    if not isinstance(address, dict) or "prefix" not in address:
        return written(address)
    network = ip_network(written(address))
    return f"{network[0]}-{network[-1]}"


def _flags(body: dict[str, object]) -> tuple[str, ...]:
    raw = body.get("flags", [])
    return tuple(FLAGS[str(one)] for one in (raw if isinstance(raw, list) else [raw]))
