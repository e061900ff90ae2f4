"""The way that a container's own routing table takes: the kernel is asked for it, in the container's namespace."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from dmsfw.doctor import inside
from dmsfw.doctor.containers import Container, Endpoint, Networks
from dmsfw.doctor.inside import Tick
from dmsfw.doctor.target import Address
from dmsfw.model import Network

LIMIT_S: Final = 5.0
ANY_PORT: Final = 9
"""discard: nothing is sent to it, the kernel only looks for a way."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """How a packet for `destination` leaves the container. `source` None: it has no route there.

    `network`: Docker's network that it leaves by; None: something that Docker did not make, a VPN in the container.
    """

    destination: Address
    source: Address | None = None
    network: Network | None = None


def leaving(
    container: Container, networks: Networks, destinations: Sequence[Address], tick: Tick
) -> tuple[Leaving, ...]:
    """Find out for each destination. Raises: CannotTell."""
    texts = [str(one) for one in destinations]
    found = inside.do(lambda: [_source(text) for text in texts], pid=container.pid, limit_s=LIMIT_S, tick=tick)
    sources = [ip_address(text) if text else None for text in found] if isinstance(found, list) else []
    return tuple(
        Leaving(destination, source, None if source is None else network_of(source, container.endpoints, networks))
        for destination, source in zip(destinations, sources, strict=True)
    )


def network_of(source: Address, endpoints: Sequence[Endpoint], networks: Networks) -> Network | None:
    """The network that an address of a container belongs to."""
    for endpoint in endpoints:
        if source in endpoint.addresses:
            return networks.by_id(endpoint.network_id)
    return networks.holding(source)


def own_source(destination: Address) -> Address | None:
    """The address that the host itself would send from; None where it has no route there."""
    text = _source(str(destination))
    return ip_address(text) if text else None


def _source(destination: str) -> str:
    """The address that the kernel would send from; nothing when there is no route. Nothing is sent."""
    family = socket.AF_INET6 if ":" in destination else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as udp:
            udp.connect((destination, ANY_PORT))
            return str(udp.getsockname()[0])
    except OSError:
        return ""
