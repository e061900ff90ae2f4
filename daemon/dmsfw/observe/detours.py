"""Containers that leave by another of their networks than a policy may think.

Which of several networks carries the default route differs between Docker's versions, so it is read where it is true:
in the container's own routing table. Nice to know, never needed for a decision.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, ip_interface
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dmsfw.errors import ObserveError
from dmsfw.model import Detour
from dmsfw.observe.networks import NETWORK_ID

if TYPE_CHECKING:
    from dmsfw.observe.docker import DockerReader

MOST: Final = 100
"""Containers that are looked into at one time: each costs a request."""

RTF_GATEWAY_UP: Final = 0x3
COLUMNS: Final = 8

Raw = Mapping[str, object]


class DetourReader:
    """Looks into the containers of more than one network. For one thread only."""

    def __init__(self, docker: DockerReader, proc: Path = Path("/proc")) -> None:
        self._docker, self._proc = docker, proc

    def read(self) -> tuple[Detour, ...]:
        """All detours that could be seen, sorted; what cannot be read is left out.

        Raises: ObserveError when Docker does not answer.
        """
        answer = self._docker.get("/containers/json")
        ids = [_id(raw) for raw in answer if isinstance(raw, dict)] if isinstance(answer, list) else []
        found = (self._of(self._inspect(id_)) for id_ in list(filter(None, ids))[:MOST])
        detours = {detour for several in found for detour in several}
        return tuple(sorted(detours, key=lambda detour: (detour.container, detour.network)))

    def close(self) -> None:
        """Drop the connection."""
        self._docker.close()

    def _inspect(self, id_: str) -> Raw:
        """What Docker says of one container; nothing when it has ended meanwhile."""
        try:
            answer = self._docker.get(f"/containers/{id_}/json")
        except ObserveError:
            return {}
        return answer if isinstance(answer, dict) else {}

    def _of(self, raw: Raw) -> tuple[Detour, ...]:
        endpoints = _endpoints(raw)
        gateway = self._gateway(_part(raw, "State").get("Pid"))
        leaves_by = next((name for name, endpoint in endpoints.items() if gateway and _holds(endpoint, gateway)), None)
        if leaves_by is None:
            return ()
        container = str(raw.get("Name", "")).lstrip("/")
        return tuple(Detour(container, name, leaves_by) for name in endpoints if name != leaves_by)

    def _gateway(self, pid: object) -> IPv4Address | None:
        if not isinstance(pid, int) or pid <= 0:
            return None
        try:
            return parse_gateway((self._proc / str(pid) / "net" / "route").read_text(errors="replace"))
        except OSError:
            return None


def parse_gateway(text: str) -> IPv4Address | None:
    """The gateway of the cheapest default route in a /proc/<pid>/net/route, which has it in the host's byte order."""
    return min(_gateways(text), default=(0, None))[1]


def _gateways(text: str) -> Iterator[tuple[int, IPv4Address]]:
    for columns in map(str.split, text.splitlines()[1:]):
        if len(columns) < COLUMNS or {columns[1], columns[7]} != {"00000000"}:
            continue
        try:
            flags, gateway, metric = int(columns[3], 16), struct.pack("=I", int(columns[2], 16)), int(columns[6])
        except (ValueError, struct.error):
            continue
        if flags & RTF_GATEWAY_UP == RTF_GATEWAY_UP:
            yield metric, IPv4Address(gateway)


def _id(raw: Raw) -> str | None:
    """The id of a container with more than one network; it goes into a path, so it must be one."""
    id_ = raw.get("Id")
    several = len(_endpoints(raw)) > 1
    return id_ if several and isinstance(id_, str) and NETWORK_ID.fullmatch(id_) else None


def _endpoints(raw: Raw) -> dict[str, Raw]:
    networks = _part(raw, "NetworkSettings").get("Networks")
    if not isinstance(networks, dict):
        return {}
    return {name: endpoint for name, endpoint in networks.items() if isinstance(endpoint, dict)}


def _part(raw: Raw, key: str) -> Raw:
    part = raw.get(key)
    return part if isinstance(part, dict) else {}


def _holds(endpoint: Raw, gateway: IPv4Address) -> bool:
    """Whether the gateway is this endpoint's, or lies in its subnet."""
    if endpoint.get("Gateway") == str(gateway):
        return True
    try:
        return gateway in ip_interface(f"{endpoint.get('IPAddress')}/{endpoint.get('IPPrefixLen')}").network
    except ValueError:
        return False
