"""The contract tests edit firewalls: started outside of namespaces of their own they refuse, and touch nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("claimed", "reason"),
    [
        ("", "not started by tests/contract/run"),
        (str(Path("/proc/self/ns/net").readlink()), "net:["),
        (str(Path("/proc/self/ns/mnt").readlink()), "mnt:["),
    ],
)
def test_outside_of_namespaces_of_their_own_they_refuse(claimed: str, reason: str) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "tests/contract"],
        cwd=REPOSITORY,
        env={**os.environ, "CONTRACT_OUTSIDE": claimed},
        capture_output=True,
        check=False,
        text=True,
    )
    assert answer.returncode == 4
    assert reason in answer.stderr + answer.stdout
    assert "passed" not in answer.stdout
