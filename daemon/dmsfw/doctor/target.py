"""What is asked: a host, by name or by address, and a port. Foreign text until it has passed here."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Literal

from dmsfw.model import MAX_PORT

Address = IPv4Address | IPv6Address
Transport = Literal["tcp", "udp"]

MAX_NAME = 253
"""Longest name of a host, without its last dot (RFC 1035, 2.3.4)."""

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_TARGET = re.compile(r"(?:\[(?P<six>[^\[\]]*)\]|(?P<host>[^:\[\]]*)):(?P<port>[0-9]{1,5})")
_ALL_DIGITS = re.compile(r"[0-9.]+")


class MalformedTarget(ValueError):
    """The text is no HOST:PORT; `str()` says what would be."""


@dataclass(frozen=True, slots=True)
class Target:
    """A host and a port. `address`: the host, where it was given by its address; else it is a name."""

    host: str
    port: int
    proto: Transport = "tcp"
    address: Address | None = None

    def at(self, address: Address) -> Target:
        """The same, at one of its addresses."""
        return replace(self, address=address)

    def __str__(self) -> str:
        return f"{shown(self.address) if self.address else self.host}:{self.port}"


def shown(address: Address) -> str:
    """An address as it stands in front of a port."""
    return f"[{address}]" if address.version == 6 else str(address)  # noqa: PLR2004 - the IP version


def parse_target(text: str, proto: Transport = "tcp") -> Target:
    """Read HOST:PORT; an IPv6 address stands in brackets.

    Raises: MalformedTarget, which says what is wrong.
    """
    found = _TARGET.fullmatch(text)
    if found is None:
        raise MalformedTarget("HOST:PORT is meant: smtp.example.com:465, 203.0.113.5:465 or [2001:db8::5]:465")
    port = int(found["port"])
    if not 1 <= port <= MAX_PORT:
        raise MalformedTarget(f"port {port} is not one of 1 to {MAX_PORT}")
    host = found["six"] if found["host"] is None else found["host"]
    return _with_host(host, port, proto, bracketed=found["host"] is None)


def _with_host(host: str, port: int, proto: Transport, *, bracketed: bool) -> Target:
    try:
        address = ip_address(host)
    except ValueError:
        address = None
    if address is None and (bracketed or _ALL_DIGITS.fullmatch(host)):
        raise MalformedTarget("the address of HOST:PORT cannot be read")
    if isinstance(address, IPv6Address) and address.scope_id:
        raise MalformedTarget("an address with a zone (%) is of one link only: no router passes it on")
    if address is None and (not _NAME.fullmatch(host) or len(host.rstrip(".")) > MAX_NAME):
        raise MalformedTarget("the name of HOST:PORT is none: letters, digits, - and . (other scripts as xn--...)")
    return Target(host if address is None else str(address), port, proto, address)
