"""Answers the first datagram, which makes its flow an established one, and reads no other: the kernel drops them.

Usage: sink.py ADDRESS PORT
"""

from __future__ import annotations

import socket
import sys
import time


def main() -> None:
    """Answer once for each flow of a flood; the flood ends with the router."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind((sys.argv[1], int(sys.argv[2])))
        print("ready", flush=True)
        _, peer = udp.recvfrom(2048)
        udp.sendto(b"established", peer)
        time.sleep(10**6)


if __name__ == "__main__":
    main()
