"""A proxy between dmsfw and dockerd that lies, on demand: answers spoilt in many ways, events lost, doubled, reordered.

It listens on a unix socket in the lab's folder and runs in threads of the test's own process.
"""

from __future__ import annotations

import contextlib
import http.client
import random
import select
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from tests.chaos.engine_api import UnixConnection

LOOK_S = 0.1
"""How often a stream looks whether it is to be flooded, and a silent answer whether it may end."""
HELD_S = 0.4
"""How long an event is held back at most before it is sent out of order."""
DRIP_S = 0.05
LIKELY = 0.3
"""How likely each event is dropped, doubled or reordered."""
PIECE = 2**16
EVENT = b'{"Type":"network","Action":"connect","Actor":{"ID":"0","Attributes":{"name":"x"}},"time":1}\n'


class Handler(BaseHTTPRequestHandler):
    """One connection of dmsfw's. What it does is said by the proxy's `answers` and `events` at that moment."""

    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""

    def do_GET(self) -> None:
        """Ask dockerd and pass on its answer, or not."""
        proxy = self.server.proxy
        mode = proxy.answers
        if mode == "closed":
            self.close_connection = True
        elif mode == "garbage":
            self._raw(b"\x00\xffSSH-2.0-dropbear\r\n\r\n" + proxy.dice.randbytes(PIECE))
        elif mode == "silent":
            self._silent(proxy)
        elif "/events" in self.path and mode != "error":
            self._stream(proxy)
        else:
            self._answer(proxy, mode)

    def _answer(self, proxy: DockerProxy, mode: str) -> None:
        try:
            status, body = (500, b'{"message":"chaos"}') if mode == "error" else proxy.ask(self.path)
        except OSError:
            self.close_connection = True
            return
        if mode == "half":
            body = body[: len(body) // 2]
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if mode == "cut":
            self._raw(body[: len(body) // 2])
        elif mode == "drip":
            self._drip(proxy, body)
        else:
            self.wfile.write(body)

    def _raw(self, content: bytes) -> None:
        """Send something and hang up."""
        self.close_connection = True
        self.wfile.write(content)

    def _silent(self, proxy: DockerProxy) -> None:
        while proxy.answers == "silent" and not proxy.closing:
            time.sleep(LOOK_S)
        self.close_connection = True

    def _drip(self, proxy: DockerProxy, body: bytes) -> None:
        for index in range(len(body)):
            if proxy.answers != "drip" or proxy.closing:
                self.close_connection = True
                return
            self.wfile.write(body[index : index + 1])
            time.sleep(DRIP_S)

    def _stream(self, proxy: DockerProxy) -> None:
        """Pass on events until either side hangs up."""
        self.close_connection = True
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as upstream:
            upstream.connect(str(proxy.upstream))
            upstream.sendall(f"GET {self.path} HTTP/1.1\r\nHost: docker\r\n\r\n".encode())
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
            Stream(proxy, self.connection, upstream).relay()


class Stream:
    """One event stream: whole chunks come from dockerd, and go on, or not."""

    def __init__(self, proxy: DockerProxy, client: socket.socket, upstream: socket.socket) -> None:
        self._proxy, self._client, self._upstream = proxy, client, upstream
        self._buffer = b""
        self._in_body = False
        self._held: list[bytes] = []
        self._held_since = 0.0

    def relay(self) -> None:
        """Pass on until the end. Raises: OSError when a side hangs up in the middle."""
        cuts = self._proxy.cuts
        while not self._proxy.closing and self._proxy.cuts == cuts:
            ready, _, _ = select.select([self._client, self._upstream], [], [], LOOK_S)
            if self._client in ready and not self._client.recv(PIECE):
                return
            if self._upstream in ready:
                received = self._upstream.recv(PIECE)
                if not received:
                    return
                self._buffer += received
                for chunk in self._chunks():
                    self._pass(chunk)
            self._release()
            for piece in self._proxy.flood():
                self._send(piece)

    def _chunks(self) -> Iterator[bytes]:
        if not self._in_body:
            _, end, rest = self._buffer.partition(b"\r\n\r\n")
            if not end:
                return
            self._in_body, self._buffer = True, rest
        while b"\r\n" in self._buffer:
            size, _, rest = self._buffer.partition(b"\r\n")
            length = int(size, 16)
            if len(rest) < length + 2:
                return
            self._buffer = rest[length + 2 :]
            yield rest[:length]

    def _pass(self, event: bytes) -> None:
        mode, hit = self._proxy.events, self._proxy.dice.random() < LIKELY
        if mode == "drop" and hit:
            return
        if mode == "reorder" and hit:
            self._held_since = self._held_since if self._held else time.monotonic()
            self._held.append(event)
            return
        for _ in range(2 if mode == "double" and hit else 1):
            self._send(event)

    def _release(self) -> None:
        """Send what was held back, last first."""
        if self._held and time.monotonic() - self._held_since > HELD_S:
            for event in reversed(self._held):
                self._send(event)
            self._held.clear()

    def _send(self, event: bytes) -> None:
        self._client.sendall(b"%x\r\n%s\r\n" % (len(event), event))


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """A thread for each connection."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, proxy: DockerProxy) -> None:
        self.proxy = proxy
        super().__init__(str(proxy.path), Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        """A unix socket's peer has no address; the base class wants one."""
        connection, _ = super().get_request()
        return connection, ("dmsfw", 0)

    def handle_error(self, request: object, client_address: object) -> None:
        """Whoever hung up, that is no error here."""


class DockerProxy:
    """A context manager. `path` is where it listens, `upstream` dockerd's socket.

    answers: ok, garbage (no HTTP), half (JSON cut, length right), cut (hung up in the middle), error (500), silent (no
    answer), drip (a byte at a time), closed (hung up at once). events: ok, drop, double, reorder.
    """

    def __init__(self, path: Path, upstream: Path, seed: int) -> None:
        self.path, self.upstream, self.dice = path, upstream, random.Random(seed)
        self.answers, self.events = "ok", "ok"
        self.closing = False
        self.cuts = 0
        self._flood: list[Callable[[], Iterator[bytes]]] = []
        self._server: Server | None = None

    def __enter__(self) -> DockerProxy:  # noqa: PYI034 - typing.Self is of Python 3.11
        """Listen."""
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self.closing = True
        self.close()

    def open(self) -> None:
        """Bind the socket."""
        self.path.unlink(missing_ok=True)
        self._server = Server(self)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True, name="docker-proxy").start()

    def close(self) -> None:
        """Remove the socket, and hang up all streams."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        self.path.unlink(missing_ok=True)
        self.cut()

    def cut(self) -> None:
        """Hang up every event stream."""
        self.cuts += 1

    def ask(self, question: str) -> tuple[int, bytes]:
        """Ask dockerd. Raises: OSError."""
        connection = UnixConnection(self.upstream)
        try:
            connection.request("GET", question)
            response = connection.getresponse()
            return response.status, response.read()
        except (ValueError, http.client.HTTPException) as error:
            raise OSError(str(error)) from error
        finally:
            connection.close()

    def pour(self, megabytes: int) -> None:
        """Send so many megabytes of events down the next stream that looks."""
        times = PIECE // len(EVENT)
        self._flood.append(lambda: (EVENT * times for _ in range(megabytes * 2**20 // (len(EVENT) * times))))

    def swell(self, megabytes: int) -> None:
        """Send one event of so many megabytes, in pieces."""
        self._flood.append(
            lambda: (b'{"Type":"' + b"x" * PIECE if n == 0 else b"x" * PIECE for n in range(megabytes * 16))
        )

    @property
    def flooded(self) -> bool:
        """Whether all of it is on its way or sent."""
        return not self._flood

    def flood(self) -> Iterator[bytes]:
        """What is to be poured now."""
        if self._flood:
            yield from self._flood.pop()()
