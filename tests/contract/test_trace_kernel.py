"""`explain`'s model held against the kernel: the same rules, the same packets, and they have to agree.

What is compared: for each packet whether it came out, by which device or to the host itself, and with which addresses
and ports; for each rule of each table, and each policy, how many packets it counted; how many answers REJECT sent.

All matches and targets that `explain` knows are in it, but for two: `-m set` (the kernel has sets, but no `ipset` is
here to be asked) and FULLCONENAT (foreign to this kernel). Those have unit tests only. A limit and a statistic are
generated so that they always match, which is what is assumed of them.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contract.tracing.compare import Comparison
from tests.contract.tracing.flows import flows
from tests.contract.tracing.generator import Generator
from tests.contract.tracing.pools import REFUSED
from tests.contract.tracing.router import LAN, SECOND, WAN, Router
from tests.contract.tracing.tables import Refused, Tables
from tests.contract.tracing.thorough import KINDS, thorough

HERE = Path(__file__).parents[2]
CASES = HERE / "tests" / "cases"


ENOUGH = 60
"""Rulesets after which every kind of end has been seen."""

MANY = 10 * ENOUGH
"""Generated rulesets at most, of which iptables-nft 1.8.7 refuses five of six for IPv6."""


@pytest.fixture
def comparison(namespace: None) -> Iterator[Comparison]:  # noqa: ARG001 - it is needed, not looked at
    with tempfile.TemporaryDirectory() as folder:
        router, tables = Router(), Tables(Path(folder))
        yield Comparison(router, tables)
        tables.close()
        router.close()


@given(random=st.randoms(use_true_random=False), family=st.sampled_from((4, 6)))
@thorough(2000)
def test_kernel_and_model_agree_on_generated_rules(comparison: Comparison, random: Random, family: int) -> None:
    comparison.hold(Generator(random, family).ruleset(), random, family)


@pytest.mark.parametrize("family", [4, 6])
def test_what_is_compared_holds_every_kind_of_end(comparison: Comparison, family: int) -> None:
    for seed in range(ENOUGH):
        random = Random(seed)
        comparison.hold(Generator(random, family).ruleset(), random, family)
    assert [kind for kind in KINDS if not comparison.tally.seen[kind]] == []


@pytest.mark.parametrize("family", [4, 6])
def test_kernel_and_model_agree_on_rules_of_iptables_nft(namespace: None, tmp_path: Path, family: int) -> None:  # noqa: ARG001
    router, tables = Router(), Tables(tmp_path, "nft")
    comparison = Comparison(router, tables)
    for seed in range(MANY):
        if seed >= ENOUGH and comparison.tally.seen["rulesets"] > ENOUGH / 2:
            break
        random = Random(seed)
        with suppress(Refused):  # some matches and targets are not allowed where nothing leads to
            comparison.hold(Generator(random, family, distinct=True).ruleset(), random, family)
    tables.close()
    router.close()
    assert comparison.tally.seen["rulesets"] > ENOUGH / 2


@pytest.mark.parametrize("docker", [False, True])
@pytest.mark.parametrize("family", [4, 6])
def test_kernel_and_model_agree_on_the_rules_of_firewall3(comparison: Comparison, family: int, *, docker: bool) -> None:
    recorded = CASES / "openwrt" / f"fw3.ip{'' if family == 4 else '6'}tables-save.txt"
    added = (CASES / "trace" / "docker.rules").read_text() if docker and family == 4 else ""
    rules, more = _on_our_router(recorded.read_text(), family), _on_our_router(added, family)
    for seed in range(40):
        listed = comparison.load(rules, more, family)
        comparison.hold_flows(list(flows(Random(seed), family, 6)), listed, family)


DEVICES = {"docker0": LAN, "pppoe-wan": WAN, "eth-lan": SECOND}
"""Those of the recorded rules, and what stands for each here."""


def _on_our_router(text: str, family: int) -> str:
    """Recorded rules for this router, which drops and counts what it sends of itself (see router.py)."""
    for theirs, ours in (*DEVICES.items(), ("172.17.0.0/16", "10.1.0.0/24"), ("172.17.", "10.1.")):
        text = text.replace(theirs, ours)
    raw = re.compile(r"(\*raw\n.*?\n):OUTPUT ACCEPT(.*?)\nCOMMIT", re.DOTALL)
    rules = "\n".join(REFUSED[family])
    return raw.sub(lambda found: f"{found[1]}:OUTPUT DROP{found[2]}\n{rules}\nCOMMIT", text, count=1)
