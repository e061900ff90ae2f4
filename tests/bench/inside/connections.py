"""Connects anew again and again, from several threads, until it is told a line; prints what came of it.

Usage: connections.py ADDRESS PORT THREADS      "ready" once each has had a greeting
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import threading
from collections import Counter

PATIENCE_S = 5.0
AT_ONCE = struct.pack("ii", 1, 0)
"""SO_LINGER: the end is a reset, so that no port is kept in TIME_WAIT."""


class Client(threading.Thread):
    """One that connects."""

    def __init__(self, address: str, port: int) -> None:
        super().__init__(daemon=True)
        self.target, self.outcomes = (address, port), Counter[str]()
        self.is_over, self.has_begun = threading.Event(), threading.Event()

    def run(self) -> None:
        """Connect until told otherwise."""
        while not self.is_over.is_set():
            self.outcomes[self._outcome()] += 1
            self.has_begun.set()

    def _outcome(self) -> str:
        try:
            with socket.create_connection(self.target, PATIENCE_S) as connection:
                greeting = connection.recv(64)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        except OSError as error:
            return type(error).__name__
        return "open" if greeting.startswith(b"220") else "no greeting"


def main() -> None:
    """Serve."""
    address, port, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    clients = [Client(address, port) for _ in range(threads)]
    for client in clients:
        client.start()
        client.has_begun.wait()
    print("ready", flush=True)
    sys.stdin.readline()
    for client in clients:
        client.is_over.set()
        client.join()
    print(json.dumps(sum((client.outcomes for client in clients), Counter())), flush=True)


if __name__ == "__main__":
    main()
