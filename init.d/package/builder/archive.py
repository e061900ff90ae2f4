# ruff: noqa: INP001 - run from its own folder
"""The format .ipk: a gzipped tar of ./debian-binary, ./data.tar.gz and ./control.tar.gz. Same content, same bytes."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

FORMAT = b"2.0\n"

TIME_S = 315_532_800
"""The time of every file, 1980-01-01: an archive that tells when it was made is another one each time."""

BLOCK = 4096
"""Bytes that a small file takes at least on a router's overlay."""


def size(root: Path) -> int:
    """Return the bytes that the files take once they are installed, bytecode not counted."""
    return sum(-(-path.stat().st_size // BLOCK) * BLOCK for path in root.rglob("*") if path.is_file())


def ipk(root: Path, control: Mapping[str, tuple[bytes, int]], last: Sequence[str]) -> bytes:
    """Return the package with the files below `root`; `last` are those to be unpacked behind all others, in order."""
    names = sorted(str(path.relative_to(root)) for path in root.rglob("*"))
    names.sort(key=lambda name: last.index(name) if name in last else -1)
    data = _tar(_member(root, name) for name in names)
    described = _tar((_info(name, mode, len(content)), content) for name, (content, mode) in sorted(control.items()))
    parts = {"debian-binary": FORMAT, "data.tar.gz": data, "control.tar.gz": described}
    return _tar((_info(name, 0o644, len(content)), content) for name, content in parts.items())


def _member(root: Path, name: str) -> tuple[tarfile.TarInfo, bytes]:
    path = root / name
    if path.is_dir():
        info = _info(name, 0o755, 0)
        info.type = tarfile.DIRTYPE
        return info, b""
    content = path.read_bytes()
    return _info(name, 0o755 if path.stat().st_mode & 0o100 else 0o644, len(content)), content


def _info(name: str, mode: int, length: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(f"./{name}")
    info.mode, info.size, info.mtime = mode, length, TIME_S
    info.uname = info.gname = "root"
    return info


def _tar(members: Iterable[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    """Return a gzipped tar. GzipFile's header is the same on every Python; that of gzip.compress is not."""
    buffer = io.BytesIO()
    with (
        gzip.GzipFile("", "wb", 9, buffer, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.GNU_FORMAT) as tar,
    ):
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()
