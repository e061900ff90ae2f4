"""Hears every transaction of nftables, and tells those that matter here from others."""

from __future__ import annotations

import errno
import socket
from contextlib import suppress

from dmsfw.firewall4 import TABLE
from dmsfw.firewall4.netlink import BUFFER, GROUP, INET, NEWGEN, Message, messages, netfilter_socket

NEWSETELEM, DELSETELEM = 12, 14
TABLES_AND_CHAINS = frozenset({0, 2, 3, 5})
"""NFT_MSG_NEWTABLE, DELTABLE, NEWCHAIN, DELCHAIN: whoever makes or removes one may change what filters here."""


class Ear:
    """Hears every transaction, and tells those that matter here from others: dnsmasq may add elements every second."""

    def __init__(self) -> None:
        self._socket = netfilter_socket()
        try:
            self._socket.settimeout(0)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**20)
            self._socket.bind((0, GROUP))
        except OSError:
            self._socket.close()
            raise
        self._generation = 0

    def listen(self) -> tuple[bool, int]:
        """All that was heard since the last time: whether any of it matters, and the last generation heard of."""
        matters = False
        with suppress(BlockingIOError):
            while True:
                matters |= self._hear()
        return matters, self._generation

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()

    def _hear(self) -> bool:
        """Read one datagram. Raises: BlockingIOError when there is none."""
        try:
            data = self._socket.recv(BUFFER)
        except OSError as error:
            if error.errno == errno.ENOBUFS:  # some are lost
                return True
            raise
        heard = list(messages(data))
        for message in heard:
            if message.kind == NEWGEN:
                self._generation = int.from_bytes(message.attributes.get(1, b""), "big")
        return any(map(_matters, heard))


def _matters(message: Message) -> bool:
    """Tables and chains of anybody; in firewall4's table, everything but elements of other people's sets."""
    if message.kind in TABLES_AND_CHAINS:
        return True
    if message.kind == NEWGEN or message.family != INET or _name(message, 1) != TABLE:
        return False
    return message.kind not in {NEWSETELEM, DELSETELEM} or _name(message, 2).startswith("dmsfw")


def _name(message: Message, attribute: int) -> str:
    return message.attributes.get(attribute, b"").rstrip(b"\0").decode("utf-8", "replace")
