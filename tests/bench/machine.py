"""On what it was measured: two runs compare only on the same processor, with as many cores, under the same kernel."""

from __future__ import annotations

import hashlib
import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path

from tests.lab import paths

BUSY = 0.5
"""A load average above this means that somebody else was at work when the run began."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine."""

    cpu: str
    cores: int
    kernel: str

    @property
    def key(self) -> str:
        """What identifies it."""
        return f"{self.cpu}, {self.cores} cores, Linux {self.kernel}"


def this() -> Machine:
    """The machine of now."""
    info = Path("/proc/cpuinfo").read_text("utf-8", "replace")
    named = re.search(r"^(?:model name|Model|cpu model)\s*:\s*(.+)$", info, flags=re.MULTILINE)
    return Machine(named[1].strip() if named else platform.machine(), os.cpu_count() or 1, platform.release())


def load() -> float:
    """The load of the last minute."""
    return os.getloadavg()[0]


def code() -> str:
    """What is measured: a digest of dmsfw's sources."""
    files = sorted((paths.ROOT / "daemon" / "dmsfw").rglob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]
