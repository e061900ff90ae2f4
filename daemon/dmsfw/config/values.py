"""One function per type of value: text in, the value out, or `NotAllowed` with what would be. All text is hostile.

The texts of what is allowed stand here once: problems, `dmsfw check --help` and the documents say the same.
"""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import TYPE_CHECKING, Literal, TypeVar

from dmsfw.model import MAX_PORT, PROTOS, BackendChoice, Family, PortRange, Ports, Proto, Subnet, is_device_name

if TYPE_CHECKING:
    from collections.abc import Iterable

Word = TypeVar("Word", bound=str)
LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["text", "json"]

LEVELS: tuple[LogLevel, ...] = ("debug", "info", "warning", "error")
BACKENDS: tuple[BackendChoice, ...] = ("auto", "iptables", "nftables")
FORMATS: tuple[LogFormat, ...] = ("text", "json")
FAMILIES: tuple[Family, ...] = ("any", "ipv4", "ipv6")
RESYNC_S = range(5, 86401)
"""Seconds between whole passes: often enough to be of use, seldom enough not to be felt."""

MAX_TEXT = 255
"""Longest label, network name or path, in characters. Docker's own names are far shorter."""

MAX_SOCKET_PATH = 107
"""Longest path of a unix socket in bytes (unix(7): sun_path has 108, one for the NUL)."""

BOOLEAN = "1 or 0 (or yes no, on off, true false, enabled disabled)"
BACKEND = "auto, iptables or nftables"
LEVEL = "debug, info, warning or error"
FORMAT = "text or json"
URL = f"unix:// and the absolute path of a socket, at most {MAX_SOCKET_PATH} bytes, without spaces"
METRICS = f"the absolute path of a file that ends in .prom, at most {MAX_TEXT} characters, without spaces"
SECONDS = f"whole seconds from {RESYNC_S[0]} to {RESYNC_S[-1]}"
INTERFACE = "an interface's name as in /etc/config/network: 1 to 64 of A-Z a-z 0-9 _ . -"
DEVICE = "a device's name: 1 to 15 of A-Z a-z 0-9 _ . @ -"
LABEL = f"key=value, or key alone; printable UTF-8 on one line, at most {MAX_TEXT} characters (is a quote missing?)"
NETWORK = f"a name or a shell glob; printable UTF-8 on one line, at most {MAX_TEXT} characters (is a quote missing?)"
PROTO = "tcp, udp, sctp, icmp or all"
PORTS = "a port 1-65535, a list 465,587, a range 1000-2000, or 'any'"
PREFIX = "an IPv4 or IPv6 address, alone or with a prefix length: 220.197.33.0/24"
FAMILY = "any, ipv4 or ipv6"

ANY_PORT = "any"

_INTERFACE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")
_PORTS = re.compile(r"([1-9][0-9]{0,4})(?:-([1-9][0-9]{0,4}))?")
_PREFIX = re.compile(r"[0-9A-Fa-f:.]{2,45}(?:/[0-9]{1,3})?")
_TRUE = frozenset(("1", "yes", "on", "true", "enabled"))
_FALSE = frozenset(("0", "no", "off", "false", "disabled"))


class NotAllowed(ValueError):
    """A value that is not of its type. `str()` of it says what is allowed."""


def boolean(text: str) -> bool:
    """Read UCI's booleans. Raises: NotAllowed."""
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise NotAllowed(BOOLEAN)


def log_level(text: str) -> LogLevel:
    """Read a log level. Raises: NotAllowed."""
    return _choice(text, LEVELS, LEVEL)


def backend(text: str) -> BackendChoice:
    """Read which firewall is served. Raises: NotAllowed."""
    return _choice(text, BACKENDS, BACKEND)


def log_format(text: str) -> LogFormat:
    """Read a log format. Raises: NotAllowed."""
    return _choice(text, FORMATS, FORMAT)


def family(text: str) -> Family:
    """Read an address family. Raises: NotAllowed."""
    return _choice(text, FAMILIES, FAMILY)


def proto(text: str) -> Proto:
    """Read a protocol's name. Raises: NotAllowed."""
    return _choice(text, PROTOS, PROTO)


def _choice(text: str, words: tuple[Word, ...], allowed: str) -> Word:
    for word in words:
        if word == text.lower():
            return word
    raise NotAllowed(allowed)


def seconds(text: str) -> int:
    """Read the seconds between two passes. Raises: NotAllowed."""
    if not _NUMBER.fullmatch(text) or int(text) not in RESYNC_S:
        raise NotAllowed(SECONDS)
    return int(text)


def docker_url(text: str) -> str:
    """Read where Docker listens: a unix socket and nothing else. Raises: NotAllowed."""
    path = text.removeprefix("unix://")
    well_formed = path != text and path.startswith("/") and path.isprintable() and " " not in path
    if not well_formed or path.endswith("/") or len(path.encode()) > MAX_SOCKET_PATH:
        raise NotAllowed(URL)
    return text


def metrics_file(text: str) -> str:
    """Read where metrics are written. The ending keeps a slip from overwriting another file. Raises: NotAllowed."""
    well_formed = text.startswith("/") and text.isprintable() and " " not in text
    if not well_formed or not text.endswith(".prom") or text.endswith("/.prom") or len(text) > MAX_TEXT:
        raise NotAllowed(METRICS)
    return text


def interface(text: str) -> str:
    """Read the name of a logical interface. Raises: NotAllowed."""
    if not _INTERFACE.fullmatch(text):
        raise NotAllowed(INTERFACE)
    return text


def device(text: str) -> str:
    """Read the name of a device. Raises: NotAllowed."""
    if not is_device_name(text):
        raise NotAllowed(DEVICE)
    return text


def label(text: str) -> tuple[str, str | None]:
    """Read `key=value`, or `key` for its presence (value None). Raises: NotAllowed."""
    key, equals, value = text.partition("=")
    if not key.strip() or not _is_line(text):
        raise NotAllowed(LABEL)
    return key, value if equals else None


def network(text: str) -> str:
    """Read a glob for networks' names. Raises: NotAllowed."""
    if not text.strip() or not _is_line(text):
        raise NotAllowed(NETWORK)
    return text


def _is_line(text: str) -> bool:
    return text.isprintable() and len(text) <= MAX_TEXT


def prefix(text: str) -> Subnet:
    """Read an address or a prefix of either family; bits behind the prefix are dropped. Raises: NotAllowed."""
    if not _PREFIX.fullmatch(text):
        raise NotAllowed(PREFIX)
    try:
        return ip_network(text, strict=False)
    except ValueError:
        raise NotAllowed(PREFIX) from None


def ports(text: str) -> Ports:
    """Read ports, ranges and comma lists of both: sorted, disjoint. `any` is `()`. Raises: NotAllowed."""
    return () if text.lower() == ANY_PORT else merged(map(_port_range, text.split(",")))


def _port_range(text: str) -> PortRange:
    match = _PORTS.fullmatch(text)
    if match is None:
        raise NotAllowed(PORTS)
    first, last = int(match[1]), int(match[2] or match[1])
    if not first <= last <= MAX_PORT:
        raise NotAllowed(PORTS)
    return PortRange(first, last)


def merged(ranges: Iterable[PortRange]) -> Ports:
    """Sort ranges and join those that overlap or touch: 465, 465-470, 471 is 465-471."""
    joined: list[PortRange] = []
    for first, last in sorted(ranges):
        if joined and first <= joined[-1].last + 1:
            joined[-1] = PortRange(joined[-1].first, max(last, joined[-1].last))
        else:
            joined.append(PortRange(first, last))
    return tuple(joined)
