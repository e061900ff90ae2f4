"""`explain`'s model of nftables held against the kernel, as test_trace_kernel.py does for iptables.

What is compared: for each packet whether it came out, by which device or to the host itself, and with which addresses
and ports; for each rule, how many packets it counted; how many answers a reject sent. Not in it, since this kernel has
none: flow tables, and queues that nobody serves.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contract.firewall4_bench import ruleset
from tests.contract.tracing.compare import Comparison
from tests.contract.tracing.flows import flows
from tests.contract.tracing.generator import Generator
from tests.contract.tracing.nft_generator import NftGenerator
from tests.contract.tracing.nft_tables import Both, NftTables
from tests.contract.tracing.router import LAN, SECOND, WAN, Router
from tests.contract.tracing.tables import Refused
from tests.contract.tracing.thorough import KINDS, thorough
from tests.lab.nft import folder

HERE = Path(__file__).parents[2]


ENOUGH = 80
"""Rulesets after which every kind of end has been seen."""


@pytest.fixture
def nft(namespace: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:  # noqa: ARG001 - it is needed
    """A folder for files, and an nft to be found."""
    monkeypatch.setenv("PATH", folder(), prepend=":")
    with tempfile.TemporaryDirectory() as where:
        yield Path(where)


@pytest.fixture
def comparison(nft: Path) -> Iterator[Comparison]:
    router, tables = Router(), NftTables(nft)
    yield Comparison(router, tables)
    tables.close()
    router.close()


@pytest.fixture
def both(nft: Path) -> Iterator[tuple[Comparison, Both]]:
    router, tables = Router(), Both(nft)
    yield Comparison(router, tables), tables
    tables.close()
    router.close()


@given(random=st.randoms(use_true_random=False), family=st.sampled_from((4, 6)))
@thorough(300)
def test_kernel_and_model_agree_on_generated_rules_of_nftables(
    comparison: Comparison, random: Random, family: int
) -> None:
    with suppress(Refused):  # a few contradict themselves, and nft says so
        comparison.hold(NftGenerator(random, family).ruleset(), random, family)


@pytest.mark.parametrize("family", [4, 6])
def test_what_is_compared_of_nftables_holds_every_kind_of_end(comparison: Comparison, family: int) -> None:
    for seed in range(ENOUGH):
        random = Random(seed)
        with suppress(Refused):
            comparison.hold(NftGenerator(random, family).ruleset(), random, family)
    assert [kind for kind in KINDS if not comparison.tally.seen[kind]] == []
    assert comparison.tally.seen["rulesets"] > ENOUGH * 0.8


@pytest.mark.parametrize("family", [4, 6])
def test_kernel_and_model_agree_where_iptables_is_in_between(both: tuple[Comparison, Both], family: int) -> None:
    comparison, tables = both
    for seed in range(ENOUGH):
        random = Random(seed)
        tables.beside = Generator(random, family).ruleset()
        with suppress(Refused):
            comparison.hold(NftGenerator(random, family, beside=True).ruleset(), random, family)
    assert comparison.tally.seen["rulesets"] > ENOUGH * 0.8


DEVICES = {"docker0": LAN, "pppoe-wan": WAN, "eth-lan": SECOND}
"""Those of the recorded rules, and what stands for each here."""

GRANTS = {
    4: ("out4", "10.1.0.0/24", "nat4", "10.1.0.2"),
    6: ("out6", "fd00:1::/64", "nat6", "fd00:1::2"),
}


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("family", [4, 6])
def test_kernel_and_model_agree_on_the_rules_of_firewall4(comparison: Comparison, family: int, *, known: bool) -> None:
    """`known`: the zone docker has the clients' bridge; else only dmsfw's sets say what it may."""
    text = ruleset(includes=True)
    for theirs, ours in DEVICES.items():
        text = text.replace(theirs, ours if known or ours != LAN else "docker9")
    out, subnet, nat, client = GRANTS[family]
    more = "".join(
        f'add element inet fw4 dmsfw1_{name} {{ "{LAN}" . "{WAN}" . {whom} . {what} comment "dmsfw:0a it" }}\n'
        for name, whom, what in ((out, subnet, "tcp . 465"), (nat, client, "udp . 1-100"))
    )
    for seed in range(20):
        listed = comparison.load(text, more, family)
        comparison.hold_flows(list(flows(Random(seed), family, 6)), listed, family)
    assert comparison.tally.seen["through"]
    assert known or comparison.tally.seen["sure rejected"]
