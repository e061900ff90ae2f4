"""A server whose first word to a TLS client fills one large packet. Usage: big_hello.py ADDRESS PORT"""

from __future__ import annotations

import socket
import sys

HELLO = b"\x16\x03\x03\x05\xa0" + bytes(1440)
"""The head of a TLS record with a handshake, and as much as one segment of an Ethernet's size takes."""


def main() -> None:
    """Listen, say so, answer each client's hello."""
    listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
    print("ready", flush=True)
    clients = []
    while True:
        client, _ = listener.accept()
        client.recv(4096)
        client.send(HELLO)
        clients.append(client)  # kept: closing it would be another answer


main()
