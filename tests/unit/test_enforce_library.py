"""How python-iptables is loaded and mended, with arrays of options of the test's own."""

from __future__ import annotations

import ctypes
import sys
import types
from collections.abc import Iterator
from typing import Any

import pytest

from dmsfw.enforce import discovery, library, sockopt
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


@pytest.mark.parametrize(
    ("in_kernel", "said"),
    [
        ({"multiport", "tcp"}, "the extension multiport is missing (on OpenWrt: opkg install libiptext)"),
        ({"tcp"}, "the kernel module of the extension multiport is missing (on OpenWrt: opkg install kmod-ipt-core)"),
    ],
)
def test_without_multiport_it_says_whether_library_or_kernel_lacks_it(
    monkeypatch: pytest.MonkeyPatch, in_kernel: set[str], said: str
) -> None:
    monkeypatch.setattr(sockopt, "extensions", lambda _: frozenset(in_kernel))
    with pytest.raises(TableRefused) as refused:
        library._mend_options(xtables(None))
    assert str(refused.value) == f"python-iptables cannot be used: {said}"


@pytest.fixture
def unloaded(monkeypatch: pytest.MonkeyPatch) -> Iterator[types.SimpleNamespace]:
    """Nothing is loaded, everything is found; what is imported, registered and mended is told. Then as before."""
    for name in [name for name in sys.modules if name == "iptc" or name.startswith("iptc.")]:
        monkeypatch.delitem(sys.modules, name)
    done: list[str] = []
    state = types.SimpleNamespace(done=done, iptc=types.SimpleNamespace(xtables="its xtables"))

    def imported(name: str) -> Any:
        done.append(f"import {name}")
        return state.iptc

    monkeypatch.setattr(discovery, "prepare", lambda: done.append("prepare"))
    monkeypatch.setattr(discovery, "register", lambda of: done.append(f"register {of}"))
    monkeypatch.setattr(library.importlib, "import_module", imported)
    monkeypatch.setattr(library, "_mend", lambda _: done.append("mend"))
    library.load.cache_clear()
    yield state
    library.load.cache_clear()


IN_ORDER = ["prepare", "import iptc", "register its xtables", "mend"]


def test_it_is_prepared_imported_registered_and_mended_in_this_order_and_once(unloaded: types.SimpleNamespace) -> None:
    assert library.load() is unloaded.iptc
    assert library.load() is unloaded.iptc
    assert unloaded.done == IN_ORDER


def test_a_load_that_failed_half_way_is_made_good_by_the_next(
    monkeypatch: pytest.MonkeyPatch, unloaded: types.SimpleNamespace
) -> None:
    def refused(_: object) -> None:
        raise TableRefused("no such extension")

    with monkeypatch.context() as broken:
        broken.setattr(library, "_mend", refused)
        for _ in range(2):
            with pytest.raises(TableRefused, match="no such extension"):
                library.load()
    unloaded.done.clear()
    assert library.load() is unloaded.iptc
    assert unloaded.done == IN_ORDER


def test_a_broken_import_says_why_and_leaves_no_half_of_it(
    monkeypatch: pytest.MonkeyPatch, unloaded: types.SimpleNamespace
) -> None:
    def broken(_: str) -> None:
        monkeypatch.setitem(sys.modules, "iptc.util", types.ModuleType("iptc.util"))
        raise AttributeError("'NoneType' object has no attribute 'throw_exception'")

    monkeypatch.setattr(library.importlib, "import_module", broken)
    with pytest.raises(TableRefused, match=r"no attribute 'throw_exception' \(.*--force-reinstall dmsfw\)"):
        library.load()
    assert "iptc.util" not in sys.modules
    assert unloaded.done == ["prepare"]
