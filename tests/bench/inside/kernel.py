"""Reads a table of IPv4 by itself, so that the daemon is not its own judge: one socket, two questions.

`sizes` is one getsockopt of 4 us and changes with nearly every edit; `raw` is the whole table.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import time
from collections.abc import Callable

GET_INFO, GET_ENTRIES = 64, 65
INFO = struct.Struct("=32s13I")
HEAD = struct.Struct("=32sI4x")

LOOK_S = 0.00005
"""Pause between two looks: with the wake-up about 0.1 ms, and the core is left to those who are measured."""

PATIENCE_S = 30.0

_libc = ctypes.CDLL(None, use_errno=True)


class Table:
    """One table."""

    def __init__(self, name: str) -> None:
        self._name = name.encode()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)

    def sizes(self) -> tuple[int, int]:
        """Number of entries, and bytes."""
        found = INFO.unpack(self._get(GET_INFO, self._name, INFO.size))
        return found[-2], found[-1]

    def raw(self) -> bytes:
        """All of it; empty when it changed just now."""
        size = self.sizes()[1]
        try:
            return self._get(GET_ENTRIES, HEAD.pack(self._name, size), HEAD.size + size)
        except BlockingIOError:
            return b""

    def _get(self, option: int, request: bytes, size: int) -> bytes:
        buffer, length = ctypes.create_string_buffer(request, size), ctypes.c_uint32(size)
        if _libc.getsockopt(self._socket.fileno(), socket.SOL_IP, option, buffer, ctypes.byref(length)):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return buffer.raw[: length.value]


class Glance:
    """Looks for bytes in a table, and reads it only when its size has changed."""

    def __init__(self, name: str) -> None:
        self.table = Table(name)
        self._sizes = (0, 0)
        self._raw = b""

    def holds(self, needle: bytes) -> bool:
        """Tell whether the bytes stand there now."""
        sizes = self.table.sizes()
        if sizes != self._sizes or not self._raw:
            self._raw, self._sizes = self.table.raw(), sizes
        return needle in self._raw


def until(condition: Callable[[], bool], patience_s: float = PATIENCE_S) -> float:
    """Look again and again; return when it held, by time.perf_counter. Raises: TimeoutError."""
    deadline = time.perf_counter() + patience_s
    while not condition():
        if time.perf_counter() > deadline:
            raise TimeoutError("it never came")
        time.sleep(LOOK_S)
    return time.perf_counter()
