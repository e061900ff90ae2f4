"""The folder and the cgroups of one lab, and the sweep of what a killed owner left.

A lab's folder is locked by its owner for as long as the owner lives, so a folder that can be locked has no owner: the
next start removes it, with the cgroups that bear its name.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.lab.wait import wait

TMP = Path("/tmp")
"""Not $TMPDIR, which may be long: the names of the unix sockets in it end at 107 bytes."""
PREFIX = "dmsfw-lab-"
CGROUPS = Path("/sys/fs/cgroup")
SUBFOLDERS = ("mnt", "bin", "etc/config", "fw3", "netifd", "home", "log", "docker")


class Folder:
    """A folder of its own below /tmp, locked while it is open."""

    def __init__(self) -> None:
        self.path, self._lock = _claim()
        for name in SUBFOLDERS:
            (self.path / name).mkdir(parents=True)

    @property
    def name(self) -> str:
        return self.path.name

    def remove(self) -> None:
        """Remove cgroups, folder and lock; every process of the lab must have ended."""
        try:
            remove_cgroups(self.name)
            shutil.rmtree(self.path)
        finally:
            os.close(self._lock)


def _claim() -> tuple[Path, int]:
    """Make and lock a folder; a sweep that comes between the two steps makes it try again."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=TMP))
        lock = _locked(path, fcntl.LOCK_EX)
        if lock is not None:
            return path, lock


def _locked(path: Path, how: int) -> int | None:
    """Return a descriptor that holds the folder's lock, or None if it is held or the folder is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, how)
        if path.stat().st_ino == os.fstat(descriptor).st_ino:
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None


def sweep() -> list[str]:
    """Remove what killed owners left; return the names of the folders that went."""
    return [path.name for path in TMP.glob(PREFIX + "*") if _swept(path)]


def _swept(path: Path) -> bool:
    descriptor = _locked(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if descriptor is None:
        return False
    try:
        remove_cgroups(path.name)
        shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(descriptor)
    return True


def cgroups(name: str) -> Iterator[Path]:
    """Yield the cgroups of a lab, in each hierarchy (version 1) or in the one (version 2), deepest first."""
    for top in (CGROUPS, *CGROUPS.glob("*/")):
        for folder, _, _ in os.walk(top / name, topdown=False):
            yield Path(folder)


def remove_cgroups(name: str) -> None:
    """End what still runs in a lab's cgroups, then remove them. Raises: NotYet."""
    for group in cgroups(name):
        _thaw(group)
    for group in cgroups(name):
        wait(lambda group=group: _removed(group), f"the end of the processes in {group}")  # type: ignore[misc]


def _removed(group: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        for pid in (group / "cgroup.procs").read_text().split():
            _kill(int(pid))
        group.rmdir()
    return True


def _thaw(group: Path) -> None:
    """Let what is frozen go on, as the holder does: it dies of no signal before (version 1, version 2)."""
    for name, word in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
        if (group / name).exists():
            with contextlib.suppress(OSError):
                (group / name).write_text(word)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
