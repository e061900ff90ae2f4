"""The field case with a little more around it: what the deaths and the writers find when they begin."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.chaos import expected, tables, verdict
from tests.lab import Lab, paths
from tests.lab.router import DMSFW_ENVIRONMENT, DMSFW_RUN_DIR

MAIN = "config dmsfw 'main'\n\toption metrics_file '/run/dmsfw/dmsfw.prom'\n"
POLICY = """
config egress 'smtps'
\tlist network 'dms-*'
\tlist dest_port '465'
"""
OPEN = MAIN + POLICY
SHUT = MAIN + "\toption enabled '0'\n" + POLICY
STATUS = f"{DMSFW_RUN_DIR}/status.json"
OWNERS = """
    iptables -N owner
    iptables -A owner -s 192.0.2.1 -p tcp --dport 25 -j ACCEPT -c 1001 60060
    iptables -A INPUT -s 192.0.2.2 -m comment --comment "mine: dmsfw" -j DROP -c 1002 60120
    iptables -I FORWARD -s 192.0.2.4 -j owner -c 1003 60180
    iptables -t nat -I POSTROUTING -s 192.0.2.7 -j ACCEPT -c 1004 60240
    ip6tables -A FORWARD -s 2001:db8:ffff::1 -j ACCEPT -c 1005 60300
"""
"""Rules of the owner's, in the places where they would be in the way, with counters that no packet raises."""
SWEPT_AFTER_S = 60.0
"""The age at which a start removes a temporary file that a death left."""
OWNED = "[100"
"""What each of them begins with when counters are shown."""


@contextlib.contextmanager
def compiled() -> Iterator[None]:
    """Keep bytecode, in the cache, for as long as the block lasts: each start of dmsfw takes half the time then."""
    kept = {name: os.environ.get(name) for name in ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")}
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(paths.CACHE.parent / "bytecode")
    try:
        yield
    finally:
        for name, value in kept.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def command(*arguments: str) -> list[str]:
    """Return the command line of dmsfw in the router."""
    return [sys.executable, "-m", "dmsfw", "--config", "/etc/config/dmsfw", "--run-dir", DMSFW_RUN_DIR, *arguments]


def environment() -> dict[str, str]:
    """Return the environment in which two runs of dmsfw make the same calls."""
    return DMSFW_ENVIRONMENT | {"PYTHONHASHSEED": "0"}


def networks(lab: Lab, third: int) -> None:
    """Make the two networks anew; `third` goes into their subnets, so that the next ones have others."""
    for name, options in (
        ("dms-network", ["--subnet", f"10.80.{third}.0/24"]),
        ("dms-six", ["--ipv6", "--subnet", f"10.81.{third}.0/24", "--subnet", f"fd00:{third}::/64"]),
    ):
        lab.docker("network", "rm", name, check=False)
        lab.docker("network", "create", *options, name)


def wanted(lab: Lab, text: str, memory: expected.Memory | None = None) -> expected.Expected:
    """Say what the tables must hold under a configuration, in Docker's and netifd's world of now."""
    return expected.expected(text, expected.look(lab), memory or expected.Memory())


def age(file: Path) -> None:
    """Make a file that a death left as old as the next start must find it to sweep it out."""
    old = time.time() - 2 * SWEPT_AFTER_S
    os.utime(file, (old, old))


def faults(lab: Lab, text: str) -> list[str]:
    """Compare the tables with it."""
    return verdict.faults(tables.read(lab), wanted(lab, text))


def raise_for(found: Sequence[str], what: str) -> None:
    """Raises: AssertionError with all of it, when anything was found."""
    if found:
        raise AssertionError("\n  ".join([what, *found]))
