"""How the host is asked: programs that only read, and files below /proc."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import NamedTuple, Protocol

NO_NFTABLES = ("Invalid argument", "Operation not supported", "Protocol not supported")
"""How nft and iptables-nft say that the kernel has no nftables: nfnetlink knows nobody of that number."""

TIMEOUT_S = 10.0
"""Longest that a program may take: 10,000 rules are listed in 0.05 s, on a slow router in 1 s."""


class Said(NamedTuple):
    """What a program said. `code` None: there is none of that name, or it gave no answer in time (`err` says which)."""

    code: int | None
    out: str = ""
    err: str = ""

    @property
    def complaint(self) -> str:
        """The last line of what it complained of."""
        lines = self.err.strip().splitlines()
        return lines[-1] if lines else ""

    @property
    def is_missing(self) -> bool:
        """There is no such program."""
        return self.code is None and not self.err

    @property
    def lacks_nftables(self) -> bool:
        """The program asks nftables, and the kernel has none."""
        return self.code not in {0, None} and any(words in self.err for words in NO_NFTABLES)


class Shell(Protocol):
    """Where questions go."""

    def run(self, *command: str) -> Said:
        """Ask a program. Never raises."""

    def read(self, path: str) -> str | None:
        """The text of a file; None when it cannot be read."""


class ThisShell:
    """The network namespace of this process."""

    def run(self, *command: str) -> Said:
        """Ask a program. Never raises."""
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                timeout=TIMEOUT_S,
                check=False,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "LC_ALL": "C"},
            )
        except FileNotFoundError:
            return Said(None, err="")
        except (OSError, subprocess.SubprocessError) as error:
            return Said(None, err=f"{command[0]}: {error}")
        return Said(done.returncode, *(text.decode(errors="replace") for text in (done.stdout, done.stderr)))

    def read(self, path: str) -> str | None:
        """The text of a file; None when it cannot be read."""
        try:
            return Path(path).read_text(errors="replace")
        except OSError:
            return None
