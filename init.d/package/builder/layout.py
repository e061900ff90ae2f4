# ruff: noqa: INP001 - run from its own folder
"""What of this repository lies where on the router, and what the package manager is told."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[3]
INITD = ROOT / "init.d"
PACKAGE = INITD / "package"

HOME = "usr/lib/dmsfw"
PYTHON = f"{HOME}/python"
SHIMS = f"{HOME}/shim"
LICENCES = f"{HOME}/licences"
LAST = (
    "usr/share/nftables.d/chain-post/srcnat/10-dmsfw.nft",
    "usr/share/nftables.d/chain-pre/forward/10-dmsfw.nft",
    f"{HOME}/whole",
)
"""Unpacked last, in this order. The jumps come behind what they lead to, or a firewall4 that starts after an
interrupted installation would load nothing. Without `whole` one was interrupted, and the launcher says so."""


class Place(NamedTuple):
    """A file of init.d/ and where it lands."""

    source: str
    target: str
    mode: int = 0o644


PLACES = (
    Place("dmsfw", "etc/init.d/dmsfw", 0o755),
    Place("files/dmsfw.config", "etc/config/dmsfw"),
    Place("files/dmsfw.hotplug", "etc/hotplug.d/firewall/95-dmsfw"),
    Place("files/dmsfw.hotplug", "etc/hotplug.d/iface/95-dmsfw"),
    Place("files/dmsfw.keep", "lib/upgrade/keep.d/dmsfw"),
    Place("files/dmsfw.launcher", "usr/bin/dmsfw", 0o755),
    Place("files/dmsfw.rpcd", "usr/libexec/rpcd/dmsfw", 0o755),
    Place("files/dmsfw.acl.json", "usr/share/rpcd/acl.d/dmsfw.json"),
    Place("files/dmsfw.completion", "usr/share/bash-completion/completions/dmsfw"),
    Place("files/nftables.d/table-pre.nft", "usr/share/nftables.d/table-pre/10-dmsfw.nft"),
    Place("files/nftables.d/forward.nft", "usr/share/nftables.d/chain-pre/forward/10-dmsfw.nft"),
    Place("files/nftables.d/srcnat.nft", "usr/share/nftables.d/chain-post/srcnat/10-dmsfw.nft"),
    Place("files/bytecode", f"{HOME}/bytecode", 0o755),
    Place("files/includes", f"{HOME}/includes", 0o755),
    Place("files/start.py", f"{HOME}/start.py"),
)

DEPENDS = (
    "python3-light",
    "python3-asyncio",
    "python3-codecs",
    "python3-ctypes",
    "python3-decimal",
    "python3-email",
    "python3-logging",
    "python3-urllib",
    "python3-uuid",
)
"""Packages of OpenWrt 22.03, 23.05 and 24.10. Python's modules are spread over more of them than these; a test runs
dmsfw without the others. The libraries of iptables are not among them: a router with firewall4 has no use for them, and
the launcher looks for them."""

SCRIPTS = ("postinst", "prerm", "postrm")


def version() -> str:
    """Return the version, which stands in one place."""
    text = (ROOT / "daemon/dmsfw/__init__.py").read_text("utf-8")
    found = re.search(r'^__version__ = "([0-9.]+)"$', text, re.MULTILINE)
    if found is None:
        raise SystemExit("no __version__ in daemon/dmsfw/__init__.py")
    return found[1]


def install_own(root: Path) -> None:
    """Put the files of this repository into `root`."""
    for place in PLACES:
        target = root / place.target
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(INITD / place.source, target)
        target.chmod(place.mode)
    for source in sorted((ROOT / "daemon/dmsfw").rglob("*.py")):
        target = root / PYTHON / source.relative_to(ROOT / "daemon")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    for source in sorted((PACKAGE / "slim").glob("*.py")):
        shutil.copyfile(source, root / PYTHON / source.name)
    licences = root / LICENCES / "dmsfw"
    licences.mkdir(parents=True)
    shutil.copyfile(ROOT / "LICENSE", licences / "LICENSE")


def finish(root: Path) -> None:
    """Add the file by which an installation is known to be whole."""
    (root / LAST[-1]).write_text(f"{version()}\n", "utf-8")


def control(installed_size: int) -> dict[str, tuple[bytes, int]]:
    """Return the package manager's files: name to content and mode."""
    folder = PACKAGE / "control"
    fields = {"version": version(), "depends": ", ".join(DEPENDS), "installed_size": str(installed_size)}
    files = {
        "control": ((folder / "control").read_text("utf-8").format(**fields).encode(), 0o644),
        "conffiles": ((folder / "conffiles").read_bytes(), 0o644),
    }
    return files | {name: ((folder / name).read_bytes(), 0o755) for name in SCRIPTS}
