"""The lab: the router of the field case, real in all but the hardware, in namespaces of its own.

    with Lab() as lab:
        lab.compose("up", "-d")
        assert lab.connect("app", "smtp.example.com", 465) == "refused"

Tests, the demo and the benchmarks share it; `python -m tests.lab` opens a shell in it. `Router` is the light variant,
without Docker. Nothing of it touches the machine: namespaces.py says how it lives and ends, bootstrap what it needs.
"""

from tests.lab.errors import LabError, NotYet
from tests.lab.lab import NETWORKS, SERVICE, Lab, Network
from tests.lab.probe import Answer
from tests.lab.process import Running
from tests.lab.router import Router
from tests.lab.uplinks import DELEGATED, RESOLVER, SERVER, SERVER6
from tests.lab.wait import wait

__all__ = [
    "DELEGATED",
    "NETWORKS",
    "RESOLVER",
    "SERVER",
    "SERVER6",
    "SERVICE",
    "Answer",
    "Lab",
    "LabError",
    "Network",
    "NotYet",
    "Router",
    "Running",
    "wait",
]
