"""The launcher's second half, start.py: what a router lacks is one line, and nothing is started then."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tests.initd.router import INITD

MACHINE = os.uname().machine
CLI = """
import json, os, sys
def main():
    print(json.dumps([os.environ["IPTABLES_LIBDIR"], sys.path[0], sys.argv[1:]]))
    return 7
"""
ERRORS = "class DmsfwError(Exception): pass"
LIBRARY = """
from dmsfw.errors import DmsfwError
def load():
    raise DmsfwError("libxtables is missing: opkg install libxtables")
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A tree as installed, with a dmsfw that says how it was started and a python-iptables that cannot be loaded."""
    home = tmp_path / "dmsfw"
    package = home / "python" / "dmsfw"
    (package / "enforce").mkdir(parents=True)
    shutil.copyfile(INITD / "files" / "start.py", home / "start.py")
    for name, text in (("cli", CLI), ("errors", ERRORS), ("enforce/library", LIBRARY)):
        (package / f"{name}.py").write_text(text)
    for folder in ("x86_64", "aarch64", "armv7"):
        (home / "shim" / folder).mkdir(parents=True)
    return home


def start(home: Path, *arguments: str, first: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run start.py as the launcher does. `first`: Python to be run before it."""
    run = f"import runpy, sys\n{first}\nsys.argv = {['dmsfw', *arguments]}\n"
    run += f"runpy.run_path({str(home / 'start.py')!r}, run_name='__main__')"
    command = [sys.executable, "-I", "-S", "-B", "-c", run]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)


def machine(name: str, bits: int = 64) -> str:
    """Return Python that makes it look like another machine."""
    return (
        f"import os, struct; uname = os.uname(); kind = type(uname)\n"
        f"os.uname = lambda: kind((*uname[:4], {name!r}))\n"
        f"struct.calcsize = lambda _: {bits // 8}\n"
    )


def test_it_hands_over_with_its_own_modules_first(home: Path) -> None:
    done = start(home, "--config", "x", "plan")
    libraries, first, arguments = json.loads(done.stdout)
    assert (done.returncode, arguments) == (7, ["--config", "x", "plan"])
    assert first == str(home / "python")
    if struct.calcsize("P") == 8 and MACHINE in {"x86_64", "aarch64"}:
        assert libraries == str(home / "shim" / MACHINE)


@pytest.mark.parametrize(
    ("name", "bits", "folder"),
    [
        ("x86_64", 64, "x86_64"),
        ("aarch64", 64, "aarch64"),
        ("aarch64", 32, "armv7"),
        ("armv7l", 32, "armv7"),
        ("armv8l", 32, "armv7"),
    ],
)
def test_the_library_is_that_of_the_processor_and_the_word_length(
    home: Path, name: str, bits: int, folder: str
) -> None:
    libraries, _, _ = json.loads(start(home, "plan", first=machine(name, bits)).stdout)
    assert libraries == str(home / "shim" / folder)


def test_libraries_that_somebody_named_come_behind(home: Path) -> None:
    libraries, _, _ = json.loads(start(home, "plan", first=machine("x86_64"), IPTABLES_LIBDIR="/opt/lib").stdout)
    assert libraries == f"{home}/shim/x86_64:/opt/lib"


@pytest.mark.parametrize(
    ("name", "bits"), [("mips", 32), ("i686", 32), ("x86_64", 32), ("riscv64", 64), ("armv6l", 32)]
)
def test_another_processor_is_one_line(home: Path, name: str, bits: int) -> None:
    done = start(home, "run", first=machine(name, bits))
    assert done.returncode == 1
    only = "only for x86_64, aarch64 and armv7"
    assert done.stderr == f"dmsfw: there is no libxtwrapper for this processor ({name}): {only}\n"


def test_an_old_python_is_one_line(home: Path) -> None:
    done = start(home, "run", first="sys.version_info = (3, 9, 18); sys.version = '3.9.18 (main)'")
    assert done.returncode == 1
    assert done.stderr == "dmsfw: Python 3.9.18 is too old: 3.10 or later is needed (OpenWrt 22.03 or later)\n"


def test_parts_of_python_that_are_missing_are_named_by_their_packages(home: Path) -> None:
    first = (
        "import importlib.util; find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name: None if name in ('ctypes', 'logging') else find(name)"
    )
    done = start(home, "run", first=first)
    assert done.returncode == 1
    assert (
        done.stderr
        == "dmsfw: parts of Python are missing: opkg update && opkg install python3-ctypes python3-logging\n"
    )


def test_check_tells_that_iptables_is_missing_and_the_others_leave_it_to_dmsfw(home: Path) -> None:
    done = start(home, "--config", "x", "check")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "dmsfw: libxtables is missing: opkg install libxtables\n"
    assert start(home, "status").returncode == 7


def test_a_router_with_firewall4_needs_no_iptables(home: Path) -> None:
    first = "import pathlib; pathlib.Path.exists = lambda path: str(path) == '/sbin/fw4'"
    assert start(home, "check", first=first).returncode == 7
