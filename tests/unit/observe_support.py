"""A Docker that misbehaves: a real HTTP server on a unix socket, whose answers a test writes."""

from __future__ import annotations

import json
import socket
import socketserver
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ID = "4e4eb4db3fbd" + "0" * 52
PATIENCE_S = 10.0


def until(condition: Callable[[], object], what: str = "it", patience_s: float = PATIENCE_S) -> None:
    """Wait for a condition; the patience is only for a test that fails."""
    ends_at = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < ends_at, f"{what} did not come about"
        time.sleep(0.002)


def network(name: str = "dms-network", id_: str = ID, **fields: Any) -> dict[str, Any]:
    """A network as Docker lists it."""
    subnet = fields.pop("subnet", "172.18.0.0/16")
    return {
        "Name": name,
        "Id": id_,
        "Driver": "bridge",
        "Internal": False,
        "IPAM": {"Driver": "default", "Config": [{"Subnet": subnet, "Gateway": "172.18.0.1"}]},
        "Options": {},
        "Labels": {"com.docker.compose.network": name},
        **fields,
    }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeDocker

    def address_string(self) -> str:
        return "unix"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base names it
        del format, args

    def do_GET(self) -> None:
        path = self.path.split("?")[0].removeprefix("/v1.41")
        with self.server.lock:
            self.server.asked.append(path)
            self.server.connections.setdefault(path, set()).add(self.connection)
        if self.server.hangs.is_set():
            self.server.released.wait(PATIENCE_S)
        if path == "/events":
            self._events()
        elif (misbehave := self.server.misbehave.get(path)) is not None:
            misbehave(self)
        else:
            self.answer(self.server.answers.get(path, {"message": "page not found"}), 200)

    def answer(self, value: object, status: int = 200) -> None:
        self.raw(json.dumps(value).encode(), status)

    def raw(self, body: bytes, status: int = 200, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)
        if length is not None and length > len(body):
            self.close_connection = True

    def begin_chunks(self, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def _events(self) -> None:
        self.begin_chunks(self.server.events_status)
        with self.server.lock:
            self.server.streams.append(self)
        self.server.end_streams.wait(60)
        self.close_connection = True


class FakeDocker(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Serves on `path`. `answers` by path; `misbehave` by path: what to do instead of answering."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"unix://{path}"
        self.lock = threading.Lock()
        self.asked: list[str] = []
        self.connections: dict[str, set[socket.socket]] = {}
        self.streams: list[_Handler] = []
        self.open: set[socket.socket] = set()
        self.hangs, self.released, self.end_streams = threading.Event(), threading.Event(), threading.Event()
        self.events_status = 200
        self.answers: dict[str, object] = {
            "/version": {"ApiVersion": "1.41"},
            "/networks": [network()],
            "/containers/json": [],
        }
        self.misbehave: dict[str, Callable[[_Handler], None]] = {}
        super().__init__(str(path), _Handler)
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def get_request(self) -> tuple[socket.socket, Any]:
        request, _ = super().get_request()
        self.open.add(request)
        return request, ("unix", 0)

    def handle_error(self, request: Any, client_address: Any) -> None:
        del request, client_address

    def event(self, data: bytes = b'{"Type":"network","Action":"create"}\n') -> None:
        """Send one event to everybody who listens, once somebody does."""
        until(lambda: self.streams, "a listener")
        with self.lock:
            streams = list(self.streams)
        for stream in streams:
            try:
                stream.chunk(data)
            except (OSError, ValueError):
                self.streams.remove(stream)

    def count(self, path: str) -> int:
        """How often a path was asked for."""
        with self.lock:
            return self.asked.count(path)

    def end_all_streams(self) -> None:
        """Let each stream that stands come to its end, once one does."""
        until(lambda: self.streams, "a listener")
        with self.lock:
            streams, self.streams = self.streams, []
        for stream in streams:
            stream.connection.shutdown(socket.SHUT_RDWR)

    def die(self) -> None:
        """Be gone at once, as after kill -9: the socket's file stays."""
        self.released.set()
        self.end_streams.set()
        self.shutdown()
        self.server_close()
        for request in list(self.open):
            with suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)
            request.close()
        self._thread.join()
