"""Docker's API over its socket, spoken directly: a stream of events, and requests whose answers can wait."""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any
from urllib.parse import quote

TIMEOUT_S = 60.0


class Connection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        """Connect to the path instead of a host."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT_S)
        self.sock.connect(self._path)

    def send_json(self, method: str, path: str, body: object = None) -> None:
        """Send a request, and do not wait for its answer."""
        text = None if body is None else json.dumps(body)
        self.request(method, path, text, {"Content-Type": "application/json"})

    def answer(self) -> Any:
        """Wait for the answer. Raises: OSError for anything but a success."""
        with self.getresponse() as response:
            body = response.read()
        if response.status >= http.client.MULTIPLE_CHOICES:
            raise OSError(f"Docker answers {response.status}: {body.decode()}")
        return json.loads(body) if body else None


class NetworkEvents:
    """The stream of events of networks, one line each."""

    def __init__(self, path: str) -> None:
        connection = Connection(path)
        filters = quote(json.dumps({"type": ["network"], "event": ["create", "destroy"]}))
        connection.request("GET", f"/events?filters={filters}")
        self._stream = connection.getresponse()

    def next(self, action: str) -> str:
        """Wait for the next event of a kind; return the network's id."""
        while True:
            event = json.loads(self._stream.readline())
            if event["Action"] == action:
                return str(event["Actor"]["ID"])
