"""The kernel's bells: files that somebody else writes, links and routes that change."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from dmsfw.observe import files as files_module
from dmsfw.observe import netlink as netlink_module
from dmsfw.observe import watch as subject
from dmsfw.observe.files import FileWatch, WatchRule
from dmsfw.observe.netlink import Netlink
from dmsfw.observe.watch import Watch
from tests.unit.observe_support import PATIENCE_S, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CLONE_NEWNET = 0x40000000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1


class Ears:
    """A file watch without a thread: `heard` drains it and tells what rang since the last time."""

    def __init__(self) -> None:
        self.rung: list[str] = []
        self.watch: FileWatch | None = None

    def rule(self, folder: Path, *names: str, ring: str = "rang", reads: bool = False) -> WatchRule:
        return WatchRule(folder, frozenset(names), partial(self.rung.append, ring), reads=reads)

    def listen(self, *rules: WatchRule) -> None:
        self.watch = FileWatch(rules)

    def heard(self) -> list[str]:
        assert self.watch is not None
        self.watch.drain()
        rung, self.rung[:] = list(self.rung), []
        return rung


@pytest.fixture
def ears() -> Iterator[Ears]:
    made = Ears()
    yield made
    if made.watch is not None:
        made.watch.close()


def by_rename(path: Path) -> None:
    (path.parent / ".dmsfw.uci-abc").write_text("x")
    (path.parent / ".dmsfw.uci-abc").rename(path)


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_text("x"),
        by_rename,
        lambda path: path.unlink(),
        lambda path: path.rename(path.parent / "dmsfw~"),
        lambda path: path.open("a").close(),
    ],
)
def test_every_way_to_change_a_configuration_rings_once(
    ears: Ears, tmp_path: Path, write: Callable[[Path], None]
) -> None:
    (tmp_path / "dmsfw").write_text("")
    ears.listen(ears.rule(tmp_path, "dmsfw", "network"))
    write(tmp_path / "dmsfw")
    assert ears.heard() == ["rang"]


def test_a_file_renamed_into_place_is_watched_from_then_on(ears: Ears, tmp_path: Path) -> None:
    ears.listen(ears.rule(tmp_path, "dmsfw"))
    for _ in range(3):
        by_rename(tmp_path / "dmsfw")
        assert ears.heard() == ["rang"]
        with (tmp_path / "dmsfw").open("a") as file:
            file.write("x")
        assert ears.heard() == ["rang"]


def test_files_of_other_names_and_mere_readers_do_not_ring(ears: Ears, tmp_path: Path) -> None:
    (tmp_path / "dmsfw").write_text("x")
    ears.listen(ears.rule(tmp_path, "dmsfw"))
    (tmp_path / "dhcp").write_text("x")
    (tmp_path / "dmsfw").read_text()
    assert ears.heard() == []


def test_a_mere_reader_that_ends_rings_where_the_rule_says_so_and_a_kept_open_one_does_not(
    ears: Ears, tmp_path: Path
) -> None:
    lock = tmp_path / "xtables.lock"
    lock.touch()
    ears.listen(ears.rule(tmp_path, "xtables.lock", reads=True), ears.rule(tmp_path, "fw3.state", ring="fw3"))
    with lock.open() as kept:
        for _ in range(3):
            fcntl.flock(kept, fcntl.LOCK_EX)
            fcntl.flock(kept, fcntl.LOCK_UN)
        assert ears.heard() == []
    assert ears.heard() == ["rang"]
    (tmp_path / "fw3.state").write_text("x")
    assert ears.heard() == ["fw3"]


def test_a_lock_file_that_is_removed_and_made_again_is_watched_again(ears: Ears, tmp_path: Path) -> None:
    lock = tmp_path / "xtables.lock"
    lock.touch()
    ears.listen(ears.rule(tmp_path, "xtables.lock", reads=True))
    lock.unlink()
    assert ears.heard() == ["rang"]
    lock.touch()
    assert ears.heard() == ["rang"]
    lock.read_text()
    assert ears.heard() == ["rang"]


def test_one_folder_by_two_names_is_one_folder(ears: Ears, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "var").symlink_to(tmp_path / "run")
    ears.listen(ears.rule(tmp_path / "run", "a", ring="run"), ears.rule(tmp_path / "var", "a", "b", ring="var"))
    (tmp_path / "run" / "a").touch()
    assert sorted(ears.heard()) == ["run", "var"]
    (tmp_path / "run" / "b").touch()
    assert ears.heard() == ["var"]


def test_a_folder_that_appears_rings_and_is_watched(ears: Ears, tmp_path: Path) -> None:
    folder = tmp_path / "late"
    ears.listen(ears.rule(folder, "docker.sock"))
    assert ears.watch is not None
    assert ears.watch.incomplete
    folder.mkdir()
    ears.watch.arm()
    ears.watch.call()
    assert (ears.heard(), ears.watch.incomplete) == (["rang"], False)
    (folder / "docker.sock").touch()
    assert ears.heard() == ["rang"]
    (folder / "docker.sock").unlink()
    ears.heard()
    folder.rmdir()
    assert (ears.heard(), ears.watch.incomplete) == (["rang"], True)


def test_a_name_that_cannot_be_decoded_rings_everything(ears: Ears, tmp_path: Path) -> None:
    ears.listen(ears.rule(tmp_path, "a", ring="a"), ears.rule(tmp_path, "b", ring="b"))
    (tmp_path / os.fsdecode(b"\xff\xfe")).touch()
    assert ears.heard() == ["a", "b"]


def test_an_overflow_rings_everything_and_watches_what_is_there_now(ears: Ears, tmp_path: Path) -> None:
    ears.listen(ears.rule(tmp_path, "a", ring="a", reads=True), ears.rule(tmp_path, "b", ring="b"))
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    for number in range(limit):
        os.close(os.open(tmp_path / f"{number % 7}", os.O_CREAT | os.O_RDONLY))
        os.unlink(tmp_path / f"{number % 7}")  # noqa: PTH108 - a hundred times faster
    (tmp_path / "a").touch()
    assert ears.heard() == ["a", "b"]
    (tmp_path / "a").read_text()
    assert ears.heard() == ["a"]


class Namespace:
    """A thread in a network namespace of its own, which can set its loopback up and down."""

    def __init__(self) -> None:
        self.netlink: Any = None
        self.jobs: list[Callable[[], object]] = []
        self.bell, self.done = threading.Semaphore(0), threading.Semaphore(0)
        self.failed: OSError | None = None
        threading.Thread(target=self._run, daemon=True).start()
        self.do(self._enter)

    def do(self, job: Callable[[], object]) -> None:
        self.jobs.append(job)
        self.bell.release()
        assert self.done.acquire(timeout=PATIENCE_S)
        if self.failed is not None:
            pytest.skip(f"no network namespace here: {self.failed}")

    def flip(self, times: int = 1) -> None:
        self.do(lambda: [_flip() for _ in range(times)])

    def _enter(self) -> None:
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "unshare")
        self.netlink = Netlink()

    def _run(self) -> None:
        while True:
            self.bell.acquire()
            if (job := self.jobs.pop()) is None:
                return
            try:
                job()
            except OSError as error:
                self.failed = error
            self.done.release()


def _flip() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        asked = fcntl.ioctl(sock, SIOCGIFFLAGS, struct.pack("16sH14x", b"lo", 0))
        (flags,) = struct.unpack_from("H", asked, 16)
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags ^ IFF_UP))


@pytest.fixture
def space() -> Iterator[Namespace]:
    made = Namespace()
    yield made
    made.netlink.close()
    made.jobs.append(None)  # type: ignore[arg-type]
    made.bell.release()


def test_a_link_that_changes_is_heard_and_silence_is_not(space: Namespace) -> None:
    assert space.netlink.drain() is False
    space.flip()
    assert space.netlink.drain() is True
    assert space.netlink.drain() is False


def test_news_beyond_the_buffer_are_heard_as_well(space: Namespace) -> None:
    space.netlink._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    space.flip(200)
    assert space.netlink.drain() is True
    assert space.netlink.drain() is False
    space.flip()
    assert space.netlink.drain() is True


def test_an_endless_storm_is_drained_in_portions(space: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(netlink_module, "AT_ONCE", 2)
    space.flip(5)
    assert space.netlink.drain() is True
    assert space.netlink.drain() is True


def test_one_thread_hears_files_and_links_and_pauses_in_a_storm(
    space: Namespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    monkeypatch.setattr(subject, "Netlink", lambda: space.netlink)
    watch = Watch([WatchRule(tmp_path, frozenset({"a"}), partial(heard.append, "file"))], partial(heard.append, "link"))
    watch.start()
    space.flip()
    until(lambda: heard == ["link"])
    (tmp_path / "a").touch()
    until(lambda: "file" in heard)
    until(lambda: watch._bells[0].rests_until is None)
    space.flip()
    until(lambda: heard.count("link") == 2)
    watch.stop()
    assert not watch._thread.is_alive()


def test_a_folder_that_is_made_later_is_found_by_the_slow_timer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    monkeypatch.setattr(subject, "RETRY_S", 0.01)
    watch = Watch([WatchRule(tmp_path / "late", frozenset({"a"}), partial(heard.append, "file"))], lambda: None)
    watch.start()
    (tmp_path / "late").mkdir()
    until(lambda: heard == ["file"])
    (tmp_path / "late" / "a").touch()
    until(lambda: len(heard) > 1)
    watch.stop()


def test_what_the_kernel_does_not_give_is_said_once_and_gone_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> Any:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(subject, "Netlink", refused)
    monkeypatch.setattr(files_module.pyinotify, "WatchManager", refused)
    with capture_logs() as said:
        watch = Watch([WatchRule(tmp_path, frozenset({"a"}), lambda: None)], lambda: None)
    watch.start()
    watch.stop()
    assert [line["event"] for line in said] == ["files are not watched", "links and routes are not watched"]


@pytest.mark.parametrize("refused", ["folder", "file"])
def test_watches_that_are_used_up_are_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str) -> None:
    """The kernel says ENOSPC; what is not there, on the other hand, is nobody's fault."""
    (tmp_path / "a").touch()
    add = files_module.pyinotify.WatchManager.add_watch

    def used_up(self: Any, path: str, *arguments: Any, **options: Any) -> Any:
        if path == str(tmp_path if refused == "folder" else tmp_path / "a"):
            return {path: -1}
        return add(self, path, *arguments, **options)

    monkeypatch.setattr(files_module.pyinotify.WatchManager, "add_watch", used_up)
    rules = [WatchRule(tmp_path, frozenset({"a", "not there"}), lambda: None)]
    with capture_logs() as said:
        watch = Watch([*rules, WatchRule(tmp_path / "nowhere", frozenset({"b"}), lambda: None)], lambda: None)
        watch._serve_files(watch._files, set())
        watch.start()
        watch.stop()
    assert [(line["event"], "max_user_watches" in line["error"]) for line in said] == [("files are not watched", True)]


def test_what_is_not_there_is_no_refusal(tmp_path: Path) -> None:
    with capture_logs() as said:
        watch = Watch([WatchRule(tmp_path / "nowhere", frozenset({"a"}), lambda: None)], lambda: None)
    watch.start()
    watch.stop()
    assert said == []


def test_a_netlink_socket_that_breaks_is_said_once_and_gone_without(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Broken(Netlink):
        def __init__(self) -> None:
            self._socket, self.other = socket.socketpair()
            self.other.send(b"x")

        def drain(self) -> bool:
            raise OSError(9, "Bad file descriptor")

    heard: list[str] = []
    monkeypatch.setattr(subject, "Netlink", Broken)
    with capture_logs() as said:
        watch = Watch(
            [WatchRule(tmp_path, frozenset({"a"}), partial(heard.append, "file"))], partial(heard.append, "link")
        )
        netlink: Any = watch._bells[0].netlink
        watch.start()
        until(lambda: heard == ["link"])
    (tmp_path / "a").touch()
    until(lambda: "file" in heard)
    watch.stop()
    netlink.other.close()
    assert [line["event"] for line in said] == ["links and routes are not watched"]
