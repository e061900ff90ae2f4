"""One dmsfw per network namespace.

A lock file in the run-dir tells whether a daemon serves that folder. An abstract unix socket tells it for the whole
namespace, whatever folder is used: the kernel keeps those names per network namespace and drops them at any death.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dmsfw.errors import Busy, UsageError

ABSTRACT_NAME = "\0dmsfw"

LOCK_NAME = "lock"

STEP_S = 0.05
"""How often a wait looks again."""

UCRED = struct.Struct("=3i")
"""struct ucred: pid, uid, gid."""


@contextmanager
def only_one(run_dir: Path, wait_s: float) -> Iterator[None]:
    """Be the only one in this network namespace. Raises: Busy after `wait_s` seconds; UsageError for the folder."""
    deadline = time.monotonic() + wait_s
    with _locked(run_dir, deadline), _bound(deadline):
        yield


def is_running(run_dir: Path) -> bool:
    """Tell whether a daemon serves this run-dir: the lock tells, which no crash leaves behind."""
    try:
        fd = os.open(run_dir / LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(fd)


@contextmanager
def _locked(run_dir: Path, deadline: float) -> Iterator[None]:
    try:
        fd = os.open(run_dir / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        raise UsageError(f"{run_dir / LOCK_NAME} cannot be opened: {error.strerror}") from error
    try:
        _until(deadline, lambda: fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB))
        yield
    finally:
        os.close(fd)


@contextmanager
def _bound(deadline: float) -> Iterator[None]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        try:
            _until(deadline, lambda: sock.bind(ABSTRACT_NAME))
        except Busy:
            # Anybody may take the name, a container in the host's network too: only our own user's claim counts.
            if _owner() in {None, os.geteuid()}:
                raise
        else:
            sock.listen(1)
        yield


def _owner() -> int | None:
    """The user id of whoever holds the name; None when it cannot be told."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock, suppress(OSError):
        sock.settimeout(1)
        sock.connect(ABSTRACT_NAME)
        _, user, _ = UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, UCRED.size))
        return int(user)
    return None


def _until(deadline: float, take: Callable[[], object]) -> None:
    while True:
        try:
            take()
        except OSError as error:
            if time.monotonic() >= deadline:
                raise Busy("another dmsfw holds this network namespace: stop it first, or wait with --wait") from error
            time.sleep(STEP_S)
        else:
            return
