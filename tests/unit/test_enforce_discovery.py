"""Where libraries and extensions are found, and what registers them: folders and libraries of the test's own."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dmsfw.enforce import discovery
from dmsfw.errors import TableRefused
from tests.unit.enforce_support import library_head

DEBIAN = ("libxtables.so.12", "libip4tc.so.2", "libip6tc.so.2", "libxtwrapper.cpython-311-x86_64-linux-gnu.so")
OPENWRT = (*DEBIAN, "libiptext.so", "libiptext4.so", "libiptext6.so")
Layout = Callable[..., Path]


@pytest.fixture
def layout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Layout:
    """Make a folder with these libraries the only one that is looked into; the environment names nothing."""
    folder = tmp_path / "lib"
    folder.mkdir()

    def laid(*names: str) -> Path:
        for name in names:
            (folder / name).write_bytes(library_head())
        return folder

    # Set, then removed: so that what the code sets is undone as well.
    for name in ("XTABLES_LIBDIR", "SETUPTOOLS_USE_DISTUTILS", "IPTABLES_LIBDIR"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setattr(discovery, "LIBRARY_FOLDERS", (str(folder),))
    monkeypatch.setattr(discovery, "EXTENSION_FOLDERS", (f"{tmp_path}/none", f"{tmp_path}/*/xtables"))
    monkeypatch.setattr(sys, "path", [])
    return laid


def refusal() -> str:
    with pytest.raises(TableRefused) as refused:
        discovery.prepare()
    return str(refused.value)


# The environment


def test_on_openwrt_the_folder_of_extensions_is_named_though_it_does_not_exist(layout: Layout) -> None:
    layout(*OPENWRT)
    discovery.prepare()
    assert os.environ["XTABLES_LIBDIR"] == "/usr/lib/iptables"
    assert os.environ["SETUPTOOLS_USE_DISTUTILS"] == "stdlib"


def test_elsewhere_it_is_the_folder_that_has_extensions_for_this_processor(layout: Layout, tmp_path: Path) -> None:
    layout(*DEBIAN)
    for name, content in (("a-empty", b""), ("b-i386", library_head(1, 3)), ("c-ours", library_head())):
        folder = tmp_path / name / "xtables"
        folder.mkdir(parents=True)
        if content:
            (folder / "libxt_tcp.so").write_bytes(content)
    discovery.prepare()
    assert os.environ["XTABLES_LIBDIR"] == str(tmp_path / "c-ours" / "xtables")


def test_the_environment_is_left_as_it_was_given(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    layout(*OPENWRT)
    monkeypatch.setenv("XTABLES_LIBDIR", "/given")
    monkeypatch.setenv("SETUPTOOLS_USE_DISTUTILS", "local")
    discovery.prepare()
    assert (os.environ["XTABLES_LIBDIR"], os.environ["SETUPTOOLS_USE_DISTUTILS"]) == ("/given", "local")


@pytest.mark.parametrize(
    ("there", "gone", "said"),
    [
        (OPENWRT, ["libxtables.so.12"], "libxtables is missing (on OpenWrt: opkg install libxtables)"),
        (OPENWRT, ["libiptext.so"], "libiptext is missing (on OpenWrt: opkg install libiptext)"),
        (
            OPENWRT,
            ["libiptext.so", "libiptext4.so"],
            "libiptext, libiptext4 are missing (on OpenWrt: opkg install libiptext)",
        ),
        (
            DEBIAN,
            ["libip4tc.so.2", "libip6tc.so.2"],
            "libip4tc, libip6tc are missing (on OpenWrt: opkg install libip4tc libip6tc)",
        ),
        (DEBIAN, [DEBIAN[-1]], "libxtwrapper is missing (on OpenWrt: opkg install dmsfw)"),
        (DEBIAN, [], "the extensions of iptables are missing (on OpenWrt: opkg install libiptext)"),
    ],
)
def test_what_is_missing_is_named_with_its_package(
    layout: Layout, there: tuple[str, ...], gone: list[str], said: str
) -> None:
    layout(*(name for name in there if name not in gone))
    assert refusal() == f"python-iptables cannot be used: {said}"
    assert "XTABLES_LIBDIR" not in os.environ


def test_without_libiptext6_nothing_is_missing(layout: Layout) -> None:
    layout(*OPENWRT[:-1])
    discovery.prepare()


def test_a_library_that_is_not_whole_is_named_by_its_path(layout: Layout) -> None:
    path = layout(*OPENWRT) / "libiptext6.so"
    path.write_bytes(library_head()[:40])
    said = f"{path} is not whole (on OpenWrt: opkg install --force-reinstall libiptext6)"
    assert refusal() == f"python-iptables cannot be used: {said}"


# Libraries


@pytest.mark.parametrize(
    ("name", "files", "found"),
    [
        ("c", ["libc.so.6", "libcap.so.2"], "libc.so.6"),
        ("c", ["libcap.so.2", "libcap.so"], None),
        ("c", ["libc.cpython-311-x86_64-linux-gnu.so"], "libc.cpython-311-x86_64-linux-gnu.so"),
        ("c", ["libc.abi3.so"], "libc.abi3.so"),
        ("c", ["libc.so"], "libc.so"),
        ("xtables", ["libxtables.so", "libxtables.so.12"], "libxtables.so.12"),
        ("iptext", ["libiptext4.so", "libiptext6.so", "libiptext_ebt.so", "libiptext.so"], "libiptext.so"),
        ("iptext", ["libiptext4.so", "libiptext6.so", "libiptext_ebt.so"], None),
        ("iptext", ["libiptext.so.0"], "libiptext.so.0"),
        ("c", [], None),
    ],
)
def test_a_library_is_one_whose_name_ends_there(layout: Layout, name: str, files: list[str], found: str | None) -> None:
    folder = layout(*files)
    assert discovery.find(name) == (str(folder / found) if found else None)


def test_one_that_does_not_fit_is_passed_over(layout: Layout, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = layout("libc.so.6")
    (tmp_path / "libc.so.6").write_text("/* GNU ld script */")
    monkeypatch.setenv("IPTABLES_LIBDIR", f"{tmp_path}:/nowhere")
    assert discovery.find("c") == str(folder / "libc.so.6")


def test_the_given_folder_goes_first_and_the_paths_of_modules_last(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("given", "site"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "libxtwrapper.so").write_bytes(library_head())
    monkeypatch.setattr(sys, "path", ["", str(tmp_path / "archive.zip"), str(tmp_path / "site")])
    assert discovery.find("xtwrapper") == str(tmp_path / "site" / "libxtwrapper.so")
    folder = layout("libxtwrapper.so")
    assert discovery.find("xtwrapper") == str(folder / "libxtwrapper.so")
    monkeypatch.setenv("IPTABLES_LIBDIR", str(tmp_path / "given"))
    assert discovery.find("xtwrapper") == str(tmp_path / "given" / "libxtwrapper.so")


def test_ctypes_finds_by_looking_only_for_as_long_as_it_is_told_to() -> None:
    before = ctypes.util.find_library
    broken = discovery.found_by_looking()
    broken.__enter__()
    assert ctypes.util.find_library is discovery.find
    assert not broken.__exit__(OSError, OSError("the import failed"), None)
    assert ctypes.util.find_library is before


# Registration


class Libxtables:
    """As much of iptc.xtables as registration needs; tells what was called with which family in use."""

    NFPROTO_IPV4 = 2

    def __init__(self) -> None:
        self.family = 2
        self.called: list[tuple[str, int]] = []
        self.xtables = types.SimpleNamespace(_xtables_set_nfproto=self._use)

    def _use(self, family: int) -> None:
        self.family = family

    def library(self, path: str) -> Any:
        name = f"init_extensions{Path(path).stem.removeprefix('libiptext')}"

        def function() -> None:
            self.called.append((name, self.family))

        return types.SimpleNamespace(**{name: function})


@pytest.fixture
def libxtables(monkeypatch: pytest.MonkeyPatch) -> Libxtables:
    ours = Libxtables()
    monkeypatch.setattr(discovery, "_called", set())
    monkeypatch.setattr(discovery.ctypes, "CDLL", ours.library)
    return ours


IN_ORDER = [("init_extensions", 2), ("init_extensions4", 2), ("init_extensions6", 10)]


def test_each_is_called_once_in_order_and_with_its_own_family_in_use(layout: Layout, libxtables: Libxtables) -> None:
    layout(*OPENWRT)
    discovery.register(libxtables)
    discovery.register(libxtables)
    assert libxtables.called == IN_ORDER
    assert libxtables.family == 2


def test_where_each_extension_is_a_file_nothing_is_called(layout: Layout, libxtables: Libxtables) -> None:
    layout(*DEBIAN)
    discovery.register(libxtables)
    assert libxtables.called == []


def test_what_comes_later_is_called_then_and_the_others_not_again(layout: Layout, libxtables: Libxtables) -> None:
    layout(*OPENWRT[:-1])
    discovery.register(libxtables)
    layout(*OPENWRT)
    discovery.register(libxtables)
    assert libxtables.called == IN_ORDER


@pytest.mark.parametrize(
    "broken",
    [OSError("file too short"), types.SimpleNamespace()],
    ids=["cannot be loaded", "has no such function"],
)
def test_one_that_cannot_be_called_is_refused_and_tried_again(
    layout: Layout, libxtables: Libxtables, monkeypatch: pytest.MonkeyPatch, broken: Any
) -> None:
    layout(*OPENWRT)

    def library(path: str) -> Any:
        if not path.endswith("4.so"):
            return libxtables.library(path)
        if isinstance(broken, OSError):
            raise broken
        return broken

    with monkeypatch.context() as patched:
        patched.setattr(discovery.ctypes, "CDLL", library)
        with pytest.raises(TableRefused, match=r"\(on OpenWrt: opkg install --force-reinstall libiptext\)"):
            discovery.register(libxtables)
    discovery.register(libxtables)
    assert libxtables.called == IN_ORDER


def test_a_function_that_failed_is_not_called_a_second_time(
    layout: Layout, libxtables: Libxtables, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process would be ended by libxtables when an extension is registered twice."""
    layout("libiptext.so")
    calls = []

    def function() -> None:
        calls.append("called")
        raise ZeroDivisionError

    monkeypatch.setattr(discovery.ctypes, "CDLL", lambda _: types.SimpleNamespace(init_extensions=function))
    with pytest.raises(ZeroDivisionError):
        discovery.register(libxtables)
    discovery.register(libxtables)
    assert calls == ["called"]
