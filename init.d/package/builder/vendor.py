# ruff: noqa: INP001 - run from its own folder
"""Python's modules from PyPI that go into the package, and the tools that build it: pinned, hashes checked."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path

import layout

WHEELS = ("docker", "pyasyncore", "requests", "structlog", "urllib3")
"""Pure Python, as wheels. Not their own requirements certifi, idna and typing-extensions, whose places
init.d/package/slim takes, nor charset-normalizer, for which observe/pydocker has a stand-in: together they have two
thirds of the size of these, and dmsfw uses nothing of them.
"""

SDISTS = ("pyinotify", "python-iptables")
"""Published as sources only."""

ANY_PYTHON = ("--platform", "any", "--python-version", "3.10", "--implementation", "py", "--abi", "none")

MODULES = {
    "docker": "docker",
    "pyasyncore": "asyncore",
    "pyinotify": "python3/pyinotify.py",
    "python-iptables": "iptc",
    "requests": "requests",
    "structlog": "structlog",
    "urllib3": "urllib3",
}
"""What of each is a module of its own: a folder or a file."""

LEFT_OUT = (
    "*.pyi",
    "*.typed",
    "docker/transport/npipe*",
    "docker/transport/sshconn.py",
    "iptc/test*",
    "requests/help.py",
    "structlog/twisted.py",
    "urllib3/contrib/emscripten/*",
    "urllib3/contrib/pyopenssl.py",
    "urllib3/contrib/socks.py",
)
"""Imported for Windows, ssh, browsers, other libraries, or by nobody."""

LICENCES = ("LICEN[CS]E*", "COPYING*", "NOTICE*")


def sources(cache: Path, target: Path) -> dict[str, Path]:
    """Download and unpack all into `target`; return each one's folder by its name."""
    downloads = _downloaded(cache, WHEELS, ("--only-binary", ":all:", *ANY_PYTHON))
    downloads |= _downloaded(cache, SDISTS, ("--no-binary", ":all:"))
    return {name: _unpacked(archive, target / name) for name, archive in sorted(downloads.items())}


def install(unpacked: dict[str, Path], target: Path, licences: Path) -> None:
    """Copy the modules and their licences."""
    for name, module in MODULES.items():
        source = unpacked[name] / module
        for path in [source] if source.is_file() else sorted(source.rglob("*")):
            inside = str(path.relative_to(source.parent))
            if path.is_file() and path.suffix == ".py" and not any(fnmatch(inside, glob) for glob in LEFT_OUT):
                copy(path, target / inside)
        found = [path for glob in LICENCES for path in unpacked[name].rglob(glob) if path.is_file()]
        if not found:
            raise SystemExit(f"{name} has no licence in its archive")
        for path in found:
            copy(path, licences / name / path.name)


def copy(source: Path, target: Path) -> None:
    """Copy a file's content, and make the folders above it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def tool(cache: Path, name: str) -> Path:
    """Return the folder of a tool that init.d/package/NAME.txt pins, unpacked."""
    pins = (layout.PACKAGE / f"{name}.txt").read_text("utf-8")
    target = cache / f"{name}-{_digest(pins)}"
    if not target.is_dir():
        with tempfile.TemporaryDirectory(dir=cache) as work:
            _pip(Path(work) / "wheels", pins, ("--only-binary", ":all:"))
            (wheel,) = (Path(work) / "wheels").glob("*.whl")
            _unpacked(wheel, Path(work) / "tool").rename(target)
    return target


def _downloaded(cache: Path, names: Iterable[str], options: tuple[str, ...]) -> dict[str, Path]:
    pins = _pins(names)
    target = cache / f"downloads-{_digest(pins)}"
    if not target.is_dir():
        with tempfile.TemporaryDirectory(dir=cache) as work:
            _pip(Path(work) / "files", pins, options)
            (Path(work) / "files").rename(target)
    return {re.split(r"-\d", path.name)[0].replace("_", "-").lower(): path for path in target.iterdir()}


def _pins(names: Iterable[str]) -> str:
    """Return the project's pins of these packages with their hashes, without the conditions under which they count."""
    text = (layout.ROOT / "requirements.txt").read_text("utf-8")
    pins = dict(re.findall(r"^([a-z0-9-]+)==((?:.*\\\n)*.*\n)", text, re.MULTILINE))
    return "".join(f"{name}=={_without_condition(pins[name])}" for name in names)


def _without_condition(pin: str) -> str:
    """Return a pin that counts everywhere: what is for a newer Python alone is in the one package for all of them."""
    return re.sub(r" ;[^\\\n]*", " ", pin, count=1)


def _pip(target: Path, pins: str, options: tuple[str, ...]) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        file.write(pins)
        file.flush()
        command = (sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check")
        subprocess.run([*command, *options, "--no-deps", "--require-hashes", "-r", file.name, "-d", target], check=True)


def _unpacked(archive: Path, target: Path) -> Path:
    """Unpack a wheel or an sdist; an sdist's own top folder is left out."""
    target.mkdir(parents=True)
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as file:
            for member in file.infolist():
                file.extract(member, target)
                (target / member.filename).chmod(0o755 if member.external_attr >> 16 & 0o100 else 0o644)
        return target
    with tarfile.open(archive) as file:
        file.extraction_filter = getattr(tarfile, "data_filter", None)  # Debian 12's Python does not know it yet
        file.extractall(target)  # noqa: S202 - its hash is pinned
    (inner,) = target.iterdir()
    return inner


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
