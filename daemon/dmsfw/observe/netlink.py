"""The kernel's own news of links, addresses and routes, or of nftables, used as a bell: a socket that only wakes."""

from __future__ import annotations

import errno
import socket
from itertools import takewhile
from typing import Final

GROUPS: Final = 0x1 | 0x10 | 0x40 | 0x100 | 0x400
"""RTMGRP_LINK, _IPV4_IFADDR, _IPV4_ROUTE, _IPV6_IFADDR, _IPV6_ROUTE (linux/rtnetlink.h)."""

NFTABLES: Final = 1 << (7 - 1)
"""NFNLGRP_NFTABLES (linux/netfilter/nfnetlink.h)."""

NETLINK_NETFILTER: Final = 12

BUFFER: Final = 2**20
"""Bytes the kernel may keep for us. A full one is no loss, since nothing is parsed: it wakes as well."""

AT_ONCE: Final = 1000
"""Messages dropped in one go, so that an endless storm does not keep the thread from its other work."""


class Netlink:
    """A non-blocking socket on NETLINK_ROUTE, or another protocol's.

    Raises: OSError when the kernel or a sandbox has none.
    """

    def __init__(self, protocol: int = socket.NETLINK_ROUTE, groups: int = GROUPS) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
            self._socket.bind((0, groups))
        except OSError:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """For poll()."""
        return self._socket.fileno()

    def drain(self) -> bool:
        """Drop what has arrived, unread, and tell whether there was anything."""
        return sum(takewhile(bool, (self._drop_one() for _ in range(AT_ONCE)))) > 0

    def _drop_one(self) -> bool:
        """Drop a message, or the news that there were too many; False when there is none."""
        try:
            # A netlink message is dropped whole however little of it is asked for.
            self._socket.recv_into(bytearray(1))
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
        return True

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()
