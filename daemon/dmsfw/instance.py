"""One dmsfw per network namespace.

A lock file in the run-dir tells whether a daemon serves that folder. An abstract unix socket tells it for the whole
namespace, whatever folder is used: the kernel keeps those names per network namespace and drops them at any death.
"""

from __future__ import annotations

import errno
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

LOOKS, LOOK_S = 50, 0.01
"""How often, and how long each time, somebody is waited for who only looks: rpcd's plugin starts a program for it."""

TAKEN = frozenset({errno.EWOULDBLOCK, errno.EADDRINUSE})
"""What the kernel says of a lock and of a name that somebody else holds."""

UCRED = struct.Struct("=3i")
"""struct ucred: pid, uid, gid."""


@contextmanager
def only_one(run_dir: Path, wait_s: float) -> Iterator[None]:
    """Be the only one in this network namespace. Raises: Busy after `wait_s` seconds; UsageError for the folder."""
    deadline = time.monotonic() + wait_s
    with _locked(run_dir, deadline), _bound(deadline):
        yield


def is_running(run_dir: Path) -> bool:
    """Tell whether a daemon serves this run-dir: the lock tells, which no crash leaves behind. Raises: UsageError."""
    try:
        fd = os.open(run_dir / LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _unusable(run_dir, error) from error
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
        raise _unusable(run_dir, error) from error
    try:
        os.fchmod(fd, 0o644)
        _until(deadline, lambda: _take(fd))
        yield
    finally:
        os.close(fd)


def _take(fd: int) -> None:
    """Lock it. Those who only look hold it too, shared and for an instant: they are waited for. Raises: OSError."""
    for _ in range(LOOKS):
        with suppress(BlockingIOError):
            return fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(fd, fcntl.LOCK_UN)
        time.sleep(LOOK_S)
    return fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def _bound(deadline: float) -> Iterator[None]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        _until(deadline, lambda: _claim(sock))
        yield


def _claim(sock: socket.socket) -> None:
    """Anybody may take the name, a container in the host's network too: only our own user's claim counts."""
    try:
        sock.bind(ABSTRACT_NAME)
    except OSError as error:
        if error.errno != errno.EADDRINUSE or _owner() in {None, os.geteuid()}:
            raise
    else:
        sock.listen(1)


def _owner() -> int | None:
    """The user id of whoever holds the name; None when it cannot be told."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock, suppress(OSError):
        sock.settimeout(1)
        sock.connect(ABSTRACT_NAME)
        _, user, _ = UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, UCRED.size))
        return int(user)
    return None


def _unusable(run_dir: Path, error: OSError) -> UsageError:
    reason = "it is a link, remove it" if error.errno == errno.ELOOP else f"{error.strerror}"
    return UsageError(f"{run_dir / LOCK_NAME} cannot be opened: {reason}")


def _until(deadline: float, take: Callable[[], object]) -> None:
    while True:
        try:
            take()
        except OSError as error:
            if error.errno not in TAKEN:
                raise UsageError(f"it cannot be told whether another dmsfw runs: {error.strerror}") from error
            if time.monotonic() >= deadline:
                raise Busy("another dmsfw holds this network namespace: stop it first, or wait with --wait") from error
            time.sleep(STEP_S)
        else:
            return
