"""What nftables tells without a process: its generation, and whether firewall4's table is there.

One question over a netlink socket takes some 10 us. Messages from linux/netfilter/nf_tables.h. Asking has the kernel
load nftables where it was not: ask only where there is a sign of it.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

from dmsfw.errors import TableRefused
from dmsfw.firewall4 import TABLE

NETLINK_NETFILTER = 12
SUBSYSTEM = 10
"""NFNL_SUBSYS_NFTABLES: the upper byte of a message's type."""

GROUP = 1 << (7 - 1)
"""NFNLGRP_NFTABLES, as bind() wants it."""

GETTABLE, NEWGEN, GETGEN = 1, 15, 16
ERROR = 2
"""NLMSG_ERROR"""

DORMANT = 1
"""NFT_TABLE_F_DORMANT"""

INET = 1
"""NFPROTO_INET"""

HEAD = struct.Struct("=IHHII")
"""struct nlmsghdr: length, type, flags, sequence, port."""

GEN_HEAD = struct.Struct("=BBH")
"""struct nfgenmsg: family, version, resource."""

ATTRIBUTE = struct.Struct("=HH")
ATTRIBUTE_TYPE = 0x3FFF
"""A type without its flags NLA_F_NESTED and NLA_F_NET_BYTEORDER."""

BUFFER = 2**16
PATIENCE_S = 1.0


class Message(NamedTuple):
    """One message: its type within nftables, -1 for an error; and what it says."""

    kind: int
    family: int
    attributes: dict[int, bytes]
    error: int = 0


class Question:
    """A socket for questions. Raises: TableRefused where the kernel has no nftables, or may not be asked."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._sequence = 0

    def generation(self) -> int:
        """A number that grows by one with each transaction of anybody's in this network namespace."""
        answer = self._ask(GETGEN, 0, b"")
        return int.from_bytes(answer.attributes.get(1, b""), "big")

    def has_table(self) -> bool:
        """Tell whether firewall4's table is there."""
        return self._flags() is not None

    def is_dormant(self) -> bool:
        """Tell whether it is there and switched off. Asked of the kernel, since nft 1.0.6 lists other words for it."""
        return bool((self._flags() or 0) & DORMANT)

    def _flags(self) -> int | None:
        """The table's flags; None where there is no table."""
        name = TABLE.encode() + b"\0"
        answer = self._ask(GETTABLE, INET, _attribute(1, name))
        if answer.error == errno.ENOENT:
            return None
        if answer.error:
            raise TableRefused(f"nftables does not answer: {os.strerror(answer.error)}")
        return int.from_bytes(answer.attributes.get(2, b""), "big")

    def _ask(self, kind: int, family: int, body: bytes) -> Message:
        try:
            sock = self._opened()
            self._sequence += 1
            size = HEAD.size + GEN_HEAD.size + len(body)
            sock.send(HEAD.pack(size, SUBSYSTEM << 8 | kind, 1, self._sequence, 0) + GEN_HEAD.pack(family, 0, 0) + body)
            for message in messages(sock.recv(BUFFER)):
                return message
        except OSError as error:
            self.close()
            raise TableRefused(f"nftables cannot be asked: {error.strerror or error}") from error
        raise TableRefused("nftables gives an answer without anything in it")

    def _opened(self) -> socket.socket:
        if self._socket is None:
            self._socket = netfilter_socket()
            self._socket.settimeout(PATIENCE_S)
        return self._socket

    def close(self) -> None:
        """Give the socket back; the next question opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def messages(data: bytes) -> Iterator[Message]:
    """Take a datagram apart. What is cut short ends it."""
    while len(data) >= HEAD.size:
        size, kind, _, _, _ = HEAD.unpack_from(data)
        body, data = data[HEAD.size : size], data[(size + 3) & ~3 :]
        if kind == ERROR and len(body) >= 4:  # noqa: PLR2004 - an int
            yield Message(-1, 0, {}, -struct.unpack_from("=i", body)[0])
        elif kind >> 8 == SUBSYSTEM and len(body) >= GEN_HEAD.size:
            yield Message(kind & 0xFF, body[0], dict(_attributes(body[GEN_HEAD.size :])))
        if size < HEAD.size:
            return


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= ATTRIBUTE.size:
        size, kind = ATTRIBUTE.unpack_from(data)
        if size < ATTRIBUTE.size:
            return
        yield kind & ATTRIBUTE_TYPE, data[ATTRIBUTE.size : size]
        data = data[(size + 3) & ~3 :]


def _attribute(kind: int, value: bytes) -> bytes:
    size = ATTRIBUTE.size + len(value)
    return ATTRIBUTE.pack(size, kind) + value + b"\0" * (-size % 4)


def netfilter_socket() -> socket.socket:
    """Raises: OSError."""
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)
