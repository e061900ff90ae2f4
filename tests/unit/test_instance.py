"""One dmsfw per network namespace, with real processes. The name in the kernel is one of this test's own."""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from dmsfw import instance
from dmsfw.errors import Busy, UsageError
from dmsfw.instance import LOCK_NAME, is_running, only_one

NOBODY = 65534

HOLDER = """
import sys
from pathlib import Path
from dmsfw import instance
instance.ABSTRACT_NAME = "\\0" + sys.argv[1]
with instance.only_one(Path(sys.argv[2]), float(sys.argv[3])):
    print("held", flush=True)
    sys.stdin.read()
"""

SQUATTER = """
import os, socket, sys
os.setgroups([])
os.setgid(int(sys.argv[2]))
os.setuid(int(sys.argv[2]))
with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
    sock.bind("\\0" + sys.argv[1])
    sock.listen(1)
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def name(monkeypatch: pytest.MonkeyPatch) -> str:
    """A name that no other dmsfw of this machine has."""
    made = f"dmsfw-test-{secrets.token_hex(8)}"
    monkeypatch.setattr(instance, "ABSTRACT_NAME", f"\0{made}")
    return made


@contextmanager
def process(script: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A process that has said that it holds."""
    environment = {**os.environ, "PYTHONPATH": str(Path(instance.__file__).parents[1])}
    command = [sys.executable, "-c", script, *map(str, arguments)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment, **pipes) as started:  # type: ignore[call-overload]
        try:
            assert started.stdout is not None
            assert started.stdout.readline() == "held\n"
            yield started
        finally:
            started.kill()


def folder(parent: Path, name: str) -> Path:
    (parent / name).mkdir()
    return parent / name


def test_nothing_runs_in_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert not is_running(tmp_path / "absent")
    assert not is_running(tmp_path)


def test_whoever_is_the_only_one_is_seen_and_is_gone_afterwards(tmp_path: Path) -> None:
    with only_one(tmp_path, 0):
        assert is_running(tmp_path)
    assert not is_running(tmp_path)
    with only_one(tmp_path, 0):
        pass


def test_an_error_inside_lets_go(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), only_one(tmp_path, 0):
        raise ZeroDivisionError
    with only_one(tmp_path, 0):
        pass


def test_looking_does_not_disturb_whoever_runs(tmp_path: Path, name: str) -> None:
    with process(HOLDER, name, tmp_path, 0):
        assert all(is_running(tmp_path) for _ in range(100))
        with pytest.raises(Busy):
            only_one(tmp_path, 0).__enter__()


def test_whoever_only_looks_keeps_nobody_out(tmp_path: Path) -> None:
    """`status` and rpcd's plugin hold the lock for an instant; `clean` and `apply` do not wait for a daemon."""
    (tmp_path / LOCK_NAME).touch()
    with (tmp_path / LOCK_NAME).open() as looker:
        fcntl.flock(looker, fcntl.LOCK_SH)
        let_go = threading.Timer(0.1, fcntl.flock, (looker, fcntl.LOCK_UN))
        let_go.start()
        with only_one(tmp_path, 0):
            assert is_running(tmp_path)
        let_go.join()


def test_two_in_one_folder_are_one_too_many(tmp_path: Path, name: str) -> None:
    with process(HOLDER, name, tmp_path, 0):
        with pytest.raises(
            Busy, match="another dmsfw holds this network namespace: stop it first, or wait with --wait"
        ):
            only_one(tmp_path, 0).__enter__()
        assert is_running(tmp_path)


def test_two_in_different_folders_are_one_too_many_as_well(tmp_path: Path, name: str) -> None:
    with process(HOLDER, name, folder(tmp_path, "one"), 0):
        for _ in range(5):
            with pytest.raises(Busy):
                only_one(folder(tmp_path, secrets.token_hex(4)), 0).__enter__()
        assert not is_running(tmp_path)


def test_a_refused_one_lets_go_of_its_folder(tmp_path: Path, name: str) -> None:
    other = folder(tmp_path, "other")
    with process(HOLDER, name, folder(tmp_path, "one"), 0), pytest.raises(Busy):
        only_one(other, 0).__enter__()
    assert not is_running(other)


