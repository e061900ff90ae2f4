"""Several attempts at the same time, and what a datagram asks. Run in a child process (inside.py)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Final

from dmsfw.doctor import dns
from dmsfw.doctor.probe import Peer, probe_tcp, probe_udp
from dmsfw.doctor.target import Target

NTP: Final = b"\x1b" + bytes(47)
"""A client's question (RFC 5905)."""


def attempt(address: str, target: Target, timeout_s: float) -> Callable[[], object]:
    """What tries one address; it gives the Probe as JSON has it."""

    def tcp() -> object:
        return asdict(probe_tcp(Peer(address, target.port, target.host), timeout_s))

    def udp() -> object:
        return asdict(probe_udp(address, target.port, datagram(target), timeout_s))

    return udp if target.proto == "udp" else tcp


def datagram(target: Target) -> bytes:
    """What a service on such a port answers to, as far as one is known that harms nobody."""
    known = {dns.PORT: dns.question("example.com", dns.A, 1), 123: NTP}
    return known.get(target.port, b"\n")


def at_once(works: Sequence[Callable[[], object]]) -> list[object]:
    """Do all at the same time, and return what each gives. In a child only: our own process has one thread."""
    results: list[object] = [None] * len(works)

    def one(index: int, work: Callable[[], object]) -> None:
        results[index] = work()

    threads = [threading.Thread(target=one, args=pair, daemon=True) for pair in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
