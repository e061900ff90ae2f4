"""Lines to the system's log through its local socket, with their right priority. Never hangs, never raises.

procd's own pipe would log every line of ours as daemon.err, under the interpreter's name.
"""

from __future__ import annotations

import os
import select
import socket
from contextlib import suppress

FACILITY_DAEMON = 3
"""RFC 5424, section 6.2.1: system daemons."""

SEVERITY = {"debug": 7, "info": 6, "warning": 4, "error": 3}
"""RFC 5424, section 6.2.1."""

MAX_LINE = 1023
"""Bytes of one message with prefix and newline: RFC 3164, section 4.1 allows 1,024, less one for a reader's NUL."""

PATIENCE_MS = 20
"""How long a line may wait for room. The kernel queues 10 datagrams (net.unix.max_dgram_qlen): a start's lines or a
traceback are more, and the log's reader needs a moment of the same processor. It is waited once: after a drop nothing
waits until a line has been taken again."""

_KINDS = (socket.SOCK_DGRAM, socket.SOCK_STREAM)
_CUT = "\u2026".encode()


class Syslog:
    """A connection to `path` that is made anew whenever it breaks. What cannot be written is counted and told later.

    Not locked: its caller is.
    """

    def __init__(self, path: str, tag: str) -> None:
        self.path = path
        self.tag = tag
        self.dropped = 0
        self._socket: socket.socket | None = None

    @property
    def room(self) -> int:
        """Bytes that a line may have."""
        return MAX_LINE - len(self._prefix("info")) - 1

    def write(self, level: str, line: str) -> None:
        """Send one line; drop and count it where the log does not take it at once."""
        if self.dropped and not self._send(self._message("warning", f"log lines dropped count={self.dropped}")):
            self.dropped += 1
            return
        self.dropped = 0 if self._send(self._message(level, line)) else 1

    def close(self) -> None:
        """Let go of the socket; the next line opens it again."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def _prefix(self, level: str) -> bytes:
        return f"<{FACILITY_DAEMON * 8 + SEVERITY[level]}>{self.tag}[{os.getpid()}]: ".encode()

    def _message(self, level: str, line: str) -> bytes:
        body = line.encode("utf-8", "backslashreplace")
        if len(body) > self.room:
            body = body[: self.room - len(_CUT)].decode("utf-8", "ignore").encode() + _CUT
        return self._prefix(level) + body + b"\n"

    def _send(self, message: bytes) -> bool:
        """Send, once more on a new connection when the old one broke: a restarted logd has a new socket."""
        for _ in range(2):
            if self._socket is None and not self._connect():
                return False
            try:
                # The kernel takes so short a message whole or not at all, a stream's too (unix_stream_sendmsg).
                return self._socket is not None and self._socket.send(message) == len(message)
            except BlockingIOError:
                if not self._has_room():
                    return False
            except OSError:
                self.close()
        return False

    def _has_room(self) -> bool:
        """Wait for the reader, unless it has kept a line waiting before."""
        if self.dropped or self._socket is None:
            return False
        poller = select.poll()
        poller.register(self._socket, select.POLLOUT)
        return bool(poller.poll(PATIENCE_MS))

    def _connect(self) -> bool:
        for kind in _KINDS:
            with suppress(OSError):
                self._socket = _connected(self.path, kind)
                return True
        return False


def _connected(path: str, kind: int) -> socket.socket:
    candidate = socket.socket(socket.AF_UNIX, kind | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        candidate.connect(path)
    except OSError:
        candidate.close()
        raise
    return candidate
