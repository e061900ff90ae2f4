"""Questions to a name server: addresses of a name, over UDP, over TCP when the answer does not fit (RFC 1035, 7766).

The answer is foreign: lengths and pointers are checked, and only its addresses are taken.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, Literal

A, AAAA = 1, 28
PORT: Final = 53
TRIES: Final = 2
"""A datagram may be lost."""

_HEADER: Final = struct.Struct("!HHHHHH")
_RECORD: Final = struct.Struct("!HHIH")
_RECURSION, _RESPONSE, _TRUNCATED, _RCODE = 0x0100, 0x8000, 0x0200, 0x000F
_INTERNET: Final = 1
_POINTER: Final = 0xC0

Result = Literal["answer", "no such name", "no address", "refused", "failed", "timeout", "unreachable", "malformed"]
"""`refused`: nobody listens there, or a firewall says no. `failed`: the server itself could not or would not."""

_RCODES: Final[dict[int, Result]] = {0: "answer", 3: "no such name"}
_ERRORS: Final[dict[int, Result]] = {errno.ECONNREFUSED: "refused", errno.ECONNRESET: "refused"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What one server said to one question."""

    server: str
    result: Result
    addresses: tuple[str, ...] = ()


class Malformed(ValueError):
    """The answer is none."""


def ask(server: str, name: str, kind: int, timeout_s: float, port: int = PORT) -> Answer:
    """Ask one server for the addresses of one kind, A or AAAA."""
    query = question(name, kind, int.from_bytes(os.urandom(2), "big"))
    try:
        received = _by_udp(server, port, query, timeout_s)
        if _is_truncated(received):
            received = _by_tcp(server, port, query, timeout_s)
        return parse(server, query, received)
    except TimeoutError:
        return Answer(server, "timeout")
    except (Malformed, struct.error, IndexError):
        return Answer(server, "malformed")
    except OSError as error:
        return Answer(server, _ERRORS.get(error.errno or 0, "unreachable"))


def question(name: str, kind: int, number: int) -> bytes:
    """A question as it is sent. `name` is ASCII, its labels 1 to 63 bytes long."""
    labels = b"".join(bytes([len(label)]) + label.encode("ascii") for label in name.rstrip(".").split("."))
    return _HEADER.pack(number, _RECURSION, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", kind, _INTERNET)


def parse(server: str, query: bytes, received: bytes) -> Answer:
    """Read the answer to a question. Raises: Malformed, struct.error, IndexError."""
    number, flags, questions, answers, *_ = _HEADER.unpack_from(received)
    if received[:2] != query[:2] or not flags & _RESPONSE or questions != 1:
        raise Malformed(f"answer {number} to another question")
    result = _RCODES.get(flags & _RCODE, "failed")
    if result != "answer":
        return Answer(server, result)
    kind: int = struct.unpack_from("!H", query, len(query) - 4)[0]
    found = _addresses(received, kind, answers)
    return Answer(server, "answer" if found else "no address", found)


def _addresses(received: bytes, kind: int, answers: int) -> tuple[str, ...]:
    """All addresses of the kind among the answers, those behind aliases too. Raises: Malformed."""
    at, found = _behind_name(received, _HEADER.size) + 4, []
    for _ in range(answers):
        at = _behind_name(received, at)
        type_, _, _, length = _RECORD.unpack_from(received, at)
        data = received[at + _RECORD.size : at + _RECORD.size + length]
        at += _RECORD.size + length
        if len(data) != length:
            raise Malformed("a record is cut off")
        if type_ == kind:
            found.append(str(_address(kind, data)))
    return tuple(found)


def _address(kind: int, data: bytes) -> IPv4Address | IPv6Address:
    """Raises: Malformed."""
    try:
        return IPv4Address(data) if kind == A else IPv6Address(data)
    except ValueError as error:
        raise Malformed(str(error)) from error


def _behind_name(received: bytes, at: int) -> int:
    """The place behind a name. A pointer ends it; what it points to is nothing to us. Raises: IndexError."""
    while length := received[at]:
        if length & _POINTER:
            return at + 2
        at += 1 + length
    return at + 1


def _by_udp(server: str, port: int, query: bytes, timeout_s: float) -> bytes:
    """Raises: OSError."""
    with socket.socket(_family(server), socket.SOCK_DGRAM) as udp:
        udp.settimeout(timeout_s / TRIES)
        udp.connect((server, port))
        for left in reversed(range(TRIES)):
            udp.send(query)
            try:
                return udp.recv(4096)
            except TimeoutError:
                if not left:
                    raise
    raise TimeoutError


def _by_tcp(server: str, port: int, query: bytes, timeout_s: float) -> bytes:
    """Raises: OSError."""
    with socket.create_connection((server, port), timeout_s) as tcp:
        tcp.sendall(struct.pack("!H", len(query)) + query)
        (length,) = struct.unpack("!H", _exactly(tcp, 2))
        return _exactly(tcp, length)


def _exactly(tcp: socket.socket, length: int) -> bytes:
    """Raises: OSError, Malformed when it ends before."""
    received = b""
    while len(received) < length:
        piece = tcp.recv(length - len(received))
        if not piece:
            raise Malformed("it ended in the middle")
        received += piece
    return received


def _is_truncated(received: bytes) -> bool:
    return len(received) >= _HEADER.size and bool(_HEADER.unpack_from(received)[1] & _TRUNCATED)


def _family(server: str) -> socket.AddressFamily:
    return socket.AF_INET if ip_address(server).version == 4 else socket.AF_INET6  # noqa: PLR2004 - the IP version
