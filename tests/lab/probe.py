"""Connections as a container, the router or a machine of its LAN makes them, and what came of them."""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Callable

from tests.lab import paths
from tests.lab.errors import LabError
from tests.lab.process import Text

TIMEOUT_S = 3
"""A refusal takes less than a millisecond here, and so does an answer: three seconds of silence are a time-out."""
RESOLVE_S = 1
"""A name server that can be reached answers within milliseconds."""
ROUTER, LAN = "router", "lan"
"""Sources that are no containers."""
REASONS = {
    "refused": "refused",
    "bad address": "unresolved",
    "timed out": "timeout",
    "unreachable": "unreachable",
}
ASK_UDP = """
import socket, sys
host, port, timeout = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
family = socket.AF_INET6 if ":" in host else socket.AF_INET
with socket.socket(family, socket.SOCK_DGRAM) as udp:
    udp.settimeout(timeout)
    udp.connect((host, port))
    udp.send(b"?")
    try:
        print(udp.recv(512).decode())
    except TimeoutError:
        sys.exit("timed out")
    except OSError as error:
        sys.exit(f"connection refused or unreachable: {error}")
"""


class Answer(str):
    """What came of a connection: "open", "refused", "timeout", "unresolved" or "unreachable".

    peer: the address that the server saw, None unless open. It tells whether, and by which uplink, the connection was
    masqueraded.
    """

    __slots__ = ("peer",)
    peer: str | None

    def __new__(cls, outcome: str, peer: str | None = None) -> Answer:  # noqa: PYI034 - not meant to be derived
        answer = super().__new__(cls, outcome)
        answer.peer = peer
        return answer


class Prober:
    """Makes connections from inside a container's namespaces, without Docker's help: it may be dead or stopped.

    Args:
        run: runs a program in the router (Inside.run).
        container_pid: returns a container's process id, as the router sees it.
    """

    def __init__(self, run: Callable[..., Text], container_pid: Callable[[str], int]) -> None:
        self._run, self._container_pid = run, container_pid

    def connect(self, source: str, host: str, port: int, *, proto: str = "tcp", timeout: int = TIMEOUT_S) -> Answer:
        """Connect from a container (by its name), from "router" or from "lan" to a host by name or by address.

        An answer "open" means that the server's greeting came back, not only that a handshake was made. With proto
        "udp" the host must be an address.
        """
        enter, netns = self._place(source, mount=proto == "tcp")
        if proto == "udp":
            ask = [sys.executable, "-I", "-S", "-c", ASK_UDP, host, str(port), str(timeout)]
            return _read(self._run([*enter, *ask], check=False, netns=netns))
        busybox = str(paths.program("busybox")) if source in (ROUTER, LAN) else "/bin/busybox"
        nc = [busybox, "nc", "-w", str(timeout), host, str(port)]
        answer = _read(self._run([*enter, *nc], check=False, netns=netns))
        if answer == "timeout" and not _is_address(host):
            # nc's time-out covers the name's resolution too.
            ask = [busybox, "timeout", str(RESOLVE_S), busybox, "nslookup", host]
            if self._run([*enter, *ask], check=False, netns=netns).returncode:
                return Answer("unresolved")
        return answer

    def _place(self, source: str, *, mount: bool) -> tuple[list[str], str | None]:
        if source == ROUTER:
            return [], None
        if source == LAN:
            return [], LAN
        spaces = ["--net", "--mount"] if mount else ["--net"]
        return ["nsenter", "--target", str(self._container_pid(source)), *spaces, "--"], None


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _read(done: Text) -> Answer:
    """Return what the greeting, or the complaint, says. Raises: LabError for any other."""
    greeting = done.stdout.split()
    if greeting[:1] == ["220"]:
        return Answer("open", greeting[2])
    complaint = done.stderr.strip().lower()
    for words, outcome in REASONS.items():
        if words in complaint:
            return Answer(outcome)
    raise LabError(f"cannot tell what came of the connection: {done.returncode} {done.stdout!r} {done.stderr!r}")
