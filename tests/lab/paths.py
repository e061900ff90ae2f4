"""Where things lie: in the repository, and in the cache that the bootstrap fills."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.lab.errors import LabError

ROOT = Path(__file__).resolve().parents[2]
LAB = ROOT / "tests" / "lab"
INSIDE = LAB / "inside"
COMPOSE_FILES = LAB / "compose"
RECORDED = ROOT / "tests" / "cases" / "openwrt"
CACHE = ROOT / ".cache" / "lab"
ENGINE = CACHE / "engine"
COMPOSE = CACHE / "compose"

REMEDY = "run tests/lab/bootstrap"


def program(name: str) -> Path:
    """Return an unpacked program of the Engine or of Compose. Raises: LabError."""
    for folder in (ENGINE / "usr/sbin", ENGINE / "usr/bin", ENGINE / "bin", COMPOSE / "usr/bin"):
        if (folder / name).exists():
            return folder / name
    raise LabError(f"{name} is missing from .cache/lab: {REMEDY}")


def system(name: str) -> Path:
    """Return a program of the machine, links resolved. Raises: LabError."""
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if found is None:
        raise LabError(f"{name} is missing on this machine: {REMEDY}")
    return Path(found).resolve()
