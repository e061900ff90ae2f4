"""A configuration folder to load from, and what loading it gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from dmsfw.config import Loaded, load
from dmsfw.errors import SettingsError

ROOT = Path(__file__).parents[2]
CASES = ROOT / "tests/cases/config"
OPENWRT = ROOT / "tests/cases/openwrt"
SHIPPED = ROOT / "init.d/files/dmsfw.config"

MAIN = "config dmsfw 'main'\n"
SMTPS = "config egress 'smtps'\n\toption network 'a'\n\toption dest_port '465'\n"


def loaded(folder: Path, text: str | bytes, *, firewall: str | None = None, network: str | None = None) -> Loaded:
    """Write the three files, as far as they are given, and load the first."""
    (folder / "dmsfw").write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape"))
    for name, content in (("firewall", firewall), ("network", network)):
        if content is not None:
            (folder / name).write_bytes(content.encode("utf-8", "surrogateescape"))
    return load(folder / "dmsfw")


def problems(folder: Path, text: str | bytes) -> tuple[str, ...]:
    """Return the problems for which a file is refused."""
    with pytest.raises(SettingsError) as refused:
        loaded(folder, text)
    return refused.value.problems


def egress(*lines: str) -> str:
    """Write a whole file with one egress section that selects a network, and these lines."""
    return "".join((MAIN, "config egress 'x'\n\tlist network 'a'\n", *(f"\t{line}\n" for line in lines)))
