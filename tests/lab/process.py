"""A program that runs in the background of the router, and how to signal it, await it and read what it says."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

from tests.lab.errors import LabError
from tests.lab.wait import wait

Text = subprocess.CompletedProcess[str]
RUN_TIMEOUT_S = 60.0
"""No single command of the lab takes this long; one that does hangs."""

SHOWN = 4000
"""Characters of a log's end that an error message shows."""

SIGNALLED = 128
KEEP = 'exec 3>&2 2>/dev/null; (exec "$@" 2>&3 3>&-); exit $?'
"""Run in the background by a shell that only waits for it, and keeps its own remarks to itself.

Were it nsenter's own child, a SIGSTOP would stop nsenter too (it hands it on), and a stopped nsenter reaps nothing:
then the pid namespace could not end.
"""


def child_of(pid: int) -> int | None:
    """Return the only child of a process of this machine, or None while it has none."""
    with contextlib.suppress(OSError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(children[0]) if children else None
    return None


def state(pid: int) -> str:
    """Return the kernel's letter for a process's state (proc(5)), "" when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1]
    except OSError:
        return ""


class Running:
    """A program in the background of the router.

    `outer` is the nsenter that waits for it; signals go to the program itself, whose process id (this machine's view,
    good for os.kill and /proc) is `pid`. Its own part of the file `output` begins at byte `begin`.
    """

    def __init__(self, outer: subprocess.Popen[str], what: str, output: Path | None = None, begin: int = 0) -> None:
        self.outer, self.what, self.output = outer, what, output
        self._begin = begin
        self.pid = wait(self._inner, f"the start of {what}")

    def _inner(self) -> int | None:
        """Return the program's process id: the child of the shell that nsenter started."""
        if self.outer.poll() is not None:
            return self.outer.pid
        shell = child_of(self.outer.pid)
        return child_of(shell) if shell else None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program; none if it has ended. A stop is complete when this returns."""
        if self.outer.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)
        if number == signal.SIGSTOP:
            wait(lambda: state(self.pid) in ("T", ""), f"the stop of {self.what}")

    @property
    def returncode(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        return _as_popen(self.outer.poll())

    def wait(self, timeout: float = RUN_TIMEOUT_S) -> int:
        """Wait for its end and return the exit status. Raises: LabError after `timeout` seconds, with its output."""
        try:
            return _as_popen(self.outer.wait(timeout)) or 0
        except subprocess.TimeoutExpired:
            raise LabError(f"{self.what} still runs after {timeout:g} s\n{self.log()[-SHOWN:]}") from None

    def stop(self, timeout: float = RUN_TIMEOUT_S) -> int:
        """Send SIGTERM, wait for the end, return the exit status."""
        self.signal(signal.SIGTERM)
        return self._end(timeout)

    def kill(self) -> int:
        """Send SIGKILL, wait for the end, return the exit status."""
        self.signal(signal.SIGKILL)
        return self._end(RUN_TIMEOUT_S)

    def _end(self, timeout: float) -> int:
        status = self.wait(timeout)
        for stream in (self.outer.stdin, self.outer.stdout, self.outer.stderr):
            if stream:
                stream.close()
        return status

    def log(self) -> str:
        """Return what it has written so far, stdout and stderr together."""
        if self.output is None:
            return ""
        return self.output.read_bytes()[self._begin :].decode("utf-8", "replace")

    def wait_for(self, text: str, timeout: float = 20.0, *, times: int = 1) -> str:
        """Wait until its log holds a text `times` times; return the log. Raises: LabError with the log."""
        try:
            wait(lambda: self.log().count(text) >= times or self.returncode is not None, repr(text), timeout)
        except LabError as error:
            raise LabError(f"{self.what}: {error}\n{self.log()[-SHOWN:]}") from None
        if self.log().count(text) < times:
            raise LabError(f"{self.what} ended with {self.returncode} without {text!r}\n{self.log()[-SHOWN:]}")
        return self.log()


def _as_popen(status: int | None) -> int | None:
    """Return an exit status in which a signal is negative, as Popen has it; the shell says 128 + signal."""
    return SIGNALLED - status if status and status > SIGNALLED else status
