"""Imports python-iptables with its faults mended (1.2.0). Nothing else in dmsfw imports `iptc`.

1. It hunts for libraries with ldconfig and gcc, and knows nothing of OpenWrt's libiptext: see discovery.
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
import importlib
import sys
from functools import cache
from typing import Any

from dmsfw.enforce import discovery, packages, sockopt
from dmsfw.errors import TableRefused

PROBE = "multiport"
"""The extension whose options are measured; rules of ours use it, so it has to be there anyway."""

NEAR = 1 << 20
"""Bytes within which the names of one extension's options lie from each other, all in one read-only segment."""


@cache
def load() -> Any:
    """The module `iptc`, imported and mended once.

    After a failure the next call goes on where that one ended: what was missing may have been installed meanwhile.

    Raises: TableRefused when a library, an extension, a kernel module or python-iptables itself is missing.
    """
    discovery.prepare()
    iptc = _import()
    discovery.register(iptc.xtables)
    _mend(iptc)
    return iptc


def _import() -> Any:
    try:
        with discovery.found_by_looking():
            return importlib.import_module("iptc")
    except Exception as error:  # it raises whatever ctypes does when a library is damaged
        # A part of it that stays would be no attribute of the module at the next attempt.
        for name in [name for name in sys.modules if name == "iptc" or name.startswith("iptc.")]:
            del sys.modules[name]
        raise TableRefused(discovery.UNUSABLE.format(error, packages.install(["dmsfw"], anew=True))) from error


def _mend(iptc: Any) -> None:
    xtables = iptc.xtables
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
    probe = xtables.xtables(xtables.NFPROTO_IPV4).find_match(PROBE)
    if not probe:
        raise TableRefused(_without_probe())
    stride = _stride(ctypes.addressof(probe[0].x6_options[0]), ctypes.sizeof(entry))
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


def _without_probe() -> str:
    """Tell a library without the extension from a kernel without its module; either makes the look-up fail."""
    module = () if PROBE in sockopt.extensions(4) else (packages.MODULES[PROBE],)
    reason = f"the {'kernel module of the ' if module else ''}extension {PROBE} is missing"
    return discovery.UNUSABLE.format(reason, packages.install(module or (packages.EXTENSIONS,)))


def _stride(first: int, size: int) -> int:
    """Bytes from one option to the next, told by where the pointer to the second one's name is. `first`: an address."""
    pointer = ctypes.sizeof(ctypes.c_void_p)
    name = ctypes.c_void_p.from_address(first).value or 0
    for stride in (size, size + pointer, size + 2 * pointer):
        following = ctypes.c_void_p.from_address(first + stride).value or 0
        if following and abs(following - name) < NEAR:
            return stride
    raise TableRefused("this version of iptables is not known to python-iptables: its options cannot be read")
