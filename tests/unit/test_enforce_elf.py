"""Which shared libraries are loaded, told by their heads."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from dmsfw.enforce import elf
from tests.unit.enforce_support import library_head

ARM = library_head(1, 40)


def test_this_process_is_of_its_own_kind() -> None:
    assert elf.fits(elf.SELF)
    assert elf.is_whole(elf.SELF.resolve())


@pytest.mark.parametrize(
    ("content", "fits"),
    [
        (library_head(), True),
        (library_head(machine=8), False),  # MIPS
        (ARM, False),
        (b"/* GNU ld script */ GROUP ( /lib/libc.so.6 )".ljust(64), False),
        (b"\x7fELF", False),
        (b"", False),
    ],
)
def test_only_a_library_for_this_processor_fits(tmp_path: Path, content: bytes, *, fits: bool) -> None:
    (tmp_path / "lib").write_bytes(content)
    assert elf.fits(tmp_path / "lib") is fits


def test_a_link_that_leads_nowhere_does_not_fit(tmp_path: Path) -> None:
    (tmp_path / "lib").symlink_to("gone")
    assert not elf.fits(tmp_path / "lib")


def with_segment(bits: int, offset: int, length: int) -> bytes:
    """A file whose head is followed by one segment's entry, and that by `length` bytes."""
    if bits == 32:
        head = struct.pack("=28xI10xHH6x", 52, 32, 1)
        entry = struct.pack("=IIIIIIII", 1, offset, 0, 0, length, length, 5, 4096)
        mark = b"\x7fELF\x01\x01"
    else:
        head = struct.pack("=32xQ14xHH6x", 64, 56, 1)
        entry = struct.pack("=IIQQQQQQ", 1, 5, offset, 0, 0, length, length, 4096)
        mark = b"\x7fELF\x02\x01"
    return mark + head[len(mark) :] + entry + bytes(length)


@pytest.mark.parametrize(("bits", "head"), [(32, 52), (64, 64)])
def test_a_library_is_whole_while_all_its_segments_are_there(tmp_path: Path, bits: int, head: int) -> None:
    entry = 32 if bits == 32 else 56
    content = with_segment(bits, head + entry, 100)
    path = tmp_path / "lib"
    path.write_bytes(content)
    assert elf.is_whole(path)
    for kept in (len(content) - 1, head + entry - 1, head - 1, 20):
        path.write_bytes(content[:kept])
        assert not elf.is_whole(path), kept
