"""The run-dir and the files in it. Root writes here, anybody may read; nobody may make root write elsewhere."""

from __future__ import annotations

import os
import secrets
import shlex
import stat
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from dmsfw.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 4 * 1024 * 1024
"""Largest file that is read: 1,000 networks take about 1 MiB."""

LEFTOVER_S = 60.0
"""Age in seconds at which a temporary file is one that a killed process left."""

_TEMPORARY = ".tmp"
_OR_ANOTHER = ", or name another with --run-dir"


def write_atomically(path: Path, text: str) -> None:
    """Put `text` in place of `path` in one step, mode 0644: a reader sees the old file or the whole new one.

    Also after a power loss: on a disk, a name may arrive before the bytes it stands for, so these go first. In memory,
    where the run-dir is, that costs nothing.

    Raises: OSError; then nothing has changed and the temporary file is gone.
    """
    temporary = path.parent / f".{path.name}.{secrets.token_hex(6)}{_TEMPORARY}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode("utf-8", "backslashreplace"))
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        temporary.rename(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def read(path: Path, limit: int = MAX_BYTES) -> str:
    """Return the text of a regular file of at most `limit` bytes. Bytes that are not UTF-8 become U+FFFD.

    Raises: OSError (FileNotFoundError where it is missing); UsageError for what is no file of ours: too large, a link,
    a pipe.
    """
    descriptor = _opened(path)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UsageError(f"{path} is no regular file: remove it, dmsfw writes it anew")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(limit + 1)
    finally:
        os.close(descriptor)
    if len(content) > limit:
        raise UsageError(f"{path} is larger than {limit} bytes: remove it, dmsfw writes it anew")
    return content.decode("utf-8", "replace")


def prepare_run_dir(path: Path) -> None:
    """Make the run-dir (0755) where it is missing, and sweep out what killed processes left in it.

    Raises: UsageError, which says what to do, when it cannot be made, is a link, is not the current user's, or is
    writable by others.
    """
    made = _make(path)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise UsageError(f"run-dir {path} is refused: it is no folder, or a link. Remove it{_OR_ANOTHER}") from error
    try:
        if made:
            os.fchmod(descriptor, 0o755)
        _check(path, os.fstat(descriptor))
        _sweep(descriptor)
    finally:
        os.close(descriptor)


def _opened(path: Path) -> int:
    try:
        # O_NONBLOCK: opening a pipe that somebody put there must not hang.
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if path.is_symlink():
            raise UsageError(f"{path} is a link: remove it, dmsfw writes the file anew") from error
        raise


def _make(path: Path) -> bool:
    try:
        path.mkdir(mode=0o755)
    except FileExistsError:
        return False
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(f"run-dir {path} cannot be made: {reason}. Run as root{_OR_ANOTHER}") from error
    return True


def _check(path: Path, found: os.stat_result) -> None:
    if found.st_uid != os.geteuid():
        whose = f"it belongs to user {found.st_uid}, not to {os.geteuid()}"
        raise UsageError(f"run-dir {path} is refused: {whose}. Run as its owner{_OR_ANOTHER}")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        command = f"chmod 755 {shlex.quote(str(path))}"
        raise UsageError(f"run-dir {path} is refused: others may write to it. Run `{command}`{_OR_ANOTHER}")


def _sweep(directory: int) -> None:
    """Remove old temporary files: a process killed in the middle of a write cannot."""
    for name in os.listdir(directory):
        if name.startswith(".") and name.endswith(_TEMPORARY):
            with suppress(OSError):
                if time.time() - os.stat(name, dir_fd=directory, follow_symlinks=False).st_mtime > LEFTOVER_S:
                    os.unlink(name, dir_fd=directory)
