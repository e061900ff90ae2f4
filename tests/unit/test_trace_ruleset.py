"""What iptables-save prints, read: comments that are hostile, lines that are odd, listings that break off."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmsfw.trace.ruleset import Ruleset, parse
from dmsfw.trace.tokens import MAX_LINES_OF_A_RULE, whole_lines, words
from tests.unit.trace_support import answer, packet

CASES = Path(__file__).parents[1] / "cases"

DROP_AFTER = "[0:0] -A FORWARD -j DROP"


def chain(*lines: str, name: str = "FORWARD") -> list[str]:
    found = read(*lines)
    return [rule.text for rule in found.tables["filter"].chains[name].rules]


def read(*lines: str) -> Ruleset:
    return parse("\n".join(["*filter", ":FORWARD ACCEPT [1:2]", ":user - [0:0]", *lines, "COMMIT", ""]), 4)


@pytest.mark.parametrize("family", ["", "6"])
def test_all_of_a_recorded_ruleset_is_understood(family: str) -> None:
    text = (CASES / "openwrt" / f"fw3.ip{family}tables-save.txt").read_text()
    found = parse(text, 6 if family else 4)
    assert found.fault == ""
    rules = [rule for table in found.tables.values() for chain in table.chains.values() for rule in chain.rules]
    assert len(rules) == sum(line.startswith("-A") for line in text.splitlines())
    assert {rule.parsed.target for rule in rules} >= {"REJECT", "ACCEPT", "reject", "zone_wan_dest_ACCEPT"}
    assert "not understood" not in {rule.parsed.target for rule in rules}


def test_chains_have_their_policy_counters_and_rules_in_order() -> None:
    found = read("[5:300] -A FORWARD -j user", "[6:1] -A user -j ACCEPT", "[7:1] -A FORWARD -j DROP")
    forward = found.tables["filter"].chains["FORWARD"]
    assert (forward.policy, forward.packets) == ("ACCEPT", 1)
    assert [(rule.number, rule.packets, rule.text) for rule in forward.rules] == [
        (1, 5, "-A FORWARD -j user"),
        (2, 7, "-A FORWARD -j DROP"),
    ]
    assert found.tables["filter"].chains["user"].policy == ""


@pytest.mark.parametrize(
    ("written", "comment"),
    [
        ('"a \\"b\\" c"', 'a "b" c'),
        ('"it\\\'s"', "it's"),
        ('"back \\\\ slash"', "back \\ slash"),
        ('"-j ACCEPT"', "-j ACCEPT"),
        ("--dport", "--dport"),
        ("!", "!"),
        ("-j", "-j"),
        ('"\x1b]0;mine\x07"', "\x1b]0;mine\x07"),
        ('"two\nlines"', "two\nlines"),
        ('"x\n[0:0] -A FORWARD -j ACCEPT\n*nat\nCOMMIT"', "x\n[0:0] -A FORWARD -j ACCEPT\n*nat\nCOMMIT"),
        ('""', ""),
    ],
)
def test_a_comment_is_what_was_written_and_never_a_rule(written: str, comment: str) -> None:
    found = read(f"[0:0] -A FORWARD -s 9.9.9.9/32 -m comment --comment {written} -j user", DROP_AFTER)
    assert found.fault == ""
    first, second = found.tables["filter"].chains["FORWARD"].rules
    assert (first.parsed.comment, first.parsed.target) == (comment, "user")
    assert second.parsed.target == "DROP"


def test_a_device_with_a_quote_in_its_name_opens_no_quote() -> None:
    found = chain('[0:0] -A FORWARD -i x"y -j ACCEPT', DROP_AFTER)
    assert found == ['-A FORWARD -i x"y -j ACCEPT', "-A FORWARD -j DROP"]
    assert answer('-i x"y -j ACCEPT', packet(in_device='x"y')).matches is True


def test_two_of_them_quote_nothing_between() -> None:
    odd = '-A FORWARD -i x"y -j ACCEPT'
    assert chain(f"[0:0] {odd}", DROP_AFTER, f"[0:0] {odd}") == [odd, "-A FORWARD -j DROP", odd]


def test_a_quote_that_is_never_closed_spoils_its_own_rule_only() -> None:
    found = read('[0:0] -A FORWARD -m comment --comment "open -j ACCEPT', DROP_AFTER)
    first, second = found.tables["filter"].chains["FORWARD"].rules
    assert first.parsed.target == "not understood"
    assert second.parsed.target == "DROP"
    assert answer('-m comment --comment "open', packet()).matches is None


@pytest.mark.parametrize(
    "line", ["", "-i", "-s 1.2.3.4 -m", "!", "-j", '-m comment --comment "a"b', "-m comment --comment"]
)
def test_a_rule_that_breaks_off_may_match_or_not(line: str) -> None:
    rule = read(f"[0:0] -A FORWARD {line}").tables["filter"].chains["FORWARD"].rules[0]
    assert rule.parsed.target in {"", "not understood"}
    if line:
        assert answer(line, packet(src="1.2.3.4")).matches is None


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("*filter\n:FORWARD ACCEPT [0:0]\n", "table filter breaks off"),
        ("*filter\nwhat is this\nCOMMIT\n", "not understood: what is this"),
        ("-A FORWARD -j ACCEPT\n", "not understood: -A FORWARD"),
        ("*filter\n:FORWARD ACCEPT [0:0]\nCOMMIT\n-A FORWARD -j ACCEPT\n", "not understood: -A FORWARD"),
        ("# Table `nat' is incompatible, use 'nft' tool.\n", "Table `nat' is incompatible"),
        ("# Warning: iptables-legacy tables present\n*filter\nCOMMIT\n", ""),
        ("", ""),
    ],
)
def test_a_listing_that_is_not_whole_says_so(text: str, fault: str) -> None:
    found = parse(text, 4)
    assert fault in found.fault
    assert bool(found.fault) is bool(fault)


def test_a_rule_of_a_chain_that_nobody_declared_is_kept() -> None:
    assert chain("[0:0] -A stray -j DROP", name="stray") == ["-A stray -j DROP"]


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n\0"), max_size=40), max_size=6))
def test_quoting_and_reading_give_the_same_words(texts: list[str]) -> None:
    escaped = [text.replace("\\", "\\\\").replace('"', '\\"').replace("'", "\\'") for text in texts]
    line = " ".join(f'"{text}"' for text in escaped)
    assert words(line) == texts
    assert list(whole_lines(f"{line}\nnext")) == [line, "next"]


@given(st.text(alphabet='"\\ \na-A:*[]0', max_size=120))
def test_no_text_makes_it_fail_or_lose_a_line(text: str) -> None:
    assert "\n".join(whole_lines(text)) == text
    for table in parse(text, 4).tables.values():
        for one in table.chains.values():
            assert all(rule.parsed is not None for rule in one.rules)


def test_a_quote_that_stays_open_for_long_is_not_looked_after() -> None:
    text = '"' + "\nline" * MAX_LINES_OF_A_RULE + '\n"'
    assert next(whole_lines(text)) == '"'
