"""What python-iptables needs before it may look a match up: where things are, and OpenWrt's extensions registered.

1. Libraries are found by looking into folders: no ldconfig, no compiler, no `.so` links and no patched `find_library`
   (OpenWrt's Python has one, musl's elsewhere has none) are needed. Those for another processor are passed over.
2. The environment tells python-iptables and libxtables where the extensions are. OpenWrt has that folder only while a
   package iptables-mod-* is installed; it is named all the same, or python-iptables would run ldconfig.
3. On OpenWrt the extensions are built into libiptext, libiptext4 and libiptext6, which register nothing when loaded.
   Their init functions are called after the import, which sets libxtables up (they crash before); ahead of any look-up
   (libxtables remembers a target that it did not find); and once in a process (libxtables ends it at the second time).
   Elsewhere each extension is a file that registers itself: there is no libiptext, and nothing is called.
4. libxtables takes in only those targets that are of the address family in use, so each function is called with its own
   in use. (A target of both families in libiptext is IPv4's alone by that: build.MASQUERADE6.) Nothing in libiptext6 is
   used by rules of ours; a router without IPv6 has none.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from dmsfw.enforce import elf
from dmsfw.enforce.packages import EXTENSIONS, LIBRARIES, install
from dmsfw.errors import TableRefused

OPENWRT_EXTENSIONS = "/usr/lib/iptables"
"""Where OpenWrt's libxtables looks for extensions that are not in libiptext."""

EXTENSION_FOLDERS = ("/usr/lib/*/xtables", "/usr/lib64/xtables", "/usr/lib/xtables", "/lib/*/xtables")
"""Where iptables keeps its extensions elsewhere: Debian, Fedora, Arch and Alpine."""

LIBRARY_FOLDERS = ("/usr/lib", "/lib", "/usr/lib/*-linux-*", "/lib/*-linux-*", "/usr/lib64", "/lib64", "/usr/local/lib")

ENDINGS = (".so", ".cpython", ".abi3")
"""How the name of a library goes on behind its stem: libxtables.so.12, libxtwrapper.cpython-311-x86_64-linux-gnu.so."""

UNUSABLE = "python-iptables cannot be used: {} ({})"


class Registration(NamedTuple):
    """A library of OpenWrt's, the function in it that registers its extensions, and the address family to be in use."""

    library: str
    function: str
    family: int


REGISTRATIONS = (
    Registration("iptext", "init_extensions", 2),
    Registration("iptext4", "init_extensions4", 2),
    Registration("iptext6", "init_extensions6", 10),
)
"""In the order in which iptables itself calls them; the families are NFPROTO_IPV4 and NFPROTO_IPV6."""

NEEDED = ("xtables", "ip4tc", "ip6tc", "xtwrapper")
NEEDED_BUILT_IN = ("iptext", "iptext4")
"""What has to be there, and what besides where one of OpenWrt's libraries is."""

_called: set[str] = set()
"""The functions that were called in this process, whatever came of it."""


def prepare() -> None:
    """Set the environment for the import. Raises: TableRefused when a library or the extensions are missing."""
    os.environ.setdefault("SETUPTOOLS_USE_DISTUTILS", "stdlib")
    built_in = any(find(each.library) for each in REGISTRATIONS)
    _demand((*NEEDED, *NEEDED_BUILT_IN) if built_in else NEEDED)
    _demand_whole()
    if "XTABLES_LIBDIR" not in os.environ:
        os.environ["XTABLES_LIBDIR"] = OPENWRT_EXTENSIONS if built_in else _extension_folder()


def _demand(names: Sequence[str]) -> None:
    missing = [name for name in names if find(name) is None]
    if missing:
        reason = f"{', '.join(f'lib{name}' for name in missing)} {'is' if len(missing) == 1 else 'are'} missing"
        raise TableRefused(UNUSABLE.format(reason, install(dict.fromkeys(LIBRARIES[name] for name in missing))))


def _demand_whole() -> None:
    for name, package in LIBRARIES.items():
        path = find(name)
        if path is not None and not elf.is_whole(Path(path)):
            raise TableRefused(UNUSABLE.format(f"{path} is not whole", install([package], anew=True)))


def _extension_folder() -> str:
    for folder in _folders(EXTENSION_FOLDERS):
        if any(map(elf.fits, folder.glob("lib*.so"))):
            return str(folder)
    raise TableRefused(UNUSABLE.format("the extensions of iptables are missing", install([EXTENSIONS])))


def register(xtables: Any) -> None:
    """Have OpenWrt's libraries register their extensions, each once in a process. `xtables`: the module iptc.xtables.

    Raises: TableRefused when one of them cannot be loaded.
    """
    for each in REGISTRATIONS:
        path = find(each.library)
        if path is not None and each.function not in _called:
            function = _function(path, each.function)
            xtables.xtables._xtables_set_nfproto(each.family)
            _called.add(each.function)
            function()
            xtables.xtables._xtables_set_nfproto(xtables.NFPROTO_IPV4)


def _function(path: str, name: str) -> Any:
    try:
        function = getattr(ctypes.CDLL(path), name)
    except (OSError, AttributeError) as error:
        raise TableRefused(UNUSABLE.format(error, install([EXTENSIONS], anew=True))) from error
    function.restype = None
    return function


@contextmanager
def found_by_looking() -> Iterator[None]:
    """Have ctypes find libraries by looking into folders, while python-iptables is imported."""
    original, ctypes.util.find_library = ctypes.util.find_library, find
    try:
        yield
    finally:
        ctypes.util.find_library = original


def find(name: str) -> str | None:
    """The path of a shared library, named as for a linker: `xtables`. IPTABLES_LIBDIR goes first."""
    given = os.environ.get("IPTABLES_LIBDIR", "")
    folders = [*map(Path, filter(None, given.split(":"))), *_folders(LIBRARY_FOLDERS), *map(Path, sys.path)]
    for folder in folders:
        for candidate in _candidates(folder, f"lib{name}"):
            if elf.fits(candidate):
                return str(candidate)
    return None


def _candidates(folder: Path, stem: str) -> list[Path]:
    """`libc*` matches `libcap.so` too, and `libiptext*` matches `libiptext4.so`: the stem must end there."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 - as names: thousands, of which none becomes a path
    except OSError:  # sys.path names files, and folders that are not there
        return []
    fitting = [name for name in names if name.startswith(stem) and name[len(stem) :].startswith(ENDINGS)]
    return [folder / name for name in sorted(fitting, key=lambda name: (not name.startswith(f"{stem}.so."), name))]


def _folders(patterns: tuple[str, ...]) -> Iterator[Path]:
    root = Path("/")
    for pattern in patterns:
        yield from (path for path in sorted(root.glob(pattern.lstrip("/"))) if path.is_dir())
