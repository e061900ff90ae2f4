"""The internet of the lab: listeners that greet whoever connects with the address that they see him by.

Runs in the provider's network namespace. Each connection (TCP) and each datagram (UDP) is answered with one line
`220 <port> <peer address>` and recorded as one JSON line in LOG; then a TCP peer's bytes are echoed until he closes.
The greeting proves a connection end to end, and its peer address whether the traffic was masqueraded on the way.

Usage: internet.py LOG ADDRESS[,ADDRESS] PORT...
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time
from pathlib import Path
from typing import TextIO

BACKLOG = 128
CHUNK = 65536


class Internet:
    """All the listeners of one process, in one loop."""

    def __init__(self, log: TextIO, addresses: list[str], ports: list[int]) -> None:
        self.log = log
        self.selector = selectors.DefaultSelector()
        for address in addresses:
            for port in ports:
                self._listen(address, port)

    def _listen(self, address: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        tcp = socket.create_server((address, port), family=family, backlog=BACKLOG)
        udp = socket.socket(family, socket.SOCK_DGRAM)
        udp.bind((address, port))
        self.selector.register(tcp, selectors.EVENT_READ, self._accept)
        self.selector.register(udp, selectors.EVENT_READ, self._answer)

    def _greet(self, proto: str, port: int, peer: str) -> bytes:
        self.log.write(json.dumps({"at": time.monotonic(), "proto": proto, "port": port, "peer": peer}) + "\n")
        self.log.flush()
        return f"220 {port} {peer}\r\n".encode()

    def _accept(self, listener: socket.socket) -> None:
        connection, peer = listener.accept()
        try:
            connection.sendall(self._greet("tcp", listener.getsockname()[1], peer[0]))
        except OSError:
            connection.close()
            return
        self.selector.register(connection, selectors.EVENT_READ, self._echo)

    def _echo(self, connection: socket.socket) -> None:
        try:
            received = connection.recv(CHUNK)
            if received:
                connection.sendall(received)
                return
        except OSError:
            pass
        self.selector.unregister(connection)
        connection.close()

    def _answer(self, udp: socket.socket) -> None:
        try:
            _, peer = udp.recvfrom(CHUNK)
            udp.sendto(self._greet("udp", udp.getsockname()[1], peer[0]), peer)
        except OSError:
            return  # the datagram's sender is out of reach: as on the real one, nobody hears of it

    def serve(self) -> None:
        """Serve for ever."""
        while True:
            for key, _ in self.selector.select():
                key.data(key.fileobj)


def main() -> None:
    """Listen, say so, serve."""
    log = Path(sys.argv[1]).open("a", encoding="ascii")  # noqa: SIM115 - open as long as the process
    internet = Internet(log, sys.argv[2].split(","), [int(port) for port in sys.argv[3:]])
    print("ready", flush=True)  # the owner waits for this line
    internet.serve()


main()
