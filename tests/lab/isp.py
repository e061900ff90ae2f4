"""The provider: the mail server's addresses, and the record of who connected, as the internet saw him."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

from tests.lab.uplinks import RESOLVER, SERVER, SERVER6

Shell = Callable[[str], "CompletedProcess[str]"]
PORTS = (465, 587, 8443)
"""Mail with TLS, mail with STARTTLS, and one that has nothing to do with mail. TCP and UDP."""


@dataclass(frozen=True)
class Seen:
    """One connection or datagram, as the internet saw it."""

    at: float
    proto: str
    port: int
    peer: str


class Isp:
    """The provider's network namespace, `isp` to `ip netns`."""

    def __init__(self, log: Path, shell: Shell) -> None:
        self._log, self._shell = log, shell

    @staticmethod
    def commands(*, ipv6: bool) -> str:
        """Return the shell commands that give the internet its addresses."""
        addresses = [f"{SERVER}/32", f"{RESOLVER}/32", *([f"{SERVER6}/128"] if ipv6 else [])]
        return "\n".join(f"ip -netns isp address add {address} dev lo" for address in addresses)

    @property
    def seen(self) -> list[Seen]:
        """All that arrived so far, oldest first."""
        return [Seen(**json.loads(line)) for line in self._log.read_text().splitlines()]

    def route_back(self, subnet: str, via: str) -> None:
        """Let the internet know a way to a subnet, so that traffic that is not masqueraded gets its answers.

        The real one knows none to private addresses: there such a connection times out, and here too without this.
        """
        self._shell(f"ip -netns isp route replace {subnet} via {via}")
