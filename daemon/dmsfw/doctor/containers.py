"""The container that is meant, and Docker's networks with what only a diagnosis asks of them.

A container is meant by its name, by its Compose service, or by the beginning of its id, in this order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_interface
from typing import TYPE_CHECKING, Final

from dmsfw.doctor.choice import LIVING, Listed, choose
from dmsfw.doctor.raw import Raw, is_address, pairs, part, text, texts_of
from dmsfw.doctor.target import Address
from dmsfw.errors import CannotTell
from dmsfw.model import Network
from dmsfw.observe.networks import NETWORK_ID, parse_networks
from dmsfw.report.text import clean

if TYPE_CHECKING:
    from dmsfw.observe.docker import DockerReader

SERVICE, PROJECT = "com.docker.compose.service", "com.docker.compose.project"
MASQUERADE: Final = "com.docker.network.bridge.enable_ip_masquerade"
NO_BRIDGE: Final[Mapping[str, str]] = {
    "host": "shares the host's network (network_mode: host)",
    "none": "has no network (network_mode: none)",
}
"""Modes in which no packet of a container passes a bridge."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A container's place in a network. `gateways`: where Docker lets its default routes lead, if by this one."""

    network_id: str
    network: str
    addresses: tuple[Address, ...] = ()
    gateways: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True)
class Container:
    """A running container. `mode`: Docker's network mode. `shares`: the container whose network it uses, or empty."""

    id: str
    name: str
    pid: int
    mode: str = ""
    state: str = "running"
    endpoints: tuple[Endpoint, ...] = ()
    dns: tuple[str, ...] = ()
    shares: str = ""

    @property
    def is_paused(self) -> bool:
        """Nothing in it runs, until it is unpaused; its network is there."""
        return self.state == "paused"


@dataclass(frozen=True, slots=True)
class Networks:
    """Docker's networks, and the driver options of each by its id."""

    known: tuple[Network, ...] = ()
    options: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def by_id(self, id_: str) -> Network | None:
        """The network of an id."""
        return next((network for network in self.known if network.id == id_), None)

    def holding(self, address: Address) -> Network | None:
        """The bridge network in whose subnet an address lies: docker_gwbridge is in no container's list."""
        return next((one for one in self.known if one.device and any(address in net for net in one.subnets)), None)

    def masquerades(self, network: Network) -> bool:
        """Whether Docker would translate its addresses, were its iptables handling on."""
        return self.options.get(network.id, {}).get(MASQUERADE, "true") != "false"


def listed(docker: DockerReader) -> tuple[Listed, ...]:
    """All containers, those that do not run too, sorted by name. Raises: ObserveError; CannotTell."""
    answer = docker.get("/containers/json?all=1")
    if not isinstance(answer, list):
        raise CannotTell("docker: its list of containers is none: something else answers on that socket")
    found = (_listed(raw) for raw in answer if isinstance(raw, dict))
    return tuple(sorted((one for one in found if NETWORK_ID.fullmatch(one.id)), key=lambda one: (one.name, one.id)))


def networks(docker: DockerReader) -> Networks:
    """All networks. Raises: ObserveError."""
    answer = docker.get("/networks")
    known = parse_networks(answer)
    raws = answer if isinstance(answer, list) else []
    return Networks(known, {text(raw.get("Id")): pairs(raw.get("Options")) for raw in raws})


def find(docker: DockerReader, meant: str) -> Container:
    """The container that is meant. Raises: ObserveError; CannotTell when it is none, several, or does not run."""
    known = listed(docker)
    one = choose(known, meant)
    if one.state not in LIVING:
        raise CannotTell(f"container {one.shown} is {clean(one.state) or 'not running'}: start it, then ask again")
    return _container(docker, one)


def _listed(raw: Raw) -> Listed:
    names, labels = raw.get("Names"), pairs(raw.get("Labels"))
    # A link gives further names with the other container's in front: the own one has a single slash.
    own = [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
    name = min(own, key=lambda one: one.count("/"), default="").lstrip("/")
    return Listed(text(raw.get("Id")), name, labels.get(PROJECT, ""), labels.get(SERVICE, ""), text(raw.get("State")))


def _container(docker: DockerReader, one: Listed) -> Container:
    raw = docker.get(f"/containers/{one.id}/json")
    inspected: Raw = raw if isinstance(raw, dict) else {}
    host = part(inspected, "HostConfig")
    mode, shares = text(host.get("NetworkMode")), ""
    endpoints = _endpoints(inspected)
    if mode.startswith("container:") and NETWORK_ID.fullmatch(mode.partition(":")[2]):
        other = docker.get(f"/containers/{mode.partition(':')[2]}/json")
        shared: Raw = other if isinstance(other, dict) else {}
        endpoints, shares = _endpoints(shared), text(shared.get("Name")).lstrip("/")
        mode = text(part(shared, "HostConfig").get("NetworkMode"))
    return Container(
        id=one.id,
        name=one.name,
        pid=_pid(inspected, one),
        mode=mode,
        state=one.state,
        endpoints=endpoints,
        dns=tuple(filter(is_address, texts_of(host.get("Dns")))),
        shares=shares,
    )


def _pid(raw: Raw, one: Listed) -> int:
    """Raises: CannotTell."""
    pid = part(raw, "State").get("Pid")
    if not isinstance(pid, int) or pid <= 0:
        raise CannotTell(f"container {one.shown} is not running: start it, then ask again")
    return pid


def _endpoints(raw: Raw) -> tuple[Endpoint, ...]:
    found = part(part(raw, "NetworkSettings"), "Networks")
    return tuple(
        Endpoint(text(part.get("NetworkID")), name, tuple(_addresses(part)), tuple(_gateways(part)))
        for name, part in sorted(found.items())
        if isinstance(part, dict)
    )


def _addresses(part: Raw) -> Iterator[Address]:
    for address, length in (("IPAddress", "IPPrefixLen"), ("GlobalIPv6Address", "GlobalIPv6PrefixLen")):
        try:
            yield ip_interface(f"{part.get(address)}/{part.get(length)}").ip
        except ValueError:
            continue


def _gateways(part: Raw) -> Iterator[Address]:
    for gateway in (text(part.get("Gateway")), text(part.get("IPv6Gateway"))):
        if is_address(gateway):
            yield ip_address(gateway)
