"""The ICMP error that ended an attempt, which the kernel keeps beside the socket (IP_RECVERR, ip(7))."""

from __future__ import annotations

import socket
import struct
from typing import Final

_IP_RECVERR, _IPV6_RECVERR = 11, 25
_LEVELS: Final = {(socket.IPPROTO_IP, _IP_RECVERR), (socket.IPPROTO_IPV6, _IPV6_RECVERR)}
MESSAGE_LIMIT: Final = 4096
CONTROL_LIMIT: Final = 512

_EXTENDED_ERROR: Final = struct.Struct("=IBBBBII")
_ICMP, _ICMPV6 = 2, 3
PROHIBITED: Final = {(_ICMP, 3, 9), (_ICMP, 3, 10), (_ICMP, 3, 13), (_ICMPV6, 1, 1)}
"""Origin, type and code of "administratively prohibited" (RFC 1812, 5.2.7.1; RFC 4443, 3.1)."""


def keep(opened: socket.socket) -> None:
    """Have the kernel keep ICMP errors for this socket. Raises: OSError."""
    six = opened.family == socket.AF_INET6
    level, option = (socket.IPPROTO_IPV6, _IPV6_RECVERR) if six else (socket.IPPROTO_IP, _IP_RECVERR)
    opened.setsockopt(level, option, 1)


def kept(opened: socket.socket) -> tuple[tuple[int, int, int] | None, str]:
    """Origin, type and code of the ICMP error that was kept, and who sent it; nothing where there is none."""
    try:
        _, control, _, _ = opened.recvmsg(MESSAGE_LIMIT, CONTROL_LIMIT, socket.MSG_ERRQUEUE)
    except OSError:
        return None, ""
    for level, kind, content in control:
        if (level, kind) in _LEVELS and len(content) >= _EXTENDED_ERROR.size:
            _, origin, type_, code, *_ = _EXTENDED_ERROR.unpack_from(content)
            return (origin, type_, code), _sender(content[_EXTENDED_ERROR.size :])
    return None, ""


def _sender(content: bytes) -> str:
    """The address in a struct sockaddr_in or sockaddr_in6."""
    family = int.from_bytes(content[:2], "little" if struct.pack("=H", 1)[0] else "big")
    if family == socket.AF_INET:
        return socket.inet_ntop(family, content[4:8])
    return socket.inet_ntop(family, content[8:24]) if family == socket.AF_INET6 else ""
