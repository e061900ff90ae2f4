"""Could this process load that shared library? Told by its head, so that a wrong one is passed over, not a crash."""

from __future__ import annotations

import struct
from functools import cache
from pathlib import Path
from typing import NamedTuple

SELF = Path("/proc/self/exe")

HEAD_BYTES = 64
"""An ELF file's head, that of 64-bit ones (elf(5))."""

IDENTITY = (slice(0, 6), slice(18, 20))
"""In it: the mark of such a file, word length and byte order; the machine."""


class Layout(NamedTuple):
    """Where the head says where the segments are told, and what is told of each: its offset and size in the file."""

    table: struct.Struct
    segment: struct.Struct


LAYOUTS = {
    1: Layout(struct.Struct("=28xI10xHH"), struct.Struct("=4xI8xI")),
    2: Layout(struct.Struct("=32xQ14xHH"), struct.Struct("=8xQ16xQ")),
}
"""By word length: 1 is 32 bits, 2 is 64. In the byte order of this process, which a fitting file has."""


def fits(path: Path) -> bool:
    """Tell whether it is for this processor. (`libc.so` on Debian is a linker's script; i386 may be there as well.)"""
    return _identity(_head(path)) == _own_identity()


def is_whole(path: Path) -> bool:
    """Tell whether a file that fits has all its segments. One cut off by a full flash ends who loads it by SIGBUS."""
    content = path.read_bytes()
    layout = LAYOUTS[content[4]]
    if len(content) < layout.table.size:
        return False
    start, size, count = layout.table.unpack_from(content)
    if start + size * count > len(content):
        return False
    segments = (layout.segment.unpack_from(content, start + size * index) for index in range(count))
    return all(offset + length <= len(content) for offset, length in segments)


@cache
def _own_identity() -> bytes:
    return _identity(_head(SELF))


def _identity(head: bytes) -> bytes:
    return b"".join(head[part] for part in IDENTITY)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(HEAD_BYTES)
    except OSError:  # a link that leads nowhere
        return b""
