"""The way into the namespaces of a lab: commands that run to their end, and programs in the background."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from tests.lab.errors import LabError
from tests.lab.process import KEEP, RUN_TIMEOUT_S, Running, Text, child_of


def _finish(outer: subprocess.Popen[str], argv: Sequence[str | Path], text: str, timeout: float) -> Text:
    """Return what a command did; when it takes too long or the caller is interrupted, end it, not only its nsenter."""
    try:
        stdout, stderr = outer.communicate(text, timeout)
    except BaseException as error:
        for pid in (child_of(outer.pid), outer.pid):
            if pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        if isinstance(error, subprocess.TimeoutExpired):
            raise LabError(f"{' '.join(map(str, argv))} took more than {timeout:g} s") from None
        raise
    return subprocess.CompletedProcess(list(map(str, argv)), outer.returncode, stdout, stderr)


class Inside:
    """Enters the namespaces of one holder."""

    def __init__(self, pid: int, environment: Mapping[str, str], logs: Path) -> None:
        self.pid, self.environment, self.logs = pid, dict(environment), logs
        self._started: list[Running] = []

    def command(self, argv: Sequence[str | Path], netns: str | None = None) -> list[str]:
        """Return the command that runs `argv` in the router, or in one of its other network namespaces."""
        enter = ["nsenter", "--target", str(self.pid), "--mount", "--pid", "--net"]
        if netns:
            enter += ["--", "nsenter", f"--net=/run/netns/{netns}"]
        return [*enter, "--", *map(str, argv)]

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        check: bool = True,
        text: str | None = None,
        timeout: float = RUN_TIMEOUT_S,
        netns: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Text:
        """Run a program to its end. Raises: LabError if it fails (unless check is False) or takes too long."""
        outer = subprocess.Popen(
            self.command(argv, netns),
            env=self.environment | dict(env or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )
        with outer:
            done = _finish(outer, argv, text or "", timeout)
        if check and done.returncode:
            raise LabError(f"{' '.join(map(str, argv))} ended with {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def popen(
        self,
        argv: Sequence[str | Path],
        *,
        name: str | None = None,
        netns: str | None = None,
        env: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Running:
        """Start a program in the background; its output goes to the lab's log/NAME unless the options say otherwise."""
        name = name or Path(argv[0]).name
        output: Path | None = None
        opened: IO[str] | None = None
        begin = 0
        if "stdout" not in options and "stderr" not in options:
            output = self.logs / name
            opened = output.open("a", encoding="utf-8")
            begin = opened.tell()
            options |= {"stdout": opened, "stderr": subprocess.STDOUT}
        options.setdefault("stdin", subprocess.DEVNULL)
        command = self.command(["/bin/sh", "-c", KEEP, "sh", *argv], netns)
        outer = subprocess.Popen(command, env=self.environment | dict(env or {}), encoding="utf-8", **options)
        if opened:
            opened.close()
        running = Running(outer, name, output, begin)
        self._started.append(running)
        return running

    def ended(self) -> None:
        """Collect all that was started in the background; the holder has ended, so they have too."""
        for running in self._started:
            running.kill()
