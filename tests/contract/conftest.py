"""The suite edits firewalls: it runs only where it meets no other (tests/contract/run makes such a place)."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.benches import Bench, FakeBench, KernelBench

CLONE_NEWNET = 0x40000000
OUTSIDE = "CONTRACT_OUTSIDE"
_libc = ctypes.CDLL(None, use_errno=True)


def _refusal() -> str:
    outside = os.environ.get(OUTSIDE, "").split()
    if not outside:
        return "not started by tests/contract/run"
    here = [str(Path("/proc/self/ns", kind).readlink()) for kind in ("net", "mnt")]
    shared = [namespace for namespace in here if namespace in outside]
    return f"{' and '.join(shared)} are those that it was started in" if shared else ""


def pytest_configure() -> None:
    reason = _refusal()
    if reason:
        pytest.exit(f"the contract tests edit firewalls, run them by `tests/contract/run`: {reason}", returncode=4)


@pytest.fixture
def namespace() -> None:
    """A network namespace without any table, for this test and the processes that it starts."""
    own_network()


def own_network() -> None:
    """Leave for a network namespace without any table. Raises: OSError."""
    if _libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


@pytest.fixture
def kernel(namespace: None) -> Iterator[KernelBench]:  # noqa: ARG001 - it is needed, not looked at
    bench = KernelBench()
    yield bench
    bench.close()


@pytest.fixture(params=["fake", "kernel"])
def bench(request: pytest.FixtureRequest) -> Bench:
    """Tables in memory, then those of the kernel: whatever holds of one has to hold of the other."""
    if request.param == "fake":
        return FakeBench()
    found: Bench = request.getfixturevalue("kernel")
    return found
