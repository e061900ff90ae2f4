"""How a name is resolved: on the host, and as the container does it. The questions are asked for real."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Final

from dmsfw.doctor import dns, inside, rooted
from dmsfw.doctor.inside import Tick
from dmsfw.doctor.resolv import MOST_SERVERS, Way, candidates, in_hosts, parse_resolv_conf, ways_of
from dmsfw.errors import CannotTell

FAKE_IPS: Final = ip_network("198.18.0.0/15")
"""Set aside for tests (RFC 2544); proxies such as OpenClash and PassWall answer with them instead of real ones."""

NO_ANSWER: Final = frozenset({"timeout", "refused", "unreachable", "failed", "malformed"})
"""Results of dns.py after which the next server is asked, and this one no more."""

SPARE_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Asked:
    """A name server, by whom it is asked in the end, and what it said. `result` is that of dns.py."""

    server: str
    ways: tuple[tuple[str, Way], ...] = ()
    result: str = ""


@dataclass(frozen=True, slots=True)
class Lookup:
    """What a name is to the host or to the container. `source`: who said so. `failure`: why there is no address."""

    addresses: tuple[str, ...] = ()
    source: str = ""
    asked: tuple[Asked, ...] = ()
    failure: str = ""

    @property
    def fake(self) -> tuple[str, ...]:
        """The addresses that a proxy on the router made up."""
        return tuple(address for address in self.addresses if is_fake(address))


def is_fake(address: str) -> bool:
    """Tell whether an address is a proxy's placeholder."""
    return ip_address(address) in FAKE_IPS


def on_the_host(name: str, timeout_s: float, tick: Tick) -> Lookup:
    """Resolve as any program of the host does. That it hangs is an answer: the container may ask somebody else."""
    found: object
    try:
        found = inside.do(lambda: _by_libc(name), pid=None, limit_s=4 * timeout_s + SPARE_S, tick=tick)
    except CannotTell as error:
        found = str(error)
    servers = tuple(Asked(server) for server in parse_resolv_conf(_text(Path("/"), "resolv.conf")).servers)
    addresses = tuple(found) if isinstance(found, list) else ()
    return Lookup(addresses, "the host", servers, "" if addresses else str(found))


def in_the_container(pid: int, name: str, upstream: Sequence[str], timeout_s: float, tick: Tick) -> Lookup:
    """Resolve as a program of the container does: its hosts file, then its name servers in their order.

    `upstream`: whom Docker's resolver asks (`upstreams`). Raises: CannotTell.
    """
    limit_s = (2 * MOST_SERVERS + 2) * timeout_s + SPARE_S
    found = inside.do(lambda: _as_contained(pid, name, timeout_s), pid=pid, limit_s=limit_s, tick=tick)
    assert isinstance(found, dict)  # noqa: S101 - what _as_contained returned
    asked = tuple(_with_ways(Asked(one["server"], result=one["result"]), upstream) for one in found["asked"])
    return Lookup(tuple(found["addresses"]), found["source"], asked, found["failure"])


def upstreams(pid: int, given: Sequence[str], tick: Tick) -> tuple[str, ...]:
    """Whom Docker's resolver asks for this container: what Docker wrote down, what `dns:` says, else the host's own.

    Raises: CannotTell.
    """
    text = inside.do(lambda: _text(Path(f"/proc/{pid}/root"), "resolv.conf"), pid=None, limit_s=SPARE_S, tick=tick)
    if written := parse_resolv_conf(str(text)).external:
        return written
    return tuple(given) or parse_resolv_conf(_text(Path("/"), "resolv.conf")).servers


def _with_ways(asked: Asked, upstream: Sequence[str]) -> Asked:
    ours = tuple(address for address in (asked.server, *upstream) if is_ours(address))
    return Asked(asked.server, ways_of(asked.server, upstream, ours), asked.result)


def is_ours(address: str) -> bool:
    """Tell whether an address is one of this host's: only then may a socket be bound to it."""
    family = socket.AF_INET if ip_address(address).version == 4 else socket.AF_INET6  # noqa: PLR2004 - IP version
    with socket.socket(family, socket.SOCK_DGRAM) as udp:
        try:
            udp.bind((address, 0))
        except OSError:
            return False
    return True


def _by_libc(name: str) -> object:
    """Addresses, or why there are none. In a child: it knows no time limit."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        return error.strerror
    return list(dict.fromkeys(str(peer[0]).partition("%")[0] for *_, peer in found))


def _as_contained(pid: int, name: str, timeout_s: float) -> object:
    """In the container's network namespace: its hosts file, then its name servers."""
    root = Path(f"/proc/{pid}/root")
    if addresses := in_hosts(_text(root, "hosts"), name):
        return {"addresses": addresses, "source": "/etc/hosts of the container", "asked": [], "failure": ""}
    conf = parse_resolv_conf(_text(root, "resolv.conf"))
    asked: dict[str, dns.Answer] = {}
    for whole in candidates(name, conf):
        for server in conf.servers:
            if server in asked and asked[server].result in NO_ANSWER:
                continue
            found = _ask_both(server, whole, timeout_s)
            asked[server] = found
            if found.addresses:
                return _found(found.addresses, server, asked)
            if found.result not in NO_ANSWER:
                break  # only silence and faults make a resolver go on to its next server
    return _found((), "", asked)


def _ask_both(server: str, name: str, timeout_s: float) -> dns.Answer:
    """Both kinds of address; a server that does not answer the first question is not asked the second."""
    four = dns.ask(server, name, dns.A, timeout_s)
    if four.result in NO_ANSWER:
        return four
    six = dns.ask(server, name, dns.AAAA, timeout_s)
    return dns.Answer(server, six.result if six.addresses else four.result, (*four.addresses, *six.addresses))


def _found(addresses: Sequence[str], source: str, asked: Mapping[str, dns.Answer]) -> object:
    results = [one.result for one in asked.values()]
    failure = "" if addresses else (results[-1] if results else "it has no name server")
    return {
        "addresses": list(addresses),
        "source": source,
        "asked": list(map(asdict, asked.values())),
        "failure": failure,
    }


def _text(root: Path, name: str) -> str:
    """A file of /etc below `root`; nothing when it cannot be read. The host's own may be a link (OpenWrt's is)."""
    with suppress(OSError):
        if root == Path("/"):
            return Path("/etc", name).read_text("utf-8", "replace")[: rooted.LIMIT]
        return rooted.read(root, "etc", name)
    return ""