@pytest.mark.parametrize("run_dir", ["same", "other"])
def test_the_end_of_the_other_ends_the_wait_even_by_kill_9(tmp_path: Path, name: str, run_dir: str) -> None:
    mine = folder(tmp_path, "same")
    theirs = mine if run_dir == "same" else folder(tmp_path, "other")
    with process(HOLDER, name, theirs, 0) as holder:
        killer = threading.Timer(0.1, holder.kill)
        killer.start()
        with only_one(mine, 60):
            assert holder.wait(10) == -9
        killer.join()


@pytest.mark.parametrize("run_dir", ["same", "other"])
def test_a_wait_is_no_longer_than_it_was_told(tmp_path: Path, name: str, run_dir: str) -> None:
    mine = folder(tmp_path, "same")
    theirs = mine if run_dir == "same" else folder(tmp_path, "other")
    with process(HOLDER, name, theirs, 0) as holder:
        began = time.monotonic()
        with pytest.raises(Busy):
            only_one(mine, 0.2).__enter__()
        assert time.monotonic() - began >= 0.2
        assert holder.poll() is None


def test_a_lock_file_that_a_killed_one_left_is_taken_over(tmp_path: Path, name: str) -> None:
    with process(HOLDER, name, tmp_path, 0) as holder:
        holder.kill()
        holder.wait()
        assert (tmp_path / LOCK_NAME).exists()
        assert not is_running(tmp_path)
        with only_one(tmp_path, 0):
            assert is_running(tmp_path)


def test_whoever_waits_in_many_is_let_in_one_by_one(tmp_path: Path) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work(number: int) -> None:
        with only_one(folder(tmp_path, str(number)), 60):
            inside.append(number)
            most.append(len(inside))
            inside.remove(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 6


def test_a_lock_that_is_a_link_is_refused_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / LOCK_NAME).symlink_to(tmp_path / "victim")
    for enter in (lambda: only_one(tmp_path, 0).__enter__(), lambda: is_running(tmp_path)):
        with pytest.raises(UsageError, match="lock cannot be opened: it is a link, remove it"):
            enter()
    assert not (tmp_path / "victim").exists()


def test_a_folder_that_is_none_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be opened: Not a directory"):
        is_running(tmp_path / "file")
    with pytest.raises(UsageError, match="cannot be opened: No such file or directory"):
        only_one(tmp_path / "absent", 0).__enter__()


def test_a_lock_that_the_kernel_refuses_is_not_taken_for_somebody_elses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instance, "ABSTRACT_NAME", "/no/such/folder/name")
    began = time.monotonic()
    with pytest.raises(UsageError, match="cannot be told whether another dmsfw runs: No such file or directory"):
        only_one(tmp_path, 60).__enter__()
    assert time.monotonic() - began < 30


def test_everybody_may_see_who_runs_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        with only_one(tmp_path, 0):
            assert (tmp_path / LOCK_NAME).stat().st_mode & 0o777 == 0o644
    finally:
        os.umask(before)


def test_a_foreign_user_who_holds_the_name_keeps_nobody_out(tmp_path: Path, name: str) -> None:
    with process(SQUATTER, name, NOBODY):
        began = time.monotonic()
        with only_one(tmp_path, 60):
            assert time.monotonic() - began < 30
            assert is_running(tmp_path)


def test_our_own_user_who_holds_the_name_keeps_us_out(tmp_path: Path, name: str) -> None:
    with process(SQUATTER, name, os.geteuid()), pytest.raises(Busy):
        only_one(tmp_path, 0).__enter__()


def test_a_name_whose_holder_cannot_be_told_counts_as_ours(tmp_path: Path, name: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as silent:
        silent.bind(f"\0{name}")
        with pytest.raises(Busy):
            only_one(tmp_path, 0).__enter__()


def test_many_who_ask_in_vain_do_not_get_in(tmp_path: Path, name: str) -> None:
    with ExitStack() as stack:
        stack.enter_context(process(HOLDER, name, folder(tmp_path, "one"), 0))
        mine = folder(tmp_path, "mine")
        for _ in range(20):
            with pytest.raises(Busy):
                only_one(mine, 0).__enter__()
