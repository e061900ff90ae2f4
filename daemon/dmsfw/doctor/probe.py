"""One attempt to connect, and what came of it. Run where the network is that is meant.

How a TCP attempt ends, and what the kernel makes of it (tcp_v4_err, icmp_err_convert):

    connects     the handshake was made; `heard` has the server's first word, where one was waited for
    refused      a RST, or ICMP "port unreachable": somebody said no at once
    reset        RST behind the handshake;  closed: the same, politely
    silent       the handshake was made, and the word that was waited for never came
    timeout      nothing came back: dropped on the way there, or the answer on the way back
    unreachable  ICMP "host (or net) unreachable";  prohibited: ICMP "administratively prohibited"
    no route     the routing table of this place knows no way: nothing was sent
    denied       this place's own firewall or routing forbids it: nothing was sent
    failed       anything else, in `detail`
"""

from __future__ import annotations

import errno
import select
import socket
import time
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Final, Literal, NamedTuple

from dmsfw.doctor import icmp
from dmsfw.doctor.hello import First, client_hello, describe, first_word

Outcome = Literal[
    "connects", "refused", "reset", "closed", "silent", "timeout", "unreachable", "prohibited", "no route", "denied",
    "failed",
]  # fmt: skip

SMALL_MSS: Final = 536
"""Bytes of a segment that every IPv4 path carries (RFC 9293, 3.7.1): what comes in such pieces passes a black hole."""

GLANCE_S: Final = 0.3
"""How long a server is watched of which it is not known whether it speaks first: a reset or an end comes at once."""

PIECE: Final = 4096

_AT_ONCE: Final[dict[int, Outcome]] = {
    errno.ENETUNREACH: "no route",
    errno.EHOSTUNREACH: "no route",
    errno.EADDRNOTAVAIL: "no route",
    errno.EAFNOSUPPORT: "no route",
    errno.EACCES: "denied",
    errno.EPERM: "denied",
    errno.EINVAL: "denied",
    errno.ECONNREFUSED: "refused",
}
"""What the call itself says: nothing has left yet, but a refusal that came back while it lasted (same host)."""

_LATER: Final[dict[int, Outcome]] = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.ETIMEDOUT: "timeout",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.EACCES: "prohibited",
    errno.ECONNABORTED: "reset",
}


@dataclass(frozen=True, slots=True)
class Probe:
    """What came of one attempt.

    `heard`: the first word of the server. `detail`: who sent the ICMP error, or why it failed. `small`: with small
    segments the word came that did not come otherwise (None: not tried). `ms`: until the outcome was known.
    """

    address: str
    port: int
    outcome: Outcome
    ms: float = 0.0
    heard: str = ""
    detail: str = ""
    small: bool | None = None

    @property
    def connects(self) -> bool:
        """Whether an application would be content."""
        return self.outcome == "connects"


class Peer(NamedTuple):
    """Whom to connect to. `host`: the name by which it was asked for."""

    address: str
    port: int
    host: str


def probe_tcp(peer: Peer, timeout_s: float) -> Probe:
    """Connect, and wait for the first word where one is due; again in small pieces when it does not come.

    Takes at most `timeout_s` for each of: the handshake, the word, the second handshake and its word.
    """
    first = first_word(peer.port)
    found = _attempt(peer, timeout_s, first)
    if found.outcome != "silent":
        return found
    again = _attempt(peer, timeout_s, first, SMALL_MSS)
    return replace(found, small=again.connects)


def _attempt(peer: Peer, timeout_s: float, first: First, mss: int = 0) -> Probe:
    address, port, host = peer
    began = time.monotonic()
    with _socket(address, socket.SOCK_STREAM) as tcp:
        if mss:
            tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, mss)
        outcome, detail = _handshake(tcp, (address, port), timeout_s)
        if outcome != "connects":
            return Probe(address, port, outcome, _ms(began), detail=detail)
        took = _ms(began)
        outcome, heard = _listen(tcp, host, timeout_s, first)
        return Probe(address, port, outcome, took, heard=heard)


def _socket(address: str, kind: socket.SocketKind) -> socket.socket:
    """A socket that waits for nothing and keeps the ICMP errors that it gets (Linux keeps TCP's since 6.2)."""
    six = ip_address(address).version == 6  # noqa: PLR2004 - the IP version
    opened = socket.socket(socket.AF_INET6 if six else socket.AF_INET, kind)
    opened.setblocking(False)  # noqa: FBT003 - its only argument
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)  # else the kernel forbids it in its own name
    icmp.keep(opened)
    return opened


def _handshake(tcp: socket.socket, peer: tuple[str, int], timeout_s: float) -> tuple[Outcome, str]:
    try:
        tcp.connect(peer)
    except BlockingIOError:
        pass
    except OSError as error:
        return _at_once(peer[0], error), "" if error.errno in _AT_ONCE else str(error.strerror)
    if not select.select([], [tcp], [], timeout_s)[1]:
        return "timeout", ""
    code = tcp.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    return _judged(tcp, code) if code else ("connects", "")


def _listen(tcp: socket.socket, host: str, timeout_s: float, first: First) -> tuple[Outcome, str]:
    try:
        if first == "tls":
            tcp.send(client_hello(host))
        if not select.select([tcp], [], [], timeout_s if first else GLANCE_S)[0]:
            return ("silent", "") if first else ("connects", "")
        received = tcp.recv(PIECE)
    except OSError as error:
        return _LATER.get(error.errno or 0, "failed"), ""
    return ("connects", describe(received, first)) if received else ("closed", "")


def probe_udp(address: str, port: int, payload: bytes, timeout_s: float) -> Probe:
    """Send a datagram and wait for any answer. "timeout" says little: many services never answer a stranger."""
    began = time.monotonic()
    with _socket(address, socket.SOCK_DGRAM) as udp:
        try:
            udp.connect((address, port))
            udp.send(payload)
        except OSError as error:
            return Probe(address, port, _at_once(address, error), _ms(began))
        if not select.select([udp], [], [], timeout_s)[0]:
            return Probe(address, port, "timeout", _ms(began))
        try:
            received = udp.recv(PIECE)
        except OSError as error:
            outcome, detail = _judged(udp, error.errno or 0)
            return Probe(address, port, outcome, _ms(began), detail=detail)
    return Probe(address, port, "connects", _ms(began), heard=f"{len(received)} bytes")


def _at_once(address: str, error: OSError) -> Outcome:
    """What the call itself says. Without its link nothing has a way to a link-local address: no rule forbids that."""
    if error.errno == errno.EINVAL and ip_address(address).is_link_local:
        return "no route"
    return _AT_ONCE.get(error.errno or 0, "failed")


def _judged(opened: socket.socket, code: int) -> tuple[Outcome, str]:
    """What an error says, with the ICMP message behind it where the kernel kept it."""
    outcome = _LATER.get(code, "failed")
    kind, sender = icmp.kept(opened)
    if kind in icmp.PROHIBITED:
        outcome = "prohibited"
    return outcome, f"ICMP from {sender}" if sender else ""


def _ms(began: float) -> float:
    return round((time.monotonic() - began) * 1000, 1)
