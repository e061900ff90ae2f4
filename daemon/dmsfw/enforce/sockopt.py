"""What the kernel tells about its tables through getsockopt: how large one is, and all of its bytes.

Python's own getsockopt cannot pass a request in, so libc's is called. Needs CAP_NET_ADMIN. Asking about a table makes
it where it was not: ask `exists` first.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from dmsfw.enforce.blob import Blob
from dmsfw.enforce.packages import TABLES as PACKAGES
from dmsfw.enforce.packages import install, modules
from dmsfw.enforce.render import RuleSpec, TableKey
from dmsfw.errors import TableChanged, TableRefused
from dmsfw.model import Version

GET_INFO, GET_ENTRIES = 64, 65
"""IPT_BASE_CTL, and the one after it; the same numbers for IPv6."""

INFO = struct.Struct("=32sI5I5III")
"""struct ipt_getinfo: name, valid hooks, hook offsets, policy offsets, number of entries, size in bytes."""

ENTRIES_HEAD = 40
"""struct ipt_get_entries: name[32], size, and padding before the entries, which are aligned to 8 bytes."""

HOOKS = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")
"""The built-in chains by their number (NF_INET_*)."""

NAMES = {4: Path("/proc/net/ip_tables_names"), 6: Path("/proc/net/ip6_tables_names")}
EXTENSIONS = {
    4: (Path("/proc/net/ip_tables_matches"), Path("/proc/net/ip_tables_targets")),
    6: (Path("/proc/net/ip6_tables_matches"), Path("/proc/net/ip6_tables_targets")),
}
"""The matches and targets that the kernel has at the moment. It loads the module of one that somebody asks for."""

LEVELS = {4: (socket.AF_INET, socket.SOL_IP), 6: (socket.AF_INET6, socket.IPPROTO_IPV6)}

ATTEMPTS = 5
"""Reads of a table that keeps changing between the question for its layout and the one for its bytes."""

_libc = ctypes.CDLL(None, use_errno=True)


class Info(NamedTuple):
    """Where the built-in chains begin, and how large the table is."""

    hooks: dict[str, int]
    entries: int
    size: int


def exists(key: TableKey) -> bool:
    """Tell whether the kernel has the table in this network namespace. 5 us: it is asked at every look."""
    try:
        return key.name.encode() in _content(NAMES[key.version]).split()
    except FileNotFoundError:
        return False
    except PermissionError as error:
        raise TableRefused("not permitted to read the firewall's tables: run dmsfw as root") from error


def glance(key: TableKey, most: int) -> tuple[Info, bytes]:
    """How large the table is, and its bytes where it has at most `most` entries: half as dear as `read`.

    Another writer may come between the two. Raises: TableRefused; TableChanged when that is seen.
    """
    with _socket(key) as sock:
        size = _info(key, sock)
        try:
            return size, _entries(key, sock, size) if size.entries <= most else b""
        except BlockingIOError as error:
            raise TableChanged(f"{key.command} table {key.name} was changed by somebody else") from error


def read(key: TableKey) -> Blob:
    """The whole table at one moment. Raises: TableRefused; TableChanged when it keeps changing."""
    with _socket(key) as sock:
        for _ in range(ATTEMPTS):
            size = _info(key, sock)
            try:
                raw = _entries(key, sock, size)
            except BlockingIOError:
                continue
            if _info(key, sock) == size:
                return Blob(key.version, raw, size.hooks)
    raise TableChanged(f"{key.command} table {key.name} changes all the time")


def require_permission(key: TableKey) -> None:
    """Raises: TableRefused where the tables may not be asked for."""
    with _socket(key):
        pass


def _content(path: Path) -> bytes:
    """A short file of /proc; a tenth of what Path.read_bytes costs."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, 4096)
    finally:
        os.close(fd)


def _entries(key: TableKey, sock: socket.socket, size: Info) -> bytes:
    """Raises: BlockingIOError when the table has another size now."""
    head = struct.pack("=32sI4x", key.name.encode(), size.size)
    return _getsockopt(key, sock, GET_ENTRIES, head, ENTRIES_HEAD + size.size, skip=ENTRIES_HEAD)


def _info(key: TableKey, sock: socket.socket) -> Info:
    raw = _getsockopt(key, sock, GET_INFO, key.name.encode(), INFO.size)
    _, valid, *offsets, entries, size = INFO.unpack(raw)
    hooks = {name: offsets[number] for number, name in enumerate(HOOKS) if valid & 1 << number}
    return Info(hooks, entries, size)


def _socket(key: TableKey) -> socket.socket:
    try:
        return socket.socket(LEVELS[key.version][0], socket.SOCK_RAW, socket.IPPROTO_RAW)
    except PermissionError as error:
        raise TableRefused("not permitted to read the firewall: run dmsfw as root") from error
    except OSError as error:
        raise TableRefused(f"{key.command} cannot be used here: {os.strerror(error.errno or 0)}") from error


def _getsockopt(key: TableKey, sock: socket.socket, option: int, request: bytes, size: int, *, skip: int = 0) -> bytes:
    """The answer behind its first `skip` bytes.

    Raises: BlockingIOError when the table has another size now (EAGAIN); TableRefused.
    """
    buffer = ctypes.create_string_buffer(request, size)
    length = ctypes.c_uint32(size)
    if _libc.getsockopt(sock.fileno(), LEVELS[key.version][1], option, buffer, ctypes.byref(length)) == 0:
        return ctypes.string_at(ctypes.byref(buffer, skip), max(0, length.value - skip))
    code = ctypes.get_errno()
    if code == errno.EAGAIN:
        raise BlockingIOError(code, os.strerror(code))
    raise TableRefused(refusal(key, os.strerror(code)))


def extensions(version: Version) -> frozenset[str]:
    """The matches and targets that the kernel has; none where it has no iptables at all."""
    names: set[str] = set()
    for path in EXTENSIONS[version]:
        with suppress(OSError):
            names.update(path.read_text().split())
    return frozenset(names)


def refusal(key: TableKey, reason: str, specs: Iterable[RuleSpec] = ()) -> str:
    """One line for what the kernel refuses, with what to install when it lacks the table, or what the rules use."""
    lacking = modules(specs, extensions(key.version)) if exists(key) else (PACKAGES[key],)
    if lacking:
        return f"{key.command} table {key.name}: {reason} (is its kernel module there? {install(lacking)})"
    return f"{key.command} table {key.name} was not changed: {reason}"
