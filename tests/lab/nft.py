"""nft, unpacked, and the ruleset that a real firewall4 made."""

from __future__ import annotations

from pathlib import Path

from tests.lab import paths

NFT = paths.CACHE / "nft" / "bin" / "nft"
"""A script that lets the program find its libraries."""

PROGRAM = paths.CACHE / "nft" / "usr" / "sbin" / "nft"
RULESET = paths.RECORDED / "fw4.nft.txt"
INCLUDES = paths.ROOT / "init.d" / "files" / "nftables.d"
"""The package's include files, by the names that they have in this repository."""


def folder() -> str:
    """Return the folder that belongs on the PATH. Raises: LabError."""
    if not NFT.exists():
        raise paths.LabError(f"nft is missing from .cache/lab: {paths.REMEDY}")
    return str(NFT.parent)


def libraries() -> Path:
    """Return the folder of its libraries. Raises: LabError."""
    for library in (paths.CACHE / "nft").glob("**/libnftables.so.1"):
        return library.parent
    raise paths.LabError(f"nft's libraries are missing from .cache/lab: {paths.REMEDY}")
