"""A flood of packets: UDP from as many ports as told, for as long as the file STOP is not there.

Runs on a machine of the router's LAN. Usage: flood.py ADDRESS PORT SOCKETS STOP
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path

BURST = 200


def main() -> None:
    """Send until told to stop; say how many went out."""
    target, sockets, stop = (sys.argv[1], int(sys.argv[2])), int(sys.argv[3]), Path(sys.argv[4])
    opened = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(sockets)]
    print("ready", flush=True)
    sent = 0
    while not stop.exists():
        for index in range(BURST):
            try:
                opened[(sent + index) % sockets].sendto(b"x", target)
            except OSError:
                continue  # nobody listens there, and the answer says so to the socket
        sent += BURST
    print(sent, flush=True)


main()
