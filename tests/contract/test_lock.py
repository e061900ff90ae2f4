"""The xtables lock, beside other processes that hold it."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dmsfw.enforce import lock
from dmsfw.enforce.lock import XtablesLock, default_path
from dmsfw.errors import EnforceError

HOLDER = """
import fcntl, os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
fcntl.flock(fd, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""
PATIENCE_S = 10.0


@contextmanager
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until its input ends."""
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process


def is_free(path: Path) -> bool:
    fd = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(fd)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "xtables.lock"


def test_it_is_held_within_and_free_afterwards(path: Path) -> None:
    mine = XtablesLock(path)
    with mine.held():
        assert not is_free(path)
    assert is_free(path)
    assert path.stat().st_mode & 0o777 == 0o600
    mine.close()
    mine.close()


def test_it_is_free_after_a_fault(path: Path) -> None:
    mine = XtablesLock(path)
    with pytest.raises(RuntimeError), mine.held():
        raise RuntimeError
    assert is_free(path)
    mine.close()


def test_a_forked_child_does_not_keep_it(path: Path) -> None:
    mine = XtablesLock(path)
    with mine.held():
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        assert is_free(path)
    finally:
        child.kill()
        child.wait()
        mine.close()


def test_it_waits_for_another_holder_and_goes_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow: list[float] = []
    monkeypatch.setattr(lock, "POLL_S", 0.01)
    monkeypatch.setattr(lock, "SAY_AFTER_S", 0.02)
    with holder(path) as other:
        assert other.stdin

        def said(seconds: float) -> None:
            slow.append(seconds)
            assert other.stdin
            other.stdin.close()

        mine = XtablesLock(path, slow=said)
        with mine.held():
            assert not is_free(path)
    assert len(slow) == 1
    assert is_free(path)
    mine.close()


def test_a_wait_that_is_given_up_leaves_no_lock_behind(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "POLL_S", 0.01)
    stopping = threading.Event()
    stopping.set()
    mine = XtablesLock(path, stop=stopping.is_set)
    with holder(path), pytest.raises(EnforceError, match="gave up"), mine.held():
        pass
    deadline = time.monotonic() + PATIENCE_S
    while not is_free(path):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    with mine.held():
        assert not is_free(path)
    mine.close()


@pytest.mark.parametrize("why", ["never begins", "cannot be had"])
def test_a_thread_that_never_begins_is_not_waited_for(path: Path, monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    """Without memory a thread ends before its first line, and nothing tells of it."""

    def start(_function: object, _arguments: object) -> int:
        if why == "cannot be had":
            raise RuntimeError("can't start new thread")
        return 0

    mine = XtablesLock(path)
    with monkeypatch.context() as patched:
        patched.setattr(lock, "POLL_S", 0.01)
        patched.setattr(lock, "BEGIN_S", 0.03)
        patched.setattr(lock._thread, "start_new_thread", start)
        with holder(path), pytest.raises(EnforceError, match="no memory to wait"), mine.held():
            pass
    with mine.held():
        assert not is_free(path)
    mine.close()


def test_a_thread_that_begins_too_late_leaves_the_lock_alone(path: Path) -> None:
    begin: list[Callable[[], None]] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(lock._thread, "start_new_thread", lambda function, _: begin.append(function))
        queued = lock._Queued(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    assert queued.cancel()
    begin[0]()
    assert is_free(path)
    assert not queued.done.is_set()
    os.close(queued._fd)


def test_a_lock_that_comes_while_the_wait_is_given_up_is_taken(path: Path) -> None:
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    queued = lock._Queued(fd)
    assert queued.done.wait(PATIENCE_S)
    assert not queued.give_up()
    assert not is_free(path)
    os.close(fd)


def test_a_lock_file_that_was_made_again_is_opened_again(path: Path) -> None:
    mine = XtablesLock(path)
    with mine.held():
        pass
    path.unlink()
    path.touch()
    with mine.held():
        assert not is_free(path)
    path.unlink()
    with mine.held():
        assert not is_free(path)
    mine.close()


def test_a_lock_file_that_is_replaced_while_it_is_waited_for_keeps_nobody_out(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "POLL_S", 0.01)
    monkeypatch.setattr(lock, "SAY_AFTER_S", 0.02)
    with holder(path) as other:

        def replaced(_: float) -> None:
            path.unlink()
            path.touch()
            assert other.stdin
            other.stdin.close()

        mine = XtablesLock(path, slow=replaced)
        with mine.held():
            assert not is_free(path)
    mine.close()


@pytest.mark.parametrize("spoilt", ["folder", "link", "nowhere"])
def test_a_lock_that_cannot_be_had_is_a_clean_error(tmp_path: Path, spoilt: str) -> None:
    path = tmp_path / spoilt / "xtables.lock" if spoilt == "nowhere" else tmp_path / spoilt
    if spoilt == "folder":
        path.mkdir()
    if spoilt == "link":
        path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(EnforceError, match=r"the xtables lock .* cannot be taken"), XtablesLock(path).held():
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_a_fault_while_waiting_is_a_clean_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: int, how: int) -> None:
        if how & fcntl.LOCK_NB:
            raise BlockingIOError
        raise OSError(37, "No locks available")

    monkeypatch.setattr(lock.fcntl, "flock", refused)
    mine = XtablesLock(path)
    with pytest.raises(EnforceError, match="No locks available"), mine.held():
        pass
    mine.close()


def test_the_file_is_the_one_that_iptables_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XTABLES_LOCKFILE", raising=False)
    assert default_path() == Path("/run/xtables.lock")
    monkeypatch.setattr(Path, "is_dir", lambda _: False)
    assert default_path() == Path("/var/run/xtables.lock")
    monkeypatch.setenv("XTABLES_LOCKFILE", "/elsewhere/lock")
    assert default_path() == Path("/elsewhere/lock")


def test_iptables_waits_while_it_is_held(namespace: None) -> None:  # noqa: ARG001 - it is needed, not looked at
    mine = XtablesLock()
    with mine.held():
        command = ["iptables-legacy", "-w", "-A", "FORWARD", "-j", "DROP"]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.2)
    assert process.wait(PATIENCE_S) == 0
    mine.close()
