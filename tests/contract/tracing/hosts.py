"""Hosts around the router of this network namespace, each in a namespace of its own, with real sockets.

container  172.17.0.2  fd00:17::2     behind docker0
mail       172.18.0.2  fd00:18::2     behind br-4e4eb4db3fbd, which no rule knows
server     192.0.2.25  2001:db8::25   behind pppoe-wan
"""

from __future__ import annotations

import ctypes
import os
import select
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

CLONE_NEWNET = 0x40000000
OWN = "/proc/thread-self/ns/net"
PATIENCE_S = 5.0
PORTS = (80, 465)
"""Where every host listens."""

FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}

_libc = ctypes.CDLL(None, use_errno=True)


class Place(NamedTuple):
    """Where a host is: the router's device, and by family the router's address, its own, and the length."""

    device: str
    ends: dict[int, tuple[str, str, int]]


PLACES = {
    "container": Place("docker0", {4: ("172.17.0.1", "172.17.0.2", 16), 6: ("fd00:17::1", "fd00:17::2", 64)}),
    "mail": Place("br-4e4eb4db3fbd", {4: ("172.18.0.1", "172.18.0.2", 16), 6: ("fd00:18::1", "fd00:18::2", 64)}),
    "server": Place("pppoe-wan", {4: ("192.0.2.1", "192.0.2.25", 24), 6: ("2001:db8::1", "2001:db8::25", 64)}),
}


class Host:
    """One host with a device, a default route and listening sockets."""

    def __init__(self, name: str) -> None:
        self.place = PLACES[name]
        own = os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)
        _check(_libc.unshare(CLONE_NEWNET))
        self._namespace = os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)
        _check(_libc.setns(own, CLONE_NEWNET))
        self._own = own
        there = f"/proc/{os.getpid()}/fd/{self._namespace}"
        ip("link", "add", self.place.device, "type", "veth", "peer", "name", "eth0", "netns", there)
        ip("link", "set", self.place.device, "up")
        for router, _, length in self.place.ends.values():
            ip("addr", "add", f"{router}/{length}", "dev", self.place.device, *_nodad(router))
        with self._inside():
            ip("link", "set", "lo", "up")
            ip("link", "set", "eth0", "up")
            for router, own_address, length in self.place.ends.values():
                ip("addr", "add", f"{own_address}/{length}", "dev", "eth0", *_nodad(router))
                ip("-6" if ":" in router else "-4", "route", "add", "default", "via", router)
            self._listening = {(family, port): _listening(family, port) for family in FAMILIES for port in PORTS}

    def close(self) -> None:
        for one in self._listening.values():
            one.close()
        os.close(self._namespace)
        os.close(self._own)

    def address(self, family: int) -> str:
        return self.place.ends[family][1]

    def connecting(self, family: int, address: str, port: int) -> socket.socket:
        """A socket that has begun to connect."""
        with self._inside():
            made = socket.socket(FAMILIES[family], socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            made.connect_ex((address, port))
        return made

    def accepted(self, family: int, port: int) -> str:
        """From where somebody has connected; empty when nobody has."""
        try:
            connection, (peer, *_) = self._listening[family, port].accept()
        except BlockingIOError:
            return ""
        connection.close()
        return str(peer)

    @contextmanager
    def _inside(self) -> Iterator[None]:
        _check(_libc.setns(self._namespace, CLONE_NEWNET))
        try:
            yield
        finally:
            _check(_libc.setns(self._own, CLONE_NEWNET))


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def switch_on() -> None:
    """Have the router forward, also before every address is found."""
    for name in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
        Path("/proc/sys/net", name).write_text("1")


def error_of(one: socket.socket) -> int:
    """The error of a connection that has come to an end, 0 for one that stands. It has to come to one."""
    _, done, _ = select.select([], [one], [], PATIENCE_S)
    assert done, "neither connected nor refused"
    return one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


def is_pending(one: socket.socket) -> bool:
    _, done, _ = select.select([], [one], [], 0)
    return not done


def _listening(family: int, port: int) -> socket.socket:
    made = socket.socket(FAMILIES[family], socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    if family == 6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(("", port))
    made.listen()
    return made


def _nodad(address: str) -> list[str]:
    return ["nodad"] if ":" in address else []


def _check(code: int) -> None:
    if code != 0:
        raise OSError(ctypes.get_errno(), "namespace")
