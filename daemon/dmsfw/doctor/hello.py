"""What a server says first, and what has to be said to it so that it does: pure.

A connection that is made proves small packets only. The first answer of a TLS server fills whole packets, and an MTU
black hole swallows just these.

The client's hello is written by hand: OpenWrt has `ssl` in a package of its own, and nothing of it is needed to see
that a server answers. Its fields are those of RFC 8446, 4.1.2, with what TLS 1.2 wants beside them.
"""

from __future__ import annotations

import os
import struct
from typing import Literal

from dmsfw.doctor.raw import is_address
from dmsfw.report.text import clean

First = Literal["tls", "banner", ""]
"""Who speaks first on a port: the client with TLS, the server with a greeting, or it is not known."""

TLS_PORTS = frozenset({443, 465, 563, 636, 853, 989, 990, 992, 993, 994, 995, 5061, 5223, 8443, 8883})
BANNER_PORTS = frozenset({21, 22, 25, 110, 119, 143, 587, 2525, 3306, 5900})

BANNER_LIMIT = 60
"""Characters of a greeting that are shown."""

_HANDSHAKE, _ALERT = b"\x16\x03", b"\x15\x03"

_CIPHERS = (
    *(0x1301, 0x1302, 0x1303, 0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8),
    *(0xC009, 0xC013, 0xC00A, 0xC014, 0x009C, 0x009D, 0x002F, 0x0035),
)
_GROUPS = (0x001D, 0x0017, 0x0018)
_SIGNATURES = (0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601, 0x0807, 0x0203, 0x0201)
_X25519 = 0x001D


def first_word(port: int) -> First:
    """Who speaks first on a TCP port."""
    return "tls" if port in TLS_PORTS else "banner" if port in BANNER_PORTS else ""


def client_hello(host: str) -> bytes:
    """A TLS client's hello, for 1.3 and 1.2. `host` is named in it, unless it is an address (RFC 6066, 3)."""
    body = b"\x03\x03" + os.urandom(32) + _sized(1, os.urandom(32))
    body += _sized(2, _words(_CIPHERS)) + b"\x01\x00" + _sized(2, _extensions(host))
    handshake = b"\x01" + _sized(3, body)
    return b"\x16\x03\x01" + _sized(2, handshake)


def describe(received: bytes, asked: First) -> str:
    """Say what the first bytes of a server are."""
    if received.startswith(_HANDSHAKE):
        return "a TLS hello"
    if received.startswith(_ALERT):
        return "a TLS alert: it speaks TLS, and refuses this hello"
    text = clean(received.split(b"\n")[0].rstrip().decode("utf-8", "replace"), BANNER_LIMIT)
    return f"{text}: that is no TLS" if asked == "tls" else text


def _extensions(host: str) -> bytes:
    # Any 32 bytes are a key of X25519 (RFC 7748): no secret is needed, since nothing is ever agreed on.
    key = struct.pack("!H", _X25519) + _sized(2, os.urandom(32))
    wanted = (
        (0, b"" if is_address(host) else _sized(2, b"\x00" + _sized(2, host.rstrip(".").encode("ascii")))),
        (10, _sized(2, _words(_GROUPS))),
        (11, b"\x01\x00"),
        (13, _sized(2, _words(_SIGNATURES))),
        (23, b""),
        (43, _sized(1, _words((0x0304, 0x0303)))),
        (45, b"\x01\x01"),
        (51, _sized(2, key)),
        (0xFF01, b"\x00"),
    )
    return b"".join(struct.pack("!H", kind) + _sized(2, content) for kind, content in wanted if kind or content)


def _sized(length_bytes: int, content: bytes) -> bytes:
    return len(content).to_bytes(length_bytes, "big") + content


def _words(values: tuple[int, ...]) -> bytes:
    return struct.pack(f"!{len(values)}H", *values)
