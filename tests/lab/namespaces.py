"""Namespaces of its own for a lab: one holder, and everything else runs in what it holds.

The holder (inside/holder.sh, below a reaping init) owns a network, a mount and a pid namespace. Its life hangs on a
pipe that only the owner holds, so it ends when the owner does, however that happens, and with it every process, mount
and namespace. Folder and cgroups that a killed owner leaves are swept by the next start.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from tests.lab import paths
from tests.lab.entry import Inside
from tests.lab.errors import LabError
from tests.lab.folder import Folder, sweep
from tests.lab.process import Running, Text, child_of
from tests.lab.wait import wait

Self = TypeVar("Self", bound="Namespaces")
UNSHARE = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--")
END_S = 10.0
"""The kernel ends a pid namespace within milliseconds; longer means something hangs in the kernel."""
KEPT = ("TERM", "NO_COLOR", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", "COVERAGE_PROCESS_START")
"""All that the router's programs see of the caller's environment: the terminal, Python's and coverage's switches."""


class Namespaces:
    """A folder, a holder and its namespaces; a context manager."""

    _holder: subprocess.Popen[str] | None = None
    _folder: Folder | None = None
    _inside: Inside | None = None

    def __enter__(self: Self) -> Self:  # noqa: PYI019 - typing.Self is of Python 3.11
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Build it. Raises: LabError; the caller stops it then (the `with` statement does)."""
        if os.geteuid() != 0:
            raise LabError("the lab builds namespaces: run it as root")
        sweep()
        self._folder = Folder()
        self.folder = self._folder.path
        self.furnish()
        self._hold()

    def furnish(self) -> None:
        """Lay out in the folder what the holder needs; a subclass adds its own."""
        (self.folder / "etc" / "resolv.conf").touch()

    def path_folders(self) -> Sequence[Path]:
        """Return more folders for the router's PATH, behind the lab's own."""
        return ()

    def environment(self) -> dict[str, str]:
        """Return the environment of the router's programs."""
        path = [self.folder / "bin", *self.path_folders(), "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        return {name: os.environ[name] for name in KEPT if name in os.environ} | {
            "PATH": ":".join(map(str, path)),
            "HOME": str(self.folder / "home"),
            "LANG": "C.UTF-8",
            "LAB_FOLDER": str(self.folder),
        }

    def _hold(self) -> None:
        """Start the holder and wait until the namespaces are furnished."""
        init = [str(paths.program("tini-static")), "-s", "--"]
        script = ["/bin/sh", str(paths.INSIDE / "holder.sh"), str(self.folder)]
        holder = self._holder = subprocess.Popen(
            [*UNSHARE, *init, *script],
            env=self.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,  # a Ctrl-C in the terminal is the owner's to handle
        )
        assert holder.stdout is not None
        assert holder.stderr is not None
        if holder.stdout.readline() != "ready\n":
            holder.kill()
            raise LabError(f"the router's namespaces cannot be made: {holder.stderr.read().strip()}")
        pid = wait(lambda: child_of(holder.pid), "the holder")
        self._inside = Inside(pid, self.environment(), self.folder / "log")

    def stop(self) -> None:
        """End every process of the lab and remove what it made; harmless when it is stopped."""
        try:
            if self._holder:
                self._end(self._holder)
        finally:
            self._holder = self._inside = None
            folder, self._folder = self._folder, None
            if folder:
                folder.remove()

    def _end(self, holder: subprocess.Popen[str]) -> None:
        """Close the pipe that the holder lives by; kill it should that not do."""
        assert holder.stdin is not None
        holder.stdin.close()
        try:
            holder.wait(END_S)
        except subprocess.TimeoutExpired:
            holder.kill()
            holder.wait()
        for stream in (holder.stdout, holder.stderr):
            if stream:
                stream.close()
        if self._inside:
            self._inside.ended()

    @property
    def inside(self) -> Inside:
        """The way in. Raises: LabError when the lab does not run."""
        if self._inside is None:
            raise LabError("the lab does not run: use it in a `with` statement")
        return self._inside

    @property
    def pid(self) -> int:
        """The holder's process id as this machine sees it, for /proc/PID/ns and /proc/PID/root."""
        return self.inside.pid

    def path(self, inside: str) -> Path:
        """Return the way from outside to a file of the router, such as /run/dmsfw/status.json."""
        return Path(f"/proc/{self.pid}/root") / inside.lstrip("/")

    def run(self, argv: Sequence[str | Path], **options: Any) -> Text:
        """Run a program in the router: see Inside.run for check, text (stdin), timeout, netns and env."""
        return self.inside.run(argv, **options)

    def popen(self, argv: Sequence[str | Path], **options: Any) -> Running:
        """Start a program in the background: see Inside.popen for name, netns and env."""
        return self.inside.popen(argv, **options)

    def sh(self, script: str, **options: Any) -> Text:
        """Run a shell script in the router; its first failing command ends it."""
        return self.run(["/bin/sh", "-ec", script], **options)

    def command(self, argv: Sequence[str | Path], netns: str | None = None) -> tuple[list[str], Mapping[str, str]]:
        """Return argv and environment with which a program of one's own choice can be started in the router."""
        return self.inside.command(argv, netns), self.inside.environment
