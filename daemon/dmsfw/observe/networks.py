"""Docker's list of networks, read as what it is: text that anybody who may create a network has a hand in.

A network that cannot be opened safely stays in the list with its `problem`, so that it can be named aloud.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

from dmsfw.errors import ObserveError
from dmsfw.model import Network, Subnet, is_device_name

BRIDGE_NAME_OPTION: Final = "com.docker.network.bridge.name"
"""Driver option that names the bridge; Docker sets it itself on its default network."""

NETWORK_ID: Final = re.compile(r"[0-9a-f]{64}")
CIDR: Final = re.compile(r"[0-9A-Fa-f.:]+/[0-9]{1,3}")
"""An address with its prefix length. Without one, ipaddress would take the address for a single host; a mask in its
place could be read as a host mask."""

WIDEST: Final = {4: 8, 6: 16}
"""Shortest prefix of a bridge's subnet, by IP version. 10.0.0.0/8 is the largest private block. A rule of the nat table
names no bridge, only the subnet: a wider one would translate the traffic of half the world, 0.0.0.0/0 that of all."""

NO_HOST_OF_OURS: Final[tuple[Subnet, ...]] = (
    *map(IPv4Network, ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3")),
    *map(IPv6Network, ("::/8", "fe80::/10", "ff00::/8")),
)
"""Unspecified, loopback, link-local, multicast and reserved (RFC 6890): nothing there is routed from a bridge."""

Raw = Mapping[str, object]


def parse_networks(answer: object) -> tuple[Network, ...]:
    """Turn the answer of `GET /networks` into networks, sorted by name, then id.

    Raises: ObserveError when the answer is no list of objects: then nothing in it can be trusted to be complete.
    """
    if not isinstance(answer, list) or not all(isinstance(raw, dict) for raw in answer):
        raise ObserveError("docker", "its list of networks is none")
    networks = _without_shared_bridges([_network(raw) for raw in answer])
    return tuple(sorted(networks, key=lambda network: (network.name, network.id)))


def _network(raw: Raw) -> Network:
    driver = _text(raw.get("Driver"))
    device = _device(raw) if driver == "bridge" else ""
    subnets, refused = _subnets(raw)
    return Network(
        id=_text(raw.get("Id")),
        name=_text(raw.get("Name")),
        driver=driver,
        device=device if _is_bridge_name(device) else "",
        subnets=subnets,
        # Whatever is not plainly false counts as internal: such a network stays closed.
        internal=raw.get("Internal", False) is not False,
        labels=_labels(raw.get("Labels")),
        problem=_problem(raw, device, subnets, refused) if driver == "bridge" else "",
    )


def _device(raw: Raw) -> str:
    """The bridge in the kernel, as Docker names it; not checked yet."""
    options = raw.get("Options")
    named = options.get(BRIDGE_NAME_OPTION) if isinstance(options, dict) else None
    if named not in (None, ""):
        return named if isinstance(named, str) else f"not text: {named!r}"
    return "docker0" if raw.get("Name") == "bridge" else f"br-{_text(raw.get('Id'))[:12]}"


def _is_bridge_name(device: str) -> bool:
    return is_device_name(device) and device != "lo"


def _problem(raw: Raw, device: str, subnets: tuple[Subnet, ...], refused: list[str]) -> str:
    if not _text(raw.get("Name")):
        return "it has no name"
    if not NETWORK_ID.fullmatch(_text(raw.get("Id"))):
        return "its id is not 64 hexadecimal digits"
    if not _is_bridge_name(device):
        return f"its bridge {device[:40]!r} is no name of a device that may stand in a rule"
    if not subnets:
        return "; ".join(refused) or "it has no subnet"
    return ""


def _subnets(raw: Raw) -> tuple[tuple[Subnet, ...], list[str]]:
    """The usable subnets, sorted, and why each of the others is not."""
    ipam = raw.get("IPAM")
    configs = ipam.get("Config") if isinstance(ipam, dict) else None
    known = configs if isinstance(configs, list) else []
    texts = [config.get("Subnet") for config in known if isinstance(config, dict)]
    good, refused = set[Subnet](), list[str]()
    for text in texts:
        subnet = _subnet(text)
        if isinstance(subnet, str):
            refused.append(f"its subnet {str(text)[:50]!r} {subnet}")
        else:
            good.add(subnet)
    return tuple(sorted(good, key=lambda net: (net.version, int(net.network_address), net.prefixlen))), refused


def _subnet(text: object) -> Subnet | str:
    """The subnet, with its host bits cleared; or why it cannot be opened."""
    return _known_subnet(text) if isinstance(text, str) else "cannot be read"


@lru_cache(maxsize=1024)
def _known_subnet(text: str) -> Subnet | str:
    """Kept, for nearly all that is read has been read before: half of a reading's time went here."""
    if not CIDR.fullmatch(text):
        return "cannot be read"
    try:
        subnet = ip_network(text, strict=False)
    except ValueError:
        return "cannot be read"
    if subnet.prefixlen < WIDEST[subnet.version]:
        return f"is wider than /{WIDEST[subnet.version]}"
    if any(_overlap(subnet, taken) for taken in NO_HOST_OF_OURS):
        return "is not for hosts"
    return subnet


def _overlap(one: Subnet, other: Subnet) -> bool:
    if isinstance(one, IPv4Network):
        return isinstance(other, IPv4Network) and one.overlaps(other)
    return isinstance(other, IPv6Network) and one.overlaps(other)


def _labels(raw: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(raw, dict):
        return ()
    return tuple(sorted((key, value) for key, value in raw.items() if isinstance(key, str) and isinstance(value, str)))


def _text(raw: object) -> str:
    return raw if isinstance(raw, str) else ""


def _without_shared_bridges(networks: Iterable[Network]) -> list[Network]:
    """Close every network whose bridge another one claims too: a rule cannot tell their packets apart.

    Docker refuses such a pair. Should it be there nevertheless, opening the one would open the other, which may be
    internal.
    """
    networks = list(networks)
    claims = Counter(network.device for network in networks if network.device)
    return [
        replace(network, problem=network.problem or f"another network claims its bridge {network.device}")
        if claims[network.device] > 1
        else network
        for network in networks
    ]
