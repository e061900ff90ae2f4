"""A change is made: by `uci` where there is one, else in one step by a file of the same mode and owner.

1. Nothing is written when the file is not the one any more from which the change was computed; one dmsfw at a time
   looks and writes.
2. `uci commit` would commit whatever else waits in its own list: while anything does, nothing is written.
3. What stands in the file afterwards is read again; if it means anything else than was said, the old text comes back.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from dmsfw.config import settings_of, text_of
from dmsfw.edit.change import Change
from dmsfw.edit.steps import Argv
from dmsfw.errors import Refused, SettingsError
from dmsfw.report.text import clean

UCI_TIMEOUT_S = 10.0
"""How long one call of `uci` may take; it waits for whoever holds the file."""

UCI_FOLDER = Path("/etc/config")
"""Where `uci` looks without being told."""

_PACKAGE = re.compile(r"[A-Za-z0-9_-]+")
"""Files that `uci` can name (libuci, uci_validate_package)."""


def uci_for(path: Path) -> str | None:
    """Return the program `uci` where there is one, and where it can name the file; else None."""
    return shutil.which("uci") if _PACKAGE.fullmatch(path.name) else None


def write(path: Path, change: Change, uci: str | None) -> None:
    """Make the change in `path`, by the program `uci` unless that is None.

    Raises: Refused, and then the file is as it was; SettingsError when it cannot be read.
    """
    with _alone(path.parent):
        if text_of(path) != change.before:
            raise Refused(f"{path} was changed meanwhile: look again, and run it once more")
        if uci is None:
            _replace(path, change.after)
            return
        _by_uci(path, change, uci)
        if not _means(path, change):
            _replace(path, change.before)
            raise Refused(f"uci wrote something else than was said into {path}: the old text is back; edit it by hand")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one dmsfw at a time look at the file and write it: another's change would be lost with the old text."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        yield  # whatever is wrong with it is said by who reads the file
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _by_uci(path: Path, change: Change, uci: str) -> None:
    """Raises: Refused; what was said to uci is taken back."""
    package = path.name
    folder = () if path.parent == UCI_FOLDER else ("-c", str(path.parent))
    program = (uci, *folder)
    if waiting := _run(program, ("changes", package)).strip():
        first = clean(waiting.splitlines()[0])
        raise Refused(
            f"changes of {package} wait in uci ({first}): `uci commit {package}` or `uci revert {package}` first"
        )
    try:
        for call in (*change.calls(package), ("commit", package)):
            _run(program, call)
    except BaseException:
        with suppress(Refused):
            _run(program, ("revert", package))
        raise


def _run(program: Sequence[str], call: Argv) -> str:
    """Raises: Refused, with what uci says."""
    try:
        done = subprocess.run(
            [*program, *call],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=UCI_TIMEOUT_S,
            encoding="utf-8",
            errors="backslashreplace",
        )
    except subprocess.TimeoutExpired:
        raise Refused(f"uci {call[0]} did not end within {UCI_TIMEOUT_S:g} s") from None
    except OSError as error:
        raise Refused(f"uci cannot be run: {error.strerror}") from None
    if done.returncode:
        raise Refused(f"uci {clean(' '.join(call))}: {clean(done.stderr.strip() or 'it failed')}")
    return done.stdout


def _means(path: Path, change: Change) -> bool:
    try:
        return settings_of(text_of(path)) == change.settings
    except SettingsError:
        return False


def _replace(path: Path, text: str) -> None:
    """Put `text` in place of the file, a link's target where it is one, and see it onto the disk. Raises: Refused."""
    try:
        target = path.resolve(strict=True)
        temporary = target.parent / f".{target.name}.{secrets.token_hex(6)}.tmp"
        try:
            _filled(temporary, text, target.stat())
            temporary.rename(target)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        _sync(target.parent)
    except OSError as error:
        hint = ": run this as root" if isinstance(error, PermissionError) else ""
        raise Refused(f"{path} cannot be written ({error.strerror}){hint}") from error


def _filled(temporary: Path, text: str, like: os.stat_result) -> None:
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(text.encode("utf-8", "surrogateescape"))
        file.flush()
        if (like.st_uid, like.st_gid) != (os.geteuid(), os.getegid()):
            os.fchown(file.fileno(), like.st_uid, like.st_gid)
        os.fchmod(file.fileno(), like.st_mode & 0o7777)
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    """See a rename onto the disk. It is done; where a file system cannot be told, it gets there by itself."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
