"""Runs nft. What goes in is JSON, never nft's text: a name in it is a value there and cannot become a rule."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import IO

from dmsfw.errors import EnforceError, TableChanged, TableRefused
from dmsfw.firewall4 import FAMILY, TABLE
from dmsfw.firewall4.keys import Json

TIMEOUT_S = 10.0
"""A transaction takes milliseconds; somebody's huge set in the same table, a second. More than this hangs."""

POLL_S = 0.25
"""How often a pass that waits for nft looks whether it is to stop."""

LIMIT = 200
"""Characters of nft's own words that an error repeats."""

NOT_PLAIN = re.compile(r"[^ -~]")

NO_JSON = "JSON support not compiled-in"

NOT_INSTALLED = "nft is not installed: opkg install nftables-json"

LOST_RACES = (
    "No such file or directory",
    "File exists",
    "Device or resource busy",
    "Interrupted system call",
    "Resource temporarily",
)
"""What a transaction says when somebody else's has come before it."""

NFTS_OWN = "Error: "
"""Stands before nft's own words; a loader's or a shell's are others."""


NO_SUCH_SETS = ("Operation not supported", "Invalid argument")
"""What a kernel says to a kind of set that it does not know."""


class NotSupported(TableRefused):
    """The kernel does not know it; sets with ranges in concatenations came with Linux 5.6."""


class Nft:
    """The program, found on the PATH. `stop()` true gives up waiting for one that takes long."""

    def __init__(self, stop: Callable[[], bool] = lambda: False) -> None:
        self._stop = stop

    def table(self) -> str:
        """firewall4's table with all in it, as JSON. Raises: EnforceError.

        Whether there is one is asked of the kernel: a loader that lacks a library uses nft's words for a missing table.
        """
        done = self._run("-p", "list", "table", FAMILY, TABLE)
        if done.returncode:
            raise _fault(done, writes=False)
        return done.stdout

    def sets(self, names: Sequence[str]) -> str:
        """Some sets of this table with all in them: one JSON document behind the other. Raises: EnforceError.

        One process each: nft 1.0.6 finds only one of several in one go.
        """
        found = [self._run("-p", "list", "set", FAMILY, TABLE, name) for name in names]
        for done in found:
            if done.returncode:
                raise _fault(done, writes=True)
        return "".join(done.stdout for done in found)

    def commit(self, commands: Sequence[Json]) -> None:
        """Carry out all the commands in one transaction, or none of them.

        Raises: TableChanged when what they are about is no more as it was; NotSupported; TableRefused.
        """
        done = self._run("-f", "-", text=json.dumps({"nftables": list(commands)}))
        if done.returncode:
            raise _fault(done, writes=True)

    def _run(self, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        argv = ["nft", "-j", *arguments]
        try:
            with _lying_there(text) as given, _begun(argv, given) as process:
                try:
                    out, err = self._waited_for(process)
                finally:
                    process.kill()
                return subprocess.CompletedProcess(argv, process.returncode, out, err)
        except FileNotFoundError as error:
            raise TableRefused(NOT_INSTALLED) from error
        except OSError as error:
            raise TableRefused(f"nft cannot be run: {error.strerror}") from error

    def _waited_for(self, process: subprocess.Popen[str]) -> tuple[str, str]:
        """What it said until its end. Raises: TableRefused when that takes too long."""
        for _ in range(round(TIMEOUT_S / POLL_S)):
            with suppress(subprocess.TimeoutExpired):
                return process.communicate(timeout=POLL_S)
            if self._stop():
                raise TableRefused("gave up waiting for nft")
        raise TableRefused(f"nft does not answer within {TIMEOUT_S:g} s")


def _lying_there(text: str) -> IO[bytes]:
    """A file in memory to be read from its beginning: a pipe would have to be fed while its end is waited for."""
    given = os.fdopen(os.memfd_create("dmsfw"), "w+b")
    given.write(text.encode())
    given.seek(0)
    return given


def _begun(argv: Sequence[str], given: IO[bytes]) -> subprocess.Popen[str]:
    """Raises: OSError."""
    return subprocess.Popen(
        argv,
        stdin=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, "LC_ALL": "C"},
    )


def _fault(done: subprocess.CompletedProcess[str], *, writes: bool) -> EnforceError:
    said = done.stderr
    if NO_JSON in said:
        return TableRefused("this nft speaks no JSON: opkg install nftables-json (in place of nftables-nojson)")
    if writes and NFTS_OWN in said and any(words in said for words in LOST_RACES):
        return TableChanged(f"table {FAMILY} {TABLE} was written meanwhile: {_first_line(said)}")
    if any(words in said for words in NO_SUCH_SETS):
        return NotSupported(f"this kernel does not take it: {_first_line(said)}")
    if "Operation not permitted" in said:
        return TableRefused(
            f"not permitted to {'write' if writes else 'read'} table {FAMILY} {TABLE}: "
            "run dmsfw as root; or another program owns the table"
        )
    return TableRefused(f"nft: {_first_line(said) or f'it ended with {done.returncode}'}")


def _first_line(said: str) -> str:
    line = next((line for line in said.splitlines() if line.strip()), "")
    return NOT_PLAIN.sub("?", line.rpartition(NFTS_OWN)[2].strip())[:LIMIT]
