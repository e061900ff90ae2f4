"""Docker's API over its socket, one question at a time: by other code than dmsfw's, which is no judge of itself."""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from typing import Any

TIMEOUT_S = 10.0


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("docker", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        """Connect to the path instead of a host."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT_S)
        self.sock.connect(str(self._path))


def get(path: Path, question: str) -> Any:
    """Return the decoded answer. Raises: OSError, ValueError, http.client.HTTPException."""
    connection = UnixConnection(path)
    try:
        connection.request("GET", question)
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()
