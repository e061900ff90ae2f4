"""A name server of two record types, as small as DNS allows: A and AAAA over UDP and TCP, all else NXDOMAIN.

ZONE is a file of lines `name address`, read anew for each query, so that the lab can edit it at run time.
Each query is recorded as one JSON line in LOG.

Usage: nameserver.py ZONE LOG ADDRESS...
"""

from __future__ import annotations

import ipaddress
import json
import selectors
import socket
import struct
import sys
from pathlib import Path

PORT = 53
TTL_S = 1  # answers change under the tests' hands
TYPES = {1: 4, 28: 6}
"""Record types served, with their address family (RFC 1035, RFC 3596)."""
NOERROR, NXDOMAIN = 0, 3
RESPONSE_FLAGS = 0x8580  # response, authoritative, recursion desired and available


def question(query: bytes) -> tuple[str, int, bytes]:
    """Return name, type and the raw question section of a query with one question. Raises: ValueError."""
    labels, position = [], 12
    while length := query[position]:
        labels.append(query[position + 1 : position + 1 + length].decode("ascii"))
        position += 1 + length
    end = position + 5
    (kind,) = struct.unpack("!H", query[position + 1 : position + 3])
    return ".".join(labels).lower(), kind, query[12:end]


def answer(query: bytes, zone: dict[str, list[str]]) -> bytes:
    """Return the response to a query. A known name without such a record gives an empty answer, not an error."""
    name, kind, raw = question(query)
    found = [ipaddress.ip_address(text) for text in zone.get(name, [])]
    packed = [address.packed for address in found if address.version == TYPES.get(kind)]
    code = NOERROR if found else NXDOMAIN
    header = query[:2] + struct.pack("!HHHHH", RESPONSE_FLAGS | code, 1, len(packed), 0, 0)
    records = b"".join(struct.pack("!HHHIH", 0xC00C, kind, 1, TTL_S, len(data)) + data for data in packed)
    return header + raw + records


def read_zone(path: Path) -> dict[str, list[str]]:
    """Return the addresses of each name."""
    zone: dict[str, list[str]] = {}
    for line in path.read_text("ascii").splitlines():
        name, address = line.split()
        zone.setdefault(name.lower(), []).append(address)
    return zone


class NameServer:
    """Sockets on each address, in one loop."""

    def __init__(self, zone: Path, log: Path, addresses: list[str]) -> None:
        self.zone, self.log = zone, log.open("a", encoding="ascii")
        self.selector = selectors.DefaultSelector()
        for address in addresses:
            self._listen(address)

    def _listen(self, address: str) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        udp = socket.socket(family, socket.SOCK_DGRAM)
        udp.bind((address, PORT))
        tcp = socket.create_server((address, PORT), family=family)
        self.selector.register(udp, selectors.EVENT_READ, self._datagram)
        self.selector.register(tcp, selectors.EVENT_READ, self._connection)

    def _answer(self, query: bytes, peer: str, proto: str) -> bytes:
        name, kind, _ = question(query)
        self.log.write(json.dumps({"name": name, "type": kind, "peer": peer, "proto": proto}) + "\n")
        self.log.flush()
        return answer(query, read_zone(self.zone))

    def _datagram(self, udp: socket.socket) -> None:
        query, peer = udp.recvfrom(512)
        udp.sendto(self._answer(query, peer[0], "udp"), peer)

    def _connection(self, listener: socket.socket) -> None:
        connection, peer = listener.accept()
        with connection:
            connection.settimeout(1)  # one question at a time; a silent client must not block the next
            (length,) = struct.unpack("!H", connection.recv(2, socket.MSG_WAITALL))
            response = self._answer(connection.recv(length, socket.MSG_WAITALL), peer[0], "tcp")
            connection.sendall(struct.pack("!H", len(response)) + response)

    def serve(self) -> None:
        """Serve for ever; a query that cannot be read is dropped."""
        while True:
            for key, _ in self.selector.select():
                try:
                    key.data(key.fileobj)
                except (OSError, ValueError, IndexError, struct.error):
                    continue


def main() -> None:
    """Listen, say so, serve."""
    server = NameServer(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
    print("ready", flush=True)  # the owner waits for this line
    server.serve()


main()
