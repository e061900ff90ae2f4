"""A change is made whole or not at all, by uci or in the file itself."""

from __future__ import annotations

import fcntl
import os
import stat
import sys
from pathlib import Path

import pytest

from dmsfw.config import settings_of
from dmsfw.edit import allow, comments, deny, uci_for, write, writing
from dmsfw.edit.change import Change
from dmsfw.errors import Refused
from tests.unit.config_support import ROOT
from tests.unit.edit_support import PLAIN, TEXT, WEB, wish

UCI = ROOT / "tests/e2e/uci.py"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config" / "dmsfw"
    path.parent.mkdir()
    path.write_text(TEXT, "utf-8")
    return path


def program(folder: Path, script: str) -> str:
    path = folder / "uci"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def uci(tmp_path: Path) -> str:
    return program(tmp_path, f'UCI_STAGED={tmp_path}/staged exec "{sys.executable}" -I -S "{UCI}" "$@"')


def added(text: str = TEXT) -> Change:
    return allow(text, wish(WEB, "465,587"))


def refusal(path: Path, change: Change, by: str | None) -> str:
    before = path.read_bytes()
    with pytest.raises(Refused) as refused:
        write(path, change, by)
    assert path.read_bytes() == before
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    return str(refused.value)


def test_one_dmsfw_at_a_time_writes(file: Path, tmp_path: Path, uci: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    replace = writing._replace

    def looks(path: Path, text: str) -> None:
        seen.append(is_taken(file.parent))
        replace(path, text)

    monkeypatch.setattr(writing, "_replace", looks)
    write(file, added(), None)
    (tmp_path / "other").mkdir()
    other = program(tmp_path / "other", f'flock -n "{file.parent}" true && touch "{tmp_path}/free"; exec "{uci}" "$@"')
    write(file, deny(file.read_text("utf-8"), wish(WEB, "587")), other)
    assert (seen, (tmp_path / "free").exists(), is_taken(file.parent)) == ([True], False, False)
    assert "587" not in file.read_text("utf-8")


def is_taken(folder: Path) -> bool:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def test_the_file_itself_keeps_its_comments_mode_and_owner(file: Path) -> None:
    file.chmod(0o640)
    os.chown(file, 12, 34) if os.geteuid() == 0 else None
    before = file.stat()
    write(file, added(), None)
    assert file.read_text("utf-8") == added().after
    after = file.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino
    assert [one.name for one in file.parent.iterdir()] == ["dmsfw"]


def test_a_link_stays_one_and_its_target_is_written(tmp_path: Path, file: Path) -> None:
    target = file.rename(tmp_path / "elsewhere")
    file.symlink_to(target)
    write(file, added(), None)
    assert file.is_symlink()
    assert target.read_text("utf-8") == added().after


def test_bytes_that_are_no_text_stay_as_they_are(file: Path) -> None:
    file.write_bytes(TEXT.encode() + b"# caf\xe9\n")
    write(file, added(file.read_bytes().decode("utf-8", "surrogateescape")), None)
    assert b"# caf\xe9\n" in file.read_bytes()


def test_by_uci_the_meaning_is_the_same_and_the_comments_go(file: Path, uci: str) -> None:
    write(file, added(), uci)
    text = file.read_text("utf-8")
    assert settings_of(text) == added().settings
    assert comments(text) == 0 < comments(TEXT)
    write(file, deny(text, wish(WEB, "465")), uci)
    write(file, deny(file.read_text("utf-8"), wish(WEB)), uci)
    assert settings_of(file.read_text("utf-8")) == settings_of(TEXT)


@pytest.mark.parametrize("by_uci", [True, False])
def test_a_file_that_changed_meanwhile_is_left_alone(file: Path, uci: str, *, by_uci: bool) -> None:
    change = added()
    file.write_text(TEXT + "# somebody else\n", "utf-8")
    assert "was changed meanwhile" in refusal(file, change, uci if by_uci else None)


def test_what_waits_in_uci_is_not_committed_along_with_it(file: Path, uci: str, tmp_path: Path) -> None:
    os.spawnl(os.P_WAIT, uci, uci, "-c", str(file.parent), "set", "dmsfw.everything.enabled=1")
    waiting = (tmp_path / "staged.dmsfw").read_text()
    assert "wait in uci (dmsfw.everything.enabled='1'): `uci commit dmsfw` or" in refusal(file, added(), uci)
    assert (tmp_path / "staged.dmsfw").read_text() == waiting


def test_a_uci_that_fails_in_the_middle_leaves_nothing_waiting(file: Path, uci: str, tmp_path: Path) -> None:
    failing = tmp_path / "failing"
    failing.mkdir()
    by = program(failing, f'case "$*" in *dest_port*) echo "uci: I/O error" >&2; exit 1;; esac; exec "{uci}" "$@"')
    assert "dest_port=465,587: uci: I/O error" in refusal(file, added(), by)
    assert not (tmp_path / "staged.dmsfw").exists()


def test_a_uci_that_writes_something_else_is_undone(file: Path, uci: str, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    by = program(other, f'"{uci}" "$@" && case "$*" in *commit*) echo "config egress x" >>"{file}";; esac')
    assert "uci wrote something else than was said" in refusal(file, added(), by)


def test_a_uci_that_cannot_be_run_is_said(file: Path, tmp_path: Path) -> None:
    assert "uci cannot be run: No such file" in refusal(file, added(), str(tmp_path / "none"))


def test_a_uci_that_hangs_is_given_up(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dmsfw.edit.writing.UCI_TIMEOUT_S", 0.05)
    assert "did not end within" in refusal(file, added(), program(tmp_path, "exec sleep 60"))


def test_a_disk_that_is_full_leaves_the_file_and_no_other(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert "cannot be written (No space left on device)" in refusal(file, added(), None)


def test_without_permission_it_says_to_be_root(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "rename", refused)
    assert "cannot be written (Permission denied): run this as root" in refusal(file, added(), None)


def test_uci_is_used_where_it_is_and_can_name_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    by = program(tmp_path, "true")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert uci_for(Path("/etc/config/dmsfw")) == by
    assert uci_for(tmp_path / "dmsfw.conf") is None
    monkeypatch.setenv("PATH", "/nonexistent")
    assert uci_for(Path("/etc/config/dmsfw")) is None


def test_the_mode_of_a_new_file_never_lets_others_read_meanwhile(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    chmod = os.fchmod

    def noted(descriptor: int, mode: int) -> None:
        seen.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        chmod(descriptor, mode)

    monkeypatch.setattr(os, "fchmod", noted)
    file.chmod(0o600)
    write(file, allow(TEXT, wish(PLAIN, "1")), None)
    assert seen == [0o600]
