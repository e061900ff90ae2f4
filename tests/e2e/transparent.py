"""A program that TPROXY gives connections to. Usage: transparent.py PORT"""

from __future__ import annotations

import socket
import sys

IP_TRANSPARENT = 19
"""linux/in.h; Python has no name for it before 3.12's."""


def main() -> None:
    """Listen in everybody's name, say so, greet each client."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_IP, IP_TRANSPARENT, 1)
    listener.bind(("0.0.0.0", int(sys.argv[1])))
    listener.listen()
    print("ready", flush=True)
    clients = []
    while True:
        client, _ = listener.accept()
        client.send(b"220 not the server\r\n")
        clients.append(client)  # kept: closing it would be another answer


main()
