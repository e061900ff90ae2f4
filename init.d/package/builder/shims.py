# ruff: noqa: INP001 - run from its own folder
"""libxtwrapper for each processor: a shared library for musl that uses no Python API, so one serves every Python."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import vendor

TARGETS = {
    "x86_64": "x86_64-linux-musl",
    "aarch64": "aarch64-linux-musl",
    "armv7": "arm-linux-musleabihf",
}
"""Folder, as the launcher knows it, and Zig's name of the target. The shim passes no floating-point numbers, so the one
for armv7 serves both of its calling conventions."""

FLAGS = ("-shared", "-fPIC", "-Os", "-s")

SOURCE = "libxtwrapper/wrapper.c"


def build(sources: dict[str, Path], cache: Path, target: Path) -> None:
    """Build all of them from python-iptables's source into `target`/PROCESSOR/libxtwrapper.so."""
    tool = vendor.tool(cache, "ziglang")
    zig_cache = str(cache / "zig")
    environment = os.environ | {
        "PYTHONPATH": str(tool),
        "ZIG_GLOBAL_CACHE_DIR": zig_cache,
        "ZIG_LOCAL_CACHE_DIR": zig_cache,
    }
    for folder, name in TARGETS.items():
        library = (target / folder / "libxtwrapper.so").resolve()
        library.parent.mkdir(parents=True)
        command = [sys.executable, "-m", "ziglang", "cc", "-target", name, *FLAGS, "-o", str(library), SOURCE]
        subprocess.run(command, cwd=sources["python-iptables"], env=environment, check=True)
        library.chmod(0o644)
