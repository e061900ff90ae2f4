"""The run-dir and its files: never half written, never somewhere else."""

import errno
import os
import threading
from pathlib import Path

import pytest

from dmsfw.errors import UsageError
from dmsfw.report import files
from dmsfw.report.files import prepare_run_dir, read, write_atomically


def names_in(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


def test_a_file_is_written_readable_for_all_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        write_atomically(tmp_path / "status.json", "邮件\ud800")
    finally:
        os.umask(old)
    assert read(tmp_path / "status.json") == "邮件\\ud800"
    assert (tmp_path / "status.json").stat().st_mode & 0o777 == 0o644
    assert names_in(tmp_path) == ["status.json"]


def test_the_bytes_are_on_the_disk_before_the_name_points_to_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a power loss leaves is what was synced; a name that arrives first would stand for an empty file."""
    synced: dict[int, int] = {}
    in_place: list[tuple[int, int]] = []
    rename = Path.rename

    def sync(descriptor: int) -> None:
        found = os.fstat(descriptor)
        synced[found.st_ino] = found.st_size

    def put(source: Path, target: Path) -> Path:
        found = source.stat()
        in_place.append((synced.get(found.st_ino, 0), found.st_size))
        return rename(source, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "rename", put)
    write_atomically(tmp_path / "status.json", "whole")
    assert in_place == [(5, 5)]


def test_a_link_in_the_files_place_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("kept")
    (tmp_path / "status.json").symlink_to("victim")
    write_atomically(tmp_path / "status.json", "new")
    assert (tmp_path / "victim").read_text() == "kept"
    assert not (tmp_path / "status.json").is_symlink()


def test_a_temporary_file_that_is_there_already_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files.secrets, "token_hex", lambda _: "known")
    (tmp_path / ".status.json.known.tmp").symlink_to(tmp_path / "victim")
    with pytest.raises(FileExistsError):
        write_atomically(tmp_path / "status.json", "new")
    assert not (tmp_path / "victim").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_leaves_the_old_file_and_no_temporary_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_atomically(tmp_path / "status.json", "old")
    opened = os.open

    def on_a_full_disk(path: str, flags: int, mode: int = 0o777) -> int:
        os.close(opened(path, flags, mode))
        return opened("/dev/full", os.O_WRONLY)

    monkeypatch.setattr(files.os, "open", on_a_full_disk)
    with pytest.raises(OSError, match="No space left") as caught:
        write_atomically(tmp_path / "status.json", "x" * 100_000)
    monkeypatch.undo()
    assert caught.value.errno == errno.ENOSPC
    assert names_in(tmp_path) == ["status.json"]
    assert read(tmp_path / "status.json") == "old"


def test_a_refused_rename_leaves_no_temporary_file(tmp_path: Path) -> None:
    (tmp_path / "status.json").mkdir()
    with pytest.raises(IsADirectoryError):
        write_atomically(tmp_path / "status.json", "new")
    assert names_in(tmp_path) == ["status.json"]


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    whole = {letter * 200_000 for letter in "ab"}
    write_atomically(path, "a" * 200_000)
    done = threading.Event()
    writer = threading.Thread(target=write_often, args=(path, sorted(whole), done))
    writer.start()
    while not done.is_set():
        assert read(path) in whole
    writer.join()


def write_often(path: Path, texts: list[str], done: threading.Event) -> None:
    for _ in range(50):
        for text in texts:
            write_atomically(path, text)
    done.set()


def test_what_is_no_file_of_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "large").write_text("x" * 11)
    (tmp_path / "link").symlink_to("large")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name, why in (
        ("large", "larger than 10 bytes"),
        ("link", "is a link"),
        ("pipe", "no regular file"),
        ("folder", "no regular file"),
    ):
        with pytest.raises(UsageError, match=why):
            read(tmp_path / name, limit=10)
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "missing")
    (tmp_path / "bytes").write_bytes(b"\xff{}")
    assert read(tmp_path / "bytes") == "\ufffd{}"


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    before = names_in(Path("/proc/self/fd"))
    (tmp_path / "run" / "status.json" / "in the way").mkdir(parents=True)
    for _ in range(5):
        prepare_run_dir(tmp_path / "run")
        write_atomically(tmp_path / "run" / "file", "text")
        read(tmp_path / "run" / "file")
        with pytest.raises(UsageError):
            read(tmp_path / "run" / "status.json")
        with pytest.raises(IsADirectoryError):
            write_atomically(tmp_path / "run" / "status.json", "text")
    assert len(names_in(Path("/proc/self/fd"))) == len(before)


def test_the_run_dir_is_made_where_it_is_missing(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        prepare_run_dir(tmp_path / "run")
    finally:
        os.umask(old)
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o755
    prepare_run_dir(tmp_path / "run")


def test_a_run_dir_that_others_could_use_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "open dir").mkdir()
    (tmp_path / "open dir").chmod(0o775)
    (tmp_path / "target").mkdir(mode=0o755)
    (tmp_path / "link").symlink_to("target")
    (tmp_path / "file").write_text("")
    for name, why in (
        ("open dir", r"chmod 755 '.*open dir'"),
        ("link", "a link"),
        ("file", "no folder"),
        ("a/b", "cannot be made"),
    ):
        with pytest.raises(UsageError, match=why):
            prepare_run_dir(tmp_path / name)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_somebody_elses_run_dir_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o755)
    os.chown(tmp_path / "run", 12345, 12345)
    with pytest.raises(UsageError, match="belongs to user 12345, not to 0"):
        prepare_run_dir(tmp_path / "run")


def test_old_temporary_files_are_swept_out_and_young_ones_kept(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir(mode=0o755)
    for name in (".old.tmp", ".young.tmp", "old.tmp", ".keep"):
        (run / name).write_text("")
    for name in (".old.tmp", "old.tmp", ".keep"):
        os.utime(run / name, (0, 0))
    prepare_run_dir(run)
    assert names_in(run) == [".keep", ".young.tmp", "old.tmp"]
