"""The tables in memory and the kernel's, side by side through the same random life: they end alike, word for word."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from dmsfw.enforce.iptables import Iptables
from dmsfw.enforce.render import TABLES, TableKey
from dmsfw.model import Grant
from tests.contract.benches import Bench, FakeBench, KernelBench
from tests.contract.test_tables import FILTER, FILTER6, NAT, grant, texts

STEPS = 12
COMMENT = '-m comment --comment "{}"'
RULES = (
    "-i eth7 -j DROP",
    f"{COMMENT.format('!fw3: Custom forwarding rule chain')} -j forwarding_rule",
    f"-m conntrack --ctstate RELATED,ESTABLISHED {COMMENT.format('!fw3')} -j ACCEPT",
    f"-i eth-lan {COMMENT.format('!fw3')} -j DROP",
    f"-i eth8 {COMMENT.format('dmsfw:0123456789ab old')} -j ACCEPT",
    "-j DMSFW-FORWARD",
)
WANTED = (grant(465), grant(587), grant(465, "br-b"), grant(465, subnet="fd00::/64"))


def foreign_step(dice: random.Random, bench: KernelBench) -> Iterator[tuple[TableKey, str]]:
    """One thing that somebody else does, possible in the table as it is now."""
    key = dice.choice((FILTER, FILTER6))
    chain = dice.choice(("FORWARD", "INPUT", "DMSFW-FORWARD"))
    there = bench.tables.read(key).chain(chain)
    owned = bench.tables.read(key).chain("DMSFW-FORWARD") is not None
    rule = dice.choice(RULES if owned and chain != "DMSFW-FORWARD" else RULES[:-1])
    if there is None:
        return
    if there and dice.random() < 0.4:
        yield key, f"-D {chain} {dice.randint(1, len(there))}"
    elif dice.random() < 0.1:
        yield key, f"-F {chain}"
    else:
        yield key, f"-I {chain} {dice.randint(1, len(there) + 1)} {rule}"


@pytest.mark.parametrize("seed", range(12))
def test_the_same_life_ends_alike_in_memory_and_in_the_kernel(kernel: KernelBench, seed: int) -> None:
    dice = random.Random(seed)
    memory = FakeBench()
    benches: tuple[Bench, ...] = (memory, kernel)
    enforcers = [Iptables(bench.tables) for bench in benches]
    for bench in benches:
        for key in (FILTER, FILTER6):
            bench.foreign(key, "-N forwarding_rule")
    for _ in range(STEPS):
        for _ in range(dice.randint(0, 3)):
            for key, command in foreign_step(dice, kernel):
                for bench in benches:
                    bench.foreign(key, command)
        wanted: list[Grant] = dice.sample(WANTED, dice.randint(0, len(WANTED)))
        signs = [[change.sign for change in enforcer.converge(wanted).changes] for enforcer in enforcers]
        assert signs[0] == signs[1]
        assert memory.made() == kernel.made()
        for key in TABLES:
            if key in memory.made():
                assert sorted(texts(memory.saved(key))) == sorted(texts(kernel.saved(key)))
                order = [line for line in texts(memory.saved(key)) if line.startswith(f"-A {key.builtin} ")]
                assert order == [line for line in texts(kernel.saved(key)) if line.startswith(f"-A {key.builtin} ")]
    assert NAT in memory.made()
