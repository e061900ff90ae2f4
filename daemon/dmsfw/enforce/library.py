"""Imports python-iptables with its faults mended (1.2.0). Nothing else in dmsfw imports `iptc`.

1. It hunts for libraries with ldconfig and gcc: told where they are, it need not (31 against 185 ms).
2. Its `distutils` import drags setuptools in where that is installed (17 MB): kept out.
3. Each parse error jumps over Python's frames and leaks its recursion count until nothing runs any more: libxtables
   gets the C function itself as its way out.
4. A target that it does not know makes it open, and so create, all five tables: it is told that two exist.
5. iptables 1.8.11 grew `xt_option_entry`, so that only the first option of an extension is found: measured and mended.
6. It aligns to the size of a long; the kernel aligns to that of a 64-bit number, also where a long has 32.

One thread only may use what `load` returns.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dmsfw.errors import TableRefused

EXTENSION_FOLDERS = (
    "/usr/lib/iptables",
    "/usr/lib/*/xtables",
    "/usr/lib64/xtables",
    "/usr/lib/xtables",
    "/lib/*/xtables",
)
"""Where iptables keeps its extensions: OpenWrt, Debian, Fedora, Arch and Alpine."""

LIBRARY_FOLDERS = ("/usr/lib", "/lib", "/usr/lib/*-linux-*", "/lib/*-linux-*", "/usr/lib64", "/lib64", "/usr/local/lib")

MISSING = (
    "python-iptables cannot be used: {} (on OpenWrt: opkg install libip4tc libip6tc libxtables libiptext libiptext6)"
)

NEAR = 1 << 20
"""Bytes within which the names of one extension's options lie from each other, all in one read-only segment."""


def load() -> Any:
    """The module `iptc`, imported once. Raises: TableRefused when a library or python-iptables itself is missing."""
    if "iptc" in sys.modules:
        return sys.modules["iptc"]
    _prepare_environment()
    try:
        with _own_discovery():
            iptc = importlib.import_module("iptc")
    except Exception as error:  # it raises whatever ctypes does when a library is missing
        sys.modules.pop("iptc", None)
        raise TableRefused(MISSING.format(error)) from error
    _mend(iptc)
    return iptc


def _prepare_environment() -> None:
    os.environ.setdefault("SETUPTOOLS_USE_DISTUTILS", "stdlib")
    if "XTABLES_LIBDIR" not in os.environ:
        folder = next(_folders(EXTENSION_FOLDERS), None)
        if folder is None:
            raise TableRefused(MISSING.format("the extensions of iptables are not installed"))
        os.environ["XTABLES_LIBDIR"] = str(folder)


def _folders(patterns: tuple[str, ...]) -> Iterator[Path]:
    root = Path("/")
    for pattern in patterns:
        yield from (path for path in sorted(root.glob(pattern.lstrip("/"))) if path.is_dir())


@contextmanager
def _own_discovery() -> Iterator[None]:
    """Find libraries by looking into folders while python-iptables is imported."""
    original, ctypes.util.find_library = ctypes.util.find_library, _find_library
    try:
        yield
    finally:
        ctypes.util.find_library = original


def _find_library(name: str) -> str | None:
    given = os.environ.get("IPTABLES_LIBDIR", "")
    folders = [*map(Path, filter(None, given.split(":"))), *_folders(LIBRARY_FOLDERS), *map(Path, sys.path)]
    for folder in folders:
        candidates = [*sorted(folder.glob(f"lib{name}.so.*")), *sorted(folder.glob(f"lib{name}*.so"))]
        for candidate in candidates:
            if _is_library(name, candidate):
                return str(candidate)
    return None


def _is_library(name: str, path: Path) -> bool:
    """`libc.so` on Debian is a linker's script, and `libc*.so` matches `libcap.so`: the name must end there."""
    if not path.name[len(f"lib{name}") :].startswith((".so", ".cpython", ".abi3")):
        return False
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def _mend(iptc: Any) -> None:
    xtables: Any = sys.modules["iptc.xtables"]
    exit_function = ctypes.cast(xtables._lib_xtwrapper.throw_exception, ctypes.c_void_p).value
    xtables._xt_globals.exit_err = xtables._EXIT_FN(exit_function)
    xtables._WORDLEN = ctypes.alignment(ctypes.c_uint64)
    known = {"filter": True, "nat": True, "mangle": False, "raw": False, "security": False}
    iptc.Table.existing_table_names.update(known)
    iptc.Table6.existing_table_names.update(known)
    _mend_options(xtables)


def _mend_options(xtables: Any) -> None:
    """Walk options by the stride that the installed libxtables has.

    Raises: TableRefused when it cannot be told.
    """
    entry = xtables.xt_option_entry
    multiport = xtables.xtables(xtables.NFPROTO_IPV4).find_match("multiport")
    if not multiport:
        raise TableRefused(MISSING.format("the extension multiport is missing"))
    stride = _stride(ctypes.addressof(multiport[0].x6_options[0]), ctypes.sizeof(entry))
    if stride == ctypes.sizeof(entry):
        return

    def lookup(_: object, entries: Any, name: bytes) -> Any:
        address = ctypes.addressof(entries[0])
        while True:
            option = entry.from_address(address)
            if not option.name or option.name == name:
                return option if option.name else None
            address += stride

    xtables.xtables._option_lookup = lookup


def _stride(first: int, size: int) -> int:
    """Bytes from one option to the next, told by where the pointer to the second one's name is. `first`: an address."""
    pointer = ctypes.sizeof(ctypes.c_void_p)
    name = ctypes.c_void_p.from_address(first).value or 0
    for stride in (size, size + pointer, size + 2 * pointer):
        following = ctypes.c_void_p.from_address(first + stride).value or 0
        if following and abs(following - name) < NEAR:
            return stride
    raise TableRefused("this version of iptables is not known to python-iptables: its options cannot be read")
