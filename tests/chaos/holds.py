"""How long dmsfw holds the xtables lock, seen from outside: strace notes the time of each flock, of nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

LOCK = "/run/xtables.lock"
LINE = re.compile(r"^(\d+)\s+(\d+\.\d+) (.*)$")
TAKEN = re.compile(rf"^flock\(\d+<{re.escape(LOCK)}>, LOCK_EX(?:\|LOCK_NB)?\) += 0")
GIVEN = re.compile(rf"^flock\(\d+<{re.escape(LOCK)}>, LOCK_UN")
WAITS = re.compile(rf"^flock\(\d+<{re.escape(LOCK)}>, LOCK_EX <unfinished")
COMES = re.compile(r"^<\.\.\. flock resumed>\) += 0")


def watched(trace: Path, argv: Sequence[str]) -> list[str]:
    """Return the command that runs a program and notes its locks; all other calls run at full speed."""
    return ["strace", "-f", "--seccomp-bpf", "-qq", "-ttt", "-y", "-e", "trace=flock", "-o", str(trace), *argv]


def holds(trace: Path) -> list[float]:
    """Return how long each hold lasted, in seconds."""
    return list(_holds(trace.read_text("utf-8", "replace").splitlines()))


def _holds(lines: Sequence[str]) -> Iterator[float]:
    since: float | None = None
    waiting: set[str] = set()
    for line in lines:
        match = LINE.match(line)
        if match is None:
            continue
        thread, at, what = match[1], float(match[2]), match[3]
        if WAITS.match(what):
            waiting.add(thread)
        elif TAKEN.match(what) or (thread in waiting and COMES.match(what)):
            waiting.discard(thread)
            since = at
        elif GIVEN.match(what) and since is not None:
            yield at - since
            since = None
