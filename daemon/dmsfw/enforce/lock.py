"""The xtables lock: every iptables-legacy process and firewall3 take it before they read a table.

1. Held from read to commit, and never while another process is waited for: an `iptables` without `-w` waits for ever
   (1.8.9) or fails at once (1.8.11) meanwhile.
2. One descriptor is kept open: locking it makes no noise for whoever watches the file, opening it anew does.
3. The file can be removed and made again; a lock on the old one keeps nobody out, so the inodes are compared.
4. Released by word (LOCK_UN): a forked child would keep a merely closed lock alive.
5. A thread may never begin, for lack of memory, and nobody tells; so it is not waited for without end.
"""

from __future__ import annotations

import _thread
import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dmsfw.errors import EnforceError

SAY_AFTER_S = 2.0
"""A wait that is worth a line in the log; firewall3 holds the lock for about 0.01 s a table."""

POLL_S = 0.2
"""How often a waiting pass looks whether it is to stop."""

BEGIN_S = 2.0
"""How long a new thread may take to begin: beside ten busy processes on one core it takes a tenth of that."""

NO_THREAD = "the xtables lock is held by somebody else, and there is no memory to wait for it"


def default_path() -> Path:
    """Where iptables has its lock: XTABLES_LOCKFILE, else in /run (on OpenWrt the same folder as /var/run)."""
    given = os.environ.get("XTABLES_LOCKFILE")
    if given:
        return Path(given)
    return Path("/run/xtables.lock") if Path("/run").is_dir() else Path("/var/run/xtables.lock")


class XtablesLock:
    """The lock, for one thread. `slow(seconds)` is called once when it takes long; `stop()` true gives the wait up."""

    def __init__(
        self,
        path: Path | None = None,
        slow: Callable[[float], None] = lambda _: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.path = path or default_path()
        self._slow, self._stop = slow, stop
        self._fd = -1

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock. Raises: EnforceError when it cannot be had, or when the wait was given up."""
        self._acquire()
        try:
            yield
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def close(self) -> None:
        """Forget the descriptor."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _acquire(self) -> None:
        try:
            while True:
                self._open()
                self._flock()
                if self._is_current():
                    return
                fcntl.flock(self._fd, fcntl.LOCK_UN)
        except OSError as error:
            raise EnforceError(f"the xtables lock {self.path} cannot be taken: {error.strerror}") from error

    def _open(self) -> None:
        if self._fd >= 0 and self._is_current():
            return
        self.close()
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def _is_current(self) -> bool:
        with suppress(FileNotFoundError):
            ours, there = os.fstat(self._fd), self.path.lstat()
            return (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino)
        return False

    def _flock(self) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._wait()

    def _wait(self) -> None:
        """Queue for the lock in a thread, so that this one can still be told to stop.

        Polling instead would starve beside writers that queue.
        """
        queued = _Queued(self._fd)
        waited = 0.0
        while not queued.done.wait(POLL_S):
            waited += POLL_S
            if SAY_AFTER_S <= waited < SAY_AFTER_S + POLL_S:
                self._slow(waited)
            if waited >= BEGIN_S and queued.cancel():
                raise EnforceError(NO_THREAD)
            if self._stop() and queued.give_up():
                self._fd = -1
                raise EnforceError("gave up waiting for the xtables lock")
        if queued.error:
            raise queued.error


class _Queued:
    """A thread that waits for the lock. `done` is set when the wait is over; `error` says that it ended badly.

    Raises: EnforceError when there is no thread to be had.
    """

    def __init__(self, fd: int) -> None:
        self.done = threading.Event()
        self.error: OSError | None = None
        self._fd = fd
        self._turn = threading.Lock()
        self._begun = self._given_up = self._cancelled = False
        try:
            # Thread.start() would wait for the thread to begin, for ever where it ends before that.
            _thread.start_new_thread(self._queue, ())
        except RuntimeError as error:
            raise EnforceError(NO_THREAD) from error

    def cancel(self) -> bool:
        """Tell a thread that has not begun that it must not; the descriptor is the caller's again. False: it has."""
        with self._turn:
            self._cancelled = not self._begun
        return self._cancelled

    def give_up(self) -> bool:
        """Leave the descriptor to the thread, which closes it once it has the lock. False: the wait is over."""
        with self._turn:
            self._given_up = not self.done.is_set()
        return self._given_up

    def _queue(self) -> None:
        with self._turn:
            self._begun = not self._cancelled
        if not self._begun:
            return
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX)
        except OSError as error:
            self.error = error
        with self._turn:
            self.done.set()
        if self._given_up:
            os.close(self._fd)
