"""Networks, configurations and wishes; and what a configuration lets pass, counted port by port."""

from __future__ import annotations

from ipaddress import ip_network

from dmsfw.config import settings_of
from dmsfw.config.advice import NETWORK, PROJECT
from dmsfw.decide.grants import grants
from dmsfw.edit import Wish, ports_of_the_command
from dmsfw.model import Network, Proto, Snapshot, Uplink, Uplinks
from tests.unit.config_support import SHIPPED

TEXT = SHIPPED.read_text("utf-8")
MAIN = "config dmsfw 'main'\n"
UPLINKS = Uplinks(chosen=(Uplink("wan", "pppoe-wan"),), others=(Uplink("vpn", "wg0"),))

Passing = frozenset[tuple[str, str, str, int, str]]
"""Bridge, uplink, protocol, port, destination."""


def network(name: str, labels: dict[str, str] | None = None, number: int = 1, **more: object) -> Network:
    """A network with a bridge and a subnet of its own."""
    subnets = (ip_network(f"172.{16 + number}.0.0/16"),)
    pairs = tuple(sorted((labels or {}).items()))
    return Network(f"{number}" * 64, name, device=f"br-{number}", subnets=subnets, labels=pairs, **more)  # type: ignore[arg-type]


def compose(project: str, name: str, number: int = 1) -> Network:
    """A network as Compose makes it."""
    return network(f"{project}_{name}", {PROJECT: project, NETWORK: name}, number)


FIELD = compose("dms-service", "dms-network", 1)
WEB = compose("web", "default", 2)
PLAIN = network("plain", number=3)
GLOB = network("it's [1]*", number=4)
ALL = (FIELD, WEB, PLAIN, GLOB)


def wish(
    meant: Network,
    ports: str = "",
    proto: Proto | None = "tcp",
    name: str | None = None,
    networks: tuple[Network, ...] = ALL,
) -> Wish:
    """A wish as the commands make it."""
    return Wish(meant, ports_of_the_command(ports) if ports else (), proto, name, networks)


LOOKED_AT = (1, 21, 22, 23, 52, 53, 54, *range(79, 92), 100, 101, 443, 464, 465, 466, 586, 587, 588, 1003, 1100, 65535)
"""Ports that are looked at: those of the tests, and what is beside them."""


def passing(text: str, networks: tuple[Network, ...] = ALL) -> Passing:
    """Return all that a configuration lets pass, of the ports that are looked at. Ping is port 0."""
    found = set()
    for one in grants(Snapshot(settings_of(text), networks, UPLINKS)):
        ranges = one.ports or ((1, 65535),)
        numbers = [port for port in LOOKED_AT if any(first <= port <= last for first, last in ranges)]
        numbers = [0] if one.proto == "icmp" else numbers
        protos = ("tcp", "udp", "sctp", "icmp") if one.proto == "all" else (one.proto,)
        found |= {(one.bridge, one.uplink, p, n, str(one.destination)) for p in protos for n in numbers}
    return frozenset(found)
