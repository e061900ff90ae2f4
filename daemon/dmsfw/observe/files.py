"""Files that somebody else writes, watched with inotify: a change of a name in a folder, and each close of the file.

1. The folder tells of files that are made, renamed into place (editors, `uci commit`) or removed; it is not asked for
   closes, which in /run would be everybody's.
2. The file tells when a writer closes it, and, where a rule says so, a reader too: iptables opens its lock file without
   writing and closes it when it ends.
3. A folder that is not there is tried again by the caller's slow timer; once there, its rules are rung.
4. An overflow, or a name that cannot be decoded, rings everything.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyinotify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

FOLDER_MASK: Final[int] = (
    pyinotify.IN_CREATE | pyinotify.IN_MOVED_TO | pyinotify.IN_MOVED_FROM | pyinotify.IN_DELETE
    | pyinotify.IN_DELETE_SELF | pyinotify.IN_MOVE_SELF | pyinotify.IN_ONLYDIR
)  # fmt: skip
APPEARS: Final[int] = pyinotify.IN_CREATE | pyinotify.IN_MOVED_TO
VANISHES: Final[int] = pyinotify.IN_DELETE | pyinotify.IN_MOVED_FROM
FOLDER_GONE: Final[int] = pyinotify.IN_DELETE_SELF | pyinotify.IN_MOVE_SELF | pyinotify.IN_IGNORED

# It has a handler of its own for stderr, and an opinion on every folder that is not there.
logging.getLogger("pyinotify").setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class WatchRule:
    """Call `callback` when one of `names` in `folder` changes. `reads`: also when a mere reader closes it."""

    folder: Path
    names: frozenset[str]
    callback: Callable[[], None]
    reads: bool = False


class FileWatch:
    """An inotify instance for a set of rules. For one thread, which polls `fileno()`, except for the constructor.

    `refused`: something that is there could not be watched, for fs.inotify.max_user_watches are in use.

    Raises: OSError when the kernel gives no instance (fs.inotify.max_user_instances).
    """

    def __init__(self, rules: Sequence[WatchRule]) -> None:
        self._rules = tuple(rules)
        self._manager = pyinotify.WatchManager()
        self._notifier = pyinotify.Notifier(self._manager, default_proc_fun=self._heard)
        self._folders: dict[int, str] = {}
        self._files: dict[int, tuple[str, str]] = {}
        self._rung: dict[WatchRule, None] = {}
        self.refused = False
        self.arm()
        self._rung.clear()

    @property
    def incomplete(self) -> bool:
        """Whether a folder is not there: call `arm` now and then."""
        return any(_real(rule.folder) not in self._folders.values() for rule in self._rules)

    def fileno(self) -> int:
        """For poll()."""
        fd: int = self._manager.get_fd()
        return fd

    def arm(self) -> None:
        """Watch the folders that are there and not watched yet, and ring their rules."""
        for each in self._rules:
            folder = _real(each.folder)
            if folder not in self._folders.values() and (wd := self._add(folder, FOLDER_MASK)) is not None:
                self._folders[wd] = folder
                self._ring(rule for rule in self._rules if _real(rule.folder) == folder)
                self._arm_files(folder)

    def drain(self) -> None:
        """Read what has happened and call each rule's callback once."""
        # A read without news would block, whatever poll() has said before.
        if not self._notifier.check_events(timeout=0):
            return
        try:
            self._notifier.read_events()
        except (UnicodeDecodeError, pyinotify.NotifierError):
            # The rest of that batch is lost with it.
            self._ring(self._rules)
        self._notifier.process_events()
        self.call()

    def call(self) -> None:
        """Call the callbacks of the rules that were rung."""
        rung, self._rung = self._rung, {}
        for rule in rung:
            rule.callback()

    def close(self) -> None:
        """Give the instance back."""
        self._notifier.stop()

    def _add(self, path: str, mask: int) -> int | None:
        wd: int = self._manager.add_watch(path, mask, quiet=True).get(path, -1)
        self.refused = self.refused or (wd < 0 and os.path.exists(path))  # noqa: PTH110 - the path is text here
        return wd if wd >= 0 else None

    def _arm_files(self, folder: str) -> None:
        for rule in self._rules:
            if _real(rule.folder) == folder:
                for name in rule.names:
                    self._arm_file(folder, name)

    def _arm_file(self, folder: str, name: str) -> None:
        """Watch the file that has this name now."""
        reads = any(rule.reads for rule in self._concerned(folder, name))
        mask = pyinotify.IN_CLOSE_WRITE | (pyinotify.IN_CLOSE_NOWRITE if reads else 0)
        self._disarm_file(folder, name)
        if (wd := self._add(str(Path(folder, name)), mask)) is not None:
            self._files[wd] = (folder, name)

    def _disarm_file(self, folder: str, name: str) -> None:
        for wd in [wd for wd, place in self._files.items() if place == (folder, name)]:
            del self._files[wd]
            self._manager.rm_watch(wd)

    def _heard(self, event: pyinotify.Event) -> None:
        wd = getattr(event, "wd", None)
        if event.mask & pyinotify.IN_Q_OVERFLOW or wd is None:
            self._overflowed()
        elif wd in self._folders:
            self._heard_folder(wd, event)
        elif wd in self._files:
            folder, name = self._files[wd]
            if event.mask & pyinotify.IN_IGNORED:
                del self._files[wd]
            self._ring(self._concerned(folder, name))

    def _heard_folder(self, wd: int, event: pyinotify.Event) -> None:
        folder = self._folders[wd]
        if event.mask & FOLDER_GONE:
            del self._folders[wd]
            self._manager.rm_watch(wd)
            self._ring(rule for rule in self._rules if _real(rule.folder) == folder)
            return
        name = getattr(event, "name", "")
        concerned = self._concerned(folder, name)
        if concerned and event.mask & APPEARS:
            self._arm_file(folder, name)
        elif concerned and event.mask & VANISHES:
            self._disarm_file(folder, name)
        self._ring(concerned)

    def _overflowed(self) -> None:
        """Events were lost, so files may be others than those that are watched."""
        for folder in list(self._folders.values()):
            self._arm_files(folder)
        self._ring(self._rules)

    def _concerned(self, folder: str, name: str) -> list[WatchRule]:
        return [rule for rule in self._rules if _real(rule.folder) == folder and name in rule.names]

    def _ring(self, rules: Iterable[WatchRule]) -> None:
        self._rung.update(dict.fromkeys(rules))


def _real(folder: Path) -> str:
    """The folder itself: /var/run and /run are the same one, and inotify has one watch for it."""
    return os.path.realpath(folder)
