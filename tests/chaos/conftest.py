"""What all tests of the chaos share."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos import scene


@pytest.fixture(scope="session", autouse=True)
def _equipped() -> Iterator[None]:
    """Bring what is missing, and keep bytecode: each start of dmsfw takes half the time then."""
    subprocess.run([Path(__file__).with_name("bootstrap")], check=True)
    with scene.compiled():
        yield
