"""Deaths at an exact place: strace records what a program does, and kills it before its n-th call of a name.

Traps, each seen: strace counts per system call and per thread, so a place is (name, n) of one thread; `when=N` on a
set of calls is not the N-th call of the set; with `--seccomp-bpf` the signal is dropped in silence.
Without -f only the main thread is traced, the one that writes to the firewall: a kill there ends the whole program.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

CHANGING = frozenset(
    {"setsockopt", "rename", "renameat", "renameat2", "unlink", "unlinkat", "write", "pwrite64", "writev", "flock"}
    | {"bind", "listen", "mkdir", "mkdirat", "fchmod", "ftruncate", "link", "symlink", "sendto", "sendmsg"}
)
"""Calls that change something outside of the program."""
OPENS = frozenset({"open", "openat", "creat"})
FOR_WRITING = re.compile(r"O_WRONLY|O_RDWR|O_CREAT")
NEVER = frozenset({"execve", "exit", "exit_group", "rt_sigreturn", "restart_syscall", "arch_prctl", "brk"})
"""Calls before which nothing has begun or all is over, or that strace does not count as it shows them."""
CALL = re.compile(r"^(\w+)\(")


@dataclass(frozen=True, order=True)
class Place:
    """Right before the n-th call of a name in its thread. `shown`: how the call looked when it was recorded."""

    name: str
    n: int
    shown: str = ""

    def __str__(self) -> str:
        return f"{self.name}#{self.n} {self.shown}"


def record(trace: Path, argv: Sequence[str]) -> list[str]:
    """Return the command that runs a program and writes down the calls of its main thread."""
    return ["strace", "-o", str(trace), *argv]


def record_threads(trace: Path, argv: Sequence[str]) -> list[str]:
    """Return the command that writes down each thread's calls in a file of its own, TRACE.ID."""
    return ["strace", "-ff", "-o", str(trace), *argv]


def killing(place: Place, argv: Sequence[str], *, threads: bool = False) -> list[str]:
    """Return the command that runs a program and kills it at a place."""
    follow = ["-f"] if threads else []
    inject = [f"-etrace={place.name}", f"-einject={place.name}:signal=KILL:when={place.n}"]
    return ["strace", "-qq", *follow, "-o", "/dev/null", *inject, *argv]


def places(trace: Path) -> tuple[list[Place], list[Place]]:
    """Return the places of a trace: those that change the outside, and all others from the first of ours on."""
    counts: Counter[str] = Counter()
    changing, others = [], []
    begun = False
    for line in trace.read_text("utf-8", "replace").splitlines():
        match = CALL.match(line)
        if match is None or match[1] in NEVER:
            continue
        name = match[1]
        counts[name] += 1
        place = Place(name, counts[name], line[len(name) : len(name) + 60])
        begun = begun or "/run/dmsfw" in line
        if name in CHANGING or (name in OPENS and FOR_WRITING.search(line)):
            changing.append(place)
        elif begun:
            others.append(place)
    return changing, others


def sampled(found: Iterable[Place], count: int, dice: random.Random) -> list[Place]:
    """Return `count` of the places at random, each kind of call as likely as any other, sorted."""
    kinds: dict[str, list[Place]] = {}
    for place in found:
        kinds.setdefault(place.name, []).append(place)
    chosen: set[Place] = set()
    total = sum(map(len, kinds.values()))
    while len(chosen) < min(count, total):
        chosen.add(dice.choice(kinds[dice.choice(sorted(kinds))]))
    return sorted(chosen)
