"""How python-iptables is mended, with arrays of options and folders of the test's own."""

from __future__ import annotations

import ctypes
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from dmsfw.enforce import library
from dmsfw.errors import TableRefused

NAMES = (b"source-ports", b"dports", b"ports")


class Known(ctypes.Structure):
    """`struct xt_option_entry` as python-iptables 1.2.0 knows it: 48 bytes."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("type", ctypes.c_int),
        ("id", ctypes.c_uint),
        ("excl", ctypes.c_uint),
        ("also", ctypes.c_uint),
        ("flags", ctypes.c_uint),
        ("ptroff", ctypes.c_uint),
        ("size", ctypes.c_size_t),
        ("min", ctypes.c_uint),
        ("max", ctypes.c_uint),
    ]


class Grown(ctypes.Structure):
    """The same since iptables 1.8.11."""

    _fields_ = [*Known._fields_, ("base", ctypes.c_uint8)]


class Unheard(ctypes.Structure):
    """One that nobody knows yet."""

    _fields_ = [*Known._fields_, ("more", ctypes.c_uint64 * 5)]


def options(kind: Any) -> Any:
    """An array of options that ends with one of no name, as libxtables has it; the fields between are not empty."""
    text = b"\0".join(NAMES) + b"\0"
    segment = ctypes.create_string_buffer(text)
    array = (kind * (len(NAMES) + 1))()
    for option, name in zip(array, NAMES, strict=False):
        at = ctypes.addressof(segment) + text.index(name)
        ctypes.c_void_p.from_address(ctypes.addressof(option)).value = at
        option.type, option.id, option.min, option.max = 7, 1, 1, 65535
    array.kept = segment
    return array


def xtables(array: Any) -> Any:
    """As much of iptc.xtables as is mended. `array` None: the extension is missing."""

    class Extensions:
        def __init__(self, family: int) -> None:
            assert family == 2

        def find_match(self, name: str) -> Any:
            assert name == "multiport"
            if array is None:
                return None
            found = types.SimpleNamespace(x6_options=ctypes.cast(array, ctypes.POINTER(Known)))
            return [found]

        def _option_lookup(self, entries: Any, name: bytes) -> Any:
            return (entries, name)

    return types.SimpleNamespace(xt_option_entry=Known, NFPROTO_IPV4=2, xtables=Extensions)


@pytest.mark.parametrize("kind", [Known, Grown])
def test_the_stride_is_told_by_the_second_name(kind: Any) -> None:
    array = options(kind)
    assert library._stride(ctypes.addressof(array), ctypes.sizeof(Known)) == ctypes.sizeof(kind)


def test_every_option_of_a_grown_array_is_found() -> None:
    array = options(Grown)
    mended = xtables(array)
    library._mend_options(mended)
    entries = ctypes.cast(array, ctypes.POINTER(Known))
    for name in NAMES:
        option = mended.xtables(2)._option_lookup(entries, name)
        assert option.name == name
        assert (option.type, option.max) == (7, 65535)
    assert mended.xtables(2)._option_lookup(entries, b"unheard") is None


def test_an_array_that_is_known_is_left_to_python_iptables() -> None:
    known = xtables(options(Known))
    lookup = known.xtables._option_lookup
    library._mend_options(known)
    assert known.xtables._option_lookup is lookup


def test_an_array_that_nobody_knows_is_refused() -> None:
    with pytest.raises(TableRefused, match="not known to python-iptables"):
        library._mend_options(xtables(options(Unheard)))


def test_without_multiport_it_says_what_to_install() -> None:
    with pytest.raises(TableRefused, match=r"multiport is missing .*opkg install"):
        library._mend_options(xtables(None))


def test_without_iptables_extensions_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "iptc", raising=False)
    monkeypatch.delenv("XTABLES_LIBDIR", raising=False)
    monkeypatch.setattr(library, "EXTENSION_FOLDERS", ("/nowhere/*",))
    with pytest.raises(TableRefused, match=r"extensions of iptables are not installed .*opkg install"):
        library.load()


def test_when_python_iptables_is_missing_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.delitem(sys.modules, "iptc", raising=False)
    monkeypatch.setenv("XTABLES_LIBDIR", "/usr/lib")
    monkeypatch.setattr(library.importlib, "import_module", missing)
    with pytest.raises(TableRefused, match="No module named 'iptc'"):
        library.load()


def test_the_environment_is_left_as_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XTABLES_LIBDIR", "/given")
    library._prepare_environment()
    assert library.os.environ["XTABLES_LIBDIR"] == "/given"


def test_extensions_are_looked_for_where_systems_have_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XTABLES_LIBDIR", "")
    monkeypatch.delenv("XTABLES_LIBDIR")
    (tmp_path / "a" / "xtables").mkdir(parents=True)
    monkeypatch.setattr(library, "EXTENSION_FOLDERS", (f"{tmp_path}/none", f"{tmp_path}/*/xtables"))
    library._prepare_environment()
    assert library.os.environ["XTABLES_LIBDIR"] == str(tmp_path / "a" / "xtables")


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"libc.so.6": b"\x7fELF", "libcap.so.2": b"\x7fELF"}, "libc.so.6"),
        ({"libcap.so.2": b"\x7fELF", "libcap.so": b"\x7fELF"}, None),
        ({"libc.so": b"/* GNU ld script */"}, None),
        ({"libc.cpython-311-x86_64-linux-gnu.so": b"\x7fELF"}, "libc.cpython-311-x86_64-linux-gnu.so"),
        ({"libc.abi3.so": b"\x7fELF"}, "libc.abi3.so"),
        ({"libc.so": b"\x7fELF"}, "libc.so"),
        ({}, None),
    ],
)
def test_a_library_is_one_whose_name_ends_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, files: dict[str, bytes], found: str | None
) -> None:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    monkeypatch.setenv("IPTABLES_LIBDIR", str(tmp_path))
    monkeypatch.setattr(library, "LIBRARY_FOLDERS", ())
    monkeypatch.setattr(sys, "path", [])
    assert library._find_library("c") == (str(tmp_path / found) if found else None)
