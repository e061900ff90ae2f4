"""Where the hook may stand among other people's rules, firewall3's recorded ones first of all."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from dmsfw.enforce.place import Gap, ahead, gap, is_firewall3
from dmsfw.enforce.render import TableName
from dmsfw.enforce.tables import Entry
from tests.contract.fake import foreign_entry
from tests.unit.enforce_support import AHEAD, NAT_ZONES, ZONES

RECORDED = Path(__file__).parents[1] / "cases" / "openwrt"


def recorded(file: str, table: str, chain: str) -> list[Entry]:
    text = (RECORDED / file).read_text(encoding="utf-8")
    section = text.partition(f"*{table}\n")[2].partition("COMMIT")[0]
    lines = [line.partition(f"-A {chain} ")[2] for line in section.splitlines() if line.startswith(f"-A {chain} ")]
    return [foreign_entry(line) for line in lines]


def entries(*texts: str) -> list[Entry]:
    return [foreign_entry(text) for text in texts]


@pytest.mark.parametrize("file", ["fw3.iptables-save.txt", "fw3.ip6tables-save.txt"])
def test_on_the_recorded_router_it_stands_behind_the_accept_of_established_traffic(file: str) -> None:
    rules = recorded(file, "filter", "FORWARD")
    place = gap("filter", rules)
    assert place.first == place.last == place.best
    assert rules[place.best - 1].target == "ACCEPT"
    assert "ESTABLISHED" in rules[place.best - 1].states
    assert shlex.split(rules[place.best].text)[:2] == ["-i", "eth-lan"]


def test_on_the_recorded_router_the_nat_hook_stands_last() -> None:
    rules = recorded("fw3.iptables-save.txt", "nat", "POSTROUTING")
    assert gap("nat", rules) == Gap(len(rules), len(rules), len(rules))


OWNER = "-i eth7 -j DROP"


@pytest.mark.parametrize(
    ("table", "rules", "expected"),
    [
        ("filter", [], Gap(0, 0, 0)),
        ("filter", [OWNER, OWNER], Gap(0, 2, 0)),
        ("filter", ["-j DOCKER-USER", OWNER], Gap(0, 2, 1)),
        ("filter", [OWNER, "-j DOCKER-USER", OWNER], Gap(0, 3, 2)),
        ("filter", [AHEAD[0], AHEAD[2], *ZONES], Gap(2, 2, 2)),
        ("filter", [AHEAD[0], AHEAD[2], AHEAD[3], *ZONES], Gap(3, 3, 3)),
        ("filter", [AHEAD[0], AHEAD[1], AHEAD[2], *ZONES], Gap(3, 3, 3)),
        ("filter", [OWNER, AHEAD[0], OWNER, AHEAD[2], OWNER, *ZONES, OWNER], Gap(4, 5, 4)),
        ("filter", [*ZONES], Gap(0, 0, 0)),
        ("filter", [OWNER, *ZONES], Gap(0, 1, 0)),
        ("filter", [AHEAD[0], AHEAD[2]], Gap(2, 2, 2)),
        ("filter", [AHEAD[0], AHEAD[2], OWNER], Gap(2, 3, 2)),
        ("filter", ["-j DOCKER-USER", AHEAD[0], AHEAD[2], *ZONES], Gap(3, 3, 3)),
        ("nat", [], Gap(0, 0, 0)),
        ("nat", [OWNER], Gap(0, 1, 1)),
        ("nat", [*NAT_ZONES], Gap(2, 2, 2)),
        ("nat", [OWNER, *NAT_ZONES, OWNER], Gap(3, 4, 4)),
    ],
)
def test_the_gap_for_the_hook(table: TableName, rules: list[str], expected: Gap) -> None:
    assert gap(table, entries(*rules)) == expected


def test_an_accept_or_a_drop_of_firewall3s_that_is_about_something_else_is_a_zones() -> None:
    new = '-m conntrack --ctstate NEW -m comment --comment "!fw3: Allow" -j ACCEPT'
    dropped = '-m conntrack --ctstate ESTABLISHED -m comment --comment "!fw3" -j DROP'
    for rule in (new, dropped):
        assert gap("filter", entries(AHEAD[0], AHEAD[2], rule, *ZONES)) == Gap(2, 2, 2)


def test_only_its_comment_makes_a_rule_firewall3s() -> None:
    assert [is_firewall3(foreign_entry(text)) for text in (*AHEAD, *ZONES)] == [True] * 7
    assert not is_firewall3(foreign_entry(OWNER))
    assert not is_firewall3(foreign_entry('-m comment --comment "not !fw3" -j ACCEPT'))


def test_what_stands_ahead_is_told_without_the_frame() -> None:
    rules = entries(AHEAD[0], OWNER, AHEAD[2], AHEAD[3], ZONES[0], OWNER)
    assert [entry.text for entry in ahead("filter", rules, 5)] == [OWNER, ZONES[0]]
    assert [entry.text for entry in ahead("nat", entries(NAT_ZONES[0], OWNER), 2)] == [OWNER]
