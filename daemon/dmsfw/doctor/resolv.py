"""What a container's resolv.conf and hosts file say, and by which way each name server is asked. Pure.

A container asks in one of three ways, and each meets another part of the firewall:

    dockerd   Docker's resolver (127.0.0.11) asks the host's resolver on loopback from the host: no rule is met
    outside   the question leaves the container and passes FORWARD: udp and tcp 53 need a rule
    router    the question goes to an address of the router itself and meets INPUT
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final, Literal, NamedTuple

from dmsfw.doctor.raw import is_address

EMBEDDED: Final = "127.0.0.11"
"""Where Docker's resolver listens, in the network namespace of each container on a network of its user's."""

MOST_SERVERS: Final = 3
"""Name servers that a resolver asks (resolv.conf(5), MAXNS)."""

Way = Literal["dockerd", "outside", "router"]

_EXTERNAL = re.compile(r"^# ExtServers: \[(.*)\]", re.MULTILINE)
"""What Docker 25 and later write into a container's resolv.conf: `[host(127.0.0.1)]`, `[203.0.113.53]`."""


class ResolvConf(NamedTuple):
    """What counts in a resolv.conf.

    `ndots`: from how many dots on a name is tried as it is first. `external`: whom Docker's resolver asks, where Docker
    wrote it down.
    """

    servers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    ndots: int = 1
    external: tuple[str, ...] = ()


def parse_resolv_conf(text: str) -> ResolvConf:
    """Read a resolv.conf (resolv.conf(5)); what cannot be read is passed over."""
    servers: list[str] = []
    search: tuple[str, ...] = ()
    ndots = 1
    for keyword, *rest in filter(None, map(str.split, text.splitlines())):
        if keyword == "nameserver" and rest and is_address(rest[0]):
            servers.append(rest[0])
        elif keyword in {"search", "domain"}:
            search = tuple(rest[:6])
        elif keyword == "options":
            ndots = next((int(option[6:]) for option in rest if re.fullmatch(r"ndots:[0-9]{1,2}", option)), ndots)
    return ResolvConf(tuple(servers[:MOST_SERVERS]), search, ndots, _external(text))


def _external(text: str) -> tuple[str, ...]:
    found = _EXTERNAL.search(text)
    bare = re.sub(r"host\(([^()]*)\)", r"\1", found[1]) if found else ""
    return tuple(word for word in re.split(r"[ ,]+", bare) if is_address(word))


def candidates(name: str, conf: ResolvConf) -> tuple[str, ...]:
    """The whole names that are asked for, in their order (resolv.conf(5), search and ndots)."""
    if name.endswith("."):
        return (name,)
    longer = tuple(f"{name}.{suffix.strip('.')}" for suffix in conf.search if suffix.strip("."))
    return (name, *longer) if name.count(".") >= conf.ndots else (*longer, name)


def in_hosts(text: str, name: str) -> tuple[str, ...]:
    """The addresses that a hosts file has for a name."""
    found = []
    for line in text.splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        if name.rstrip(".").lower() in map(str.lower, names) and is_address(address):
            found.append(str(ip_address(address)))
    return tuple(dict.fromkeys(found))


def ways_of(server: str, upstream: Sequence[str], ours: Sequence[str]) -> tuple[tuple[str, Way], ...]:
    """By which way the servers are asked that stand behind one of a resolv.conf. `ours`: addresses of the router."""
    if server != EMBEDDED:
        return ((server, "router" if server in ours else "outside"),)
    return tuple((one, _upstream_way(one, ours)) for one in upstream)


def _upstream_way(address: str, ours: Sequence[str]) -> Way:
    if ip_address(address).is_loopback:
        return "dockerd"
    return "router" if address in ours else "outside"
