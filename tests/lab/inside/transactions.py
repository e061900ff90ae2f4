"""Hears nftables' transactions as the kernel announces them, so that whoever is measured is not his own judge.

A transaction's messages come behind the change, in order, and a last one bears its generation (linux/nf_tables.h).
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Iterator

from dmsfw.firewall4 import netlink

PATIENCE_S = 30.0
BUFFER = 2**24
"""Bytes: a table of thousands of elements comes in one go."""

RCVBUFFORCE = 33
"""Of asm-generic/socket.h; the module socket has no name for it."""

NEWTABLE, NEWRULE, DELRULE, NEWSETELEM, DELSETELEM = 0, 6, 8, 12, 14
Said = tuple[int, bytes]
"""A message's type within nftables (`linux/nf_tables.h`), and all of it."""


class Transactions:
    """Everything that is written to nftables in this network namespace from now on."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, netlink.NETLINK_NETFILTER)
        self._socket.setsockopt(socket.SOL_SOCKET, RCVBUFFORCE, BUFFER)
        self._socket.bind((0, netlink.GROUP))

    def until(self, wanted: Callable[[list[Said]], bool]) -> float:
        """Wait for a wanted transaction; return when it was heard, by time.perf_counter. Raises: TimeoutError."""
        deadline, said = time.perf_counter() + PATIENCE_S, list[Said]()
        while select.select([self._socket], [], [], max(0.0, deadline - time.perf_counter()))[0]:
            data = self._socket.recv(BUFFER)
            heard = time.perf_counter()
            for kind, message in _taken_apart(data):
                said.append((kind, message))
                if kind == netlink.NEWGEN:
                    if wanted(said):
                        return heard
                    said = []
        raise TimeoutError("it never came")

    def forget(self) -> None:
        """Leave what was written until now."""
        while select.select([self._socket], [], [], 0)[0]:
            self._socket.recv(BUFFER)


def names(kind: int, words: bytes) -> Callable[[list[Said]], bool]:
    """A transaction with a message of this type that holds these bytes."""
    return lambda said: any(each == kind and words in message for each, message in said)


def _taken_apart(data: bytes) -> Iterator[Said]:
    while len(data) >= netlink.HEAD.size:
        size, kind, _, _, _ = netlink.HEAD.unpack_from(data)
        yield kind & 0xFF, data[netlink.HEAD.size : size]
        data = data[max((size + 3) & ~3, netlink.HEAD.size) :]
