"""How many rulesets are generated, and which ends have to be among what is compared."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings

HERE = Path(__file__).parents[3]
A_FEW = 60
"""Enough to see it run."""

KINDS = ("sure passes", "sure dropped", "sure rejected", "unsure uncertain", "to the host", "through", "DNAT", "SNAT",
         "ESTABLISHED passes", "INVALID passes", "RELATED passes")  # fmt: skip


def thorough(rulesets: int) -> settings:
    """So many of them on the last Python of those here (the first measures coverage); on the others a few."""
    names = subprocess.run([HERE / "tests" / "environments"], capture_output=True, text=True, check=True).stdout.split()
    is_last = names[-1] == f"{sys.version_info.major}.{sys.version_info.minor}"
    return settings(
        max_examples=rulesets if is_last else A_FEW,
        deadline=None,
        phases=(Phase.reuse, Phase.generate),  # what differs says all of itself; to shrink it takes minutes
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
    )
