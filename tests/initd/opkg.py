"""Plays opkg in the lab: a package is unpacked, its scripts are run at the same moments, its configuration is kept."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

from tests.initd.openwrt import OpenWrt
from tests.lab import paths
from tests.lab.process import Text

INFO = "/usr/lib/opkg/info"
KEPT_BESIDE = "-opkg"


def build(folder: Path, python: Path = Path(sys.executable), **environment: str) -> Path:
    """Build the package into a folder, and return it. Downloads are kept between runs."""
    command = [paths.ROOT / "init.d/package/build", "--output", folder]
    subprocess.run(command, env=os.environ | environment | {"PYTHON": str(python)}, check=True, cwd=folder)
    (package,) = folder.glob("*.ipk")
    return package


class Archive:
    """A file .ipk."""

    def __init__(self, path: Path) -> None:
        with tarfile.open(path, "r:gz") as outer:
            self.names = outer.getnames()
            self.parts = {name: _content(outer, name) for name in self.names}
        self.members, self._data = _read(self.parts["./data.tar.gz"])
        _, self._control = _read(self.parts["./control.tar.gz"])

    def control(self, name: str) -> str:
        """Return one of the package manager's own files."""
        return self._control[f"./{name}"].decode()

    def fields(self) -> dict[str, str]:
        """Return the one-line fields of the control file."""
        lines = (line.partition(": ") for line in self.control("control").splitlines() if not line.startswith(" "))
        return {name: value for name, _, value in lines}

    def content(self, name: str) -> bytes:
        """Return a file, named as on the router: /usr/bin/dmsfw."""
        return self._data[f".{name}"]

    @property
    def files(self) -> dict[str, tarfile.TarInfo]:
        """Every file, by its name on the router, in the order of the archive."""
        return {member.name[1:]: member for member in self.members if member.isfile()}


class Opkg:
    """The package manager of one router, for one package."""

    def __init__(self, router: OpenWrt) -> None:
        self.router = router

    def install(self, archive: Archive, *, interrupted_at: str = "") -> Text | None:
        """Install, or upgrade what is installed; return what postinst did.

        `interrupted_at`: unpack only as far as that file, as when the flash is full or the power goes.
        """
        upgrade = {"PKG_UPGRADE": "1"} if self.router.path(f"{INFO}/dmsfw.list").exists() else {}
        if upgrade:
            self.script("prerm", "upgrade", upgrade)
        before = self.listed()
        for name in ("control", "conffiles", "postinst", "prerm", "postrm"):
            self.router.put(f"{INFO}/dmsfw.{name}", archive.control(name), 0o755)
        self.router.put(f"{INFO}/dmsfw.list", "".join(f"{name}\n" for name in archive.files))
        for name, member in archive.files.items():
            if name == interrupted_at:
                return None
            self._unpack(archive, name, member.mode)
        for name in before - set(archive.files):
            self.router.path(name).unlink(missing_ok=True)
        return self.script("postinst", "configure", upgrade)

    def remove(self) -> Text:
        """Remove it; a configuration that was changed stays. Return what prerm did."""
        done = self.script("prerm", "remove", {})
        for name in self.listed():
            path = self.router.path(name)
            if name in self._configuration() and self._digest(name) != self._shipped(name):
                continue
            path.unlink(missing_ok=True)
            self._remove_empty(path.parent)
        self.script("postrm", "remove", {})
        self.router.sh(f"rm -f {INFO}/dmsfw.*")
        return done

    def listed(self) -> set[str]:
        """Return the files of the installed package."""
        file = self.router.path(f"{INFO}/dmsfw.list")
        return set(file.read_text().split()) if file.exists() else set()

    def script(self, name: str, argument: str, environment: dict[str, str]) -> Text:
        """Run one of the package's scripts, by busybox ash as all."""
        return self.router.run([f"{INFO}/dmsfw.{name}", argument], check=False, env=environment)

    def _unpack(self, archive: Archive, name: str, mode: int) -> None:
        content = archive.content(name)
        path = self.router.path(name)
        if name in archive.control("conffiles").split():
            changed = path.exists() and self._digest(name) != self._shipped(name)
            self.router.put(f"{INFO}/dmsfw.shipped", hashlib.sha256(content).hexdigest())
            if changed:
                path = path.with_name(path.name + KEPT_BESIDE)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        path.chmod(mode)

    def _configuration(self) -> list[str]:
        return self.router.path(f"{INFO}/dmsfw.conffiles").read_text().split()

    def _digest(self, name: str) -> str:
        path = self.router.path(name)
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""

    def _shipped(self, _: str) -> str:
        file = self.router.path(f"{INFO}/dmsfw.shipped")
        return file.read_text() if file.exists() else ""

    def _remove_empty(self, folder: Path) -> None:
        while not any(folder.iterdir()):
            folder.rmdir()
            folder = folder.parent


def _read(archive: bytes) -> tuple[list[tarfile.TarInfo], dict[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as inner:
        members = inner.getmembers()
        return members, {member.name: _content(inner, member.name) for member in members if member.isfile()}


def _content(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file is not None
    return file.read()
