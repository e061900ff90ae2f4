"""nft, unpacked, and the ruleset that a real firewall4 made."""

from __future__ import annotations

from tests.lab import paths

NFT = paths.CACHE / "nft" / "bin" / "nft"
RULESET = paths.RECORDED / "fw4.nft.txt"
INCLUDES = paths.ROOT / "init.d" / "files" / "nftables.d"
"""The package's include files, by the names that they have in this repository."""


def folder() -> str:
    """Return the folder that belongs on the PATH. Raises: LabError."""
    if not NFT.exists():
        raise paths.LabError(f"nft is missing from .cache/lab: {paths.REMEDY}")
    return str(NFT.parent)
