"""Counts the commits of single passes, from outside: setsockopt(IPT_SO_SET_REPLACE) in a trace."""

from __future__ import annotations

import re
import shutil
from collections import Counter

from tests.bench.stage import ENVIRONMENT, program
from tests.lab import Router

MARK = re.compile(r'write\(999, "(\w+)"')
COMMIT = re.compile(r'setsockopt\(\d+, SOL_IP(V6)?, (?:IP6?T_SO_SET_REPLACE|0x40|64)[^,]*, "?(\w*)')
TRACE = "/run/steps.trace"


def available() -> bool:
    """Tell whether there is an strace."""
    return shutil.which("strace") is not None


def commits(router: Router, networks: int, foreign: int) -> dict[str, Counter[str]]:
    """Commits by step, and in each by family and table: {"added": {"4 filter": 1, "4 nat": 1}}."""
    strace = ["strace", "-f", "-e", "trace=write,setsockopt", "-o", TRACE]
    router.run([*strace, *program("steps", networks, foreign)], env=ENVIRONMENT, timeout=600)
    found: dict[str, Counter[str]] = {}
    step: Counter[str] = Counter()
    for line in router.path(TRACE).read_text("utf-8", "replace").splitlines():
        if mark := MARK.search(line):
            step = found.setdefault(mark[1], Counter())
        elif commit := COMMIT.search(line):
            step[f"{6 if commit[1] else 4} {commit[2] or 'table'}"] += 1
    return found
