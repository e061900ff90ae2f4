"""Sends datagrams of one established flow as fast as it can, on word. The way through the router runs in each send.

Usage: flood.py ADDRESS PORT, then lines with a number of seconds; each is answered by one JSON line with the datagrams
sent, the seconds they took by the wall, and those they took of this process's time on a processor.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time

PIECE = 256
"""Datagrams between two looks at the clock."""

SMALL = b"x" * 18
"""The smallest frame that Ethernet has."""


def main() -> None:
    """Establish, then flood on word."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(5)
        udp.connect((sys.argv[1], int(sys.argv[2])))
        udp.send(SMALL)
        udp.recv(64)
        udp.settimeout(None)
        print("ready", flush=True)
        for line in sys.stdin:
            print(json.dumps(flood(udp, float(line))), flush=True)


def flood(udp: socket.socket, seconds: float) -> dict[str, float]:
    """Send for so long."""
    send, sent = udp.send, 0
    began, used = time.perf_counter(), time.process_time()
    while time.perf_counter() - began < seconds:
        for _ in range(PIECE):
            send(SMALL)
        sent += PIECE
    return {"sent": sent, "wall_s": time.perf_counter() - began, "cpu_s": time.process_time() - used}


if __name__ == "__main__":
    main()
