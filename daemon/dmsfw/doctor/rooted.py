"""A container's files, read through /proc/PID/root. The container is hostile: it must not make root read another file.

Each part of the path is opened in the one before it and is never followed when it is a symbolic link: such a link would
lead out of the container, to a file of the host.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

LIMIT: Final = 2**16
"""Bytes that are read at most. Docker's own resolv.conf has some 200."""

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


def read(root: Path, *parts: str, limit: int = LIMIT) -> str:
    """The text of a regular file below `root`, as far as `limit` bytes go.

    Raises: OSError when it is not there, is no regular file, or a part of its path is a symbolic link.
    """
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)  # /proc/PID/root is the kernel's own link
    try:
        for part in parts[:-1]:
            below = os.open(part, _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = below
        file = os.open(parts[-1], _FILE, dir_fd=folder)
    finally:
        os.close(folder)
    with os.fdopen(file, "rb") as opened:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError(f"{'/'.join(parts)} is no regular file")
        return opened.read(limit).decode("utf-8", "replace")
