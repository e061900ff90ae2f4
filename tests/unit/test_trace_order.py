"""What comes first where the listing does not tell: followed both ways, and said where that makes a difference."""

from __future__ import annotations

from typing import Any

import pytest

from dmsfw.doctor.outcome import refusal
from dmsfw.doctor.ways import passage
from dmsfw.trace import Verdict
from dmsfw.trace.nft.walk import BaseWalk
from dmsfw.trace.shell import Said
from dmsfw.trace.text import sentence
from tests.unit.nft_support import LISTING, base, listed, match, meta, rule, table, through
from tests.unit.trace_support import packet, way
from tests.unit.trace_support import table as legacy

MARKS: Any = {"mangle": {"key": {"meta": {"key": "mark"}}, "value": 7}}
MARKED = match(meta("mark"), 7)
BY_MARK = Said(0, "0: from all lookup local\n100: from all fwmark 0x7 lookup 7\n")
NO_MARKS = Said(0, "0: from all lookup local\n")


def dnat(address: str) -> Any:
    return {"dnat": {"family": "ip", "addr": address}}


def two(first: Any, second: Any, prios: tuple[int, int] = (-100, -100), kind: str = "nat") -> str:
    """Two tables with a chain each on PREROUTING."""
    entries: list[Any] = []
    for name, statement, prio in (("one", first, prios[0]), ("two", second, prios[1])):
        of_table = {"table": name}
        entries += [table(name), base("prerouting", prio, kind, **of_table)]
        entries += [rule(*statement, chain="prerouting", **of_table)]
    return listed(*entries)


def test_two_translations_of_one_priority_in_different_tables() -> None:
    found = through(two([dnat("192.0.2.71")], [dnat("192.0.2.72")]))
    assert found.verdict is Verdict.UNCERTAIN
    assert "which of inet one and inet two at priority -100 is asked first is not known" in sentence(found)


def many(*names: str) -> str:
    """Tables of one priority with a chain of each letter's translation: of one table, the later is asked first."""
    entries: list[Any] = []
    for at, name in enumerate(names):
        of_table = {"table": f"t{at}"}
        entries += [table(f"t{at}")]
        for number, letter in enumerate(name):
            made = {"name": f"p{number}", "handle": number, **of_table}
            entries += [base("prerouting", -100, "nat", **made)]
            entries += [rule(dnat(f"192.0.2.{ord(letter)}"), chain=f"p{number}", **of_table)]
    return listed(*entries)


@pytest.mark.parametrize(
    ("names", "verdict"),
    [
        ("aba", Verdict.UNCERTAIN),
        ("aab", Verdict.UNCERTAIN),
        ("aaa", Verdict.PASSES),
        ("aaaabaaa", Verdict.UNCERTAIN),
        ("aaaaaaaa", Verdict.PASSES),
    ],
)
def test_of_several_tables_each_may_be_the_first(names: str, verdict: Verdict) -> None:
    assert through(many(*names)).verdict is verdict


def test_chains_of_one_table_keep_their_order() -> None:
    assert through(many("ba", "a")).verdict is Verdict.PASSES
    assert through(many("ab", "a")).verdict is Verdict.UNCERTAIN


@pytest.mark.parametrize(
    "text",
    [
        two([dnat("192.0.2.71")], [dnat("192.0.2.71")]),
        two([dnat("192.0.2.71")], [match(meta("l4proto"), "udp"), dnat("192.0.2.72")]),
        two([dnat("192.0.2.71")], [dnat("192.0.2.72")], (-101, -100)),
    ],
)
def test_where_the_order_makes_no_difference_it_is_sure(text: str) -> None:
    found = through(text)
    assert (found.verdict, str(found.end.packet.dst)) == (Verdict.PASSES, "192.0.2.71")


def test_iptables_and_nftables_of_one_priority() -> None:
    text = listed(table(), base("prerouting", -100, "nat"), rule(dnat("192.0.2.72"), chain="prerouting"))
    rules = legacy("nat", "PREROUTING -p tcp -j DNAT --to-destination 192.0.2.71")
    assert through(text, rules).verdict is Verdict.UNCERTAIN
    same = legacy("nat", "PREROUTING -p tcp -j DNAT --to-destination 192.0.2.72")
    assert through(text, same).verdict is Verdict.PASSES


def test_a_mark_that_one_sets_and_the_other_drops() -> None:
    text = two([MARKS], [MARKED, {"drop": None}], (-150, -150), "filter")
    found = through(text)
    assert found.verdict is Verdict.UNCERTAIN
    assert {end.verdict for end in found.ends} == {Verdict.UNCERTAIN, Verdict.DROPPED}


def test_two_that_drop_the_same_drop_it_whoever_comes_first() -> None:
    assert through(two([{"drop": None}], [{"drop": None}], (0, 0), "filter")).verdict is Verdict.DROPPED


def test_whether_it_is_dropped_or_refused_may_not_be_known_but_it_is_stopped() -> None:
    text = listed(table(), base("forward"), rule({"reject": {"type": "tcp reset"}}))
    found = through(text, legacy("filter", "FORWARD -j DROP"))
    assert (found.verdict, found.stopped, found.exit_code) == (Verdict.UNCERTAIN, True, 1)
    assert sentence(found).startswith("It does not pass: rule FORWARD #1 drops it or rule inet t forward #1 refuses it")
    assert found.notes == ("which of filter and inet t at priority 0 is asked first is not known",)
    stopped = passage(found)
    assert (stopped.verdict, stopped.stopped, stopped.rule) == (Verdict.DROPPED, True, "FORWARD #1 (DROP)")
    assert (
        refusal(stopped) == "firewall rule FORWARD #1 (DROP) drops or firewall rule inet t forward #1 (reject) refuses"
    )


def test_two_variants_of_iptables_are_told_apart() -> None:
    text = "*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -j {}\nCOMMIT\n"
    said = {"iptables-nft-save": Said(0, text.format("REJECT --reject-with tcp-reset"))}
    found = way(packet(), legacy("filter", "FORWARD -j DROP"), said=said)
    assert found.stopped
    assert found.notes == ("which of legacy filter and nft filter at priority 0 is asked first is not known",)
    both = {"iptables-nft-save": Said(0, text.format("ACCEPT"))}
    passing = sentence(way(packet(), legacy("filter", "FORWARD -j ACCEPT"), said=both))
    assert passing.count("accepts it") == len("ab"), passing


@pytest.mark.parametrize(("prio", "verdict"), [(-201, Verdict.PASSES), (-200, Verdict.UNCERTAIN)])
def test_what_is_asked_together_with_connection_tracking(prio: int, verdict: Verdict) -> None:
    text = listed(table(), base("prerouting", prio), rule(match(meta("l4proto"), "udp"), chain="prerouting"))
    assert through(text).verdict is verdict


@pytest.mark.parametrize(
    ("kind", "rules", "verdict"),
    [
        ("filter", BY_MARK, Verdict.UNCERTAIN),
        ("filter", NO_MARKS, Verdict.PASSES),
        ("route", BY_MARK, Verdict.PASSES),
    ],
)
def test_a_mark_in_output_that_nobody_routes_by(kind: str, rules: Said, verdict: Verdict) -> None:
    text = listed(table(), base("output", -150, kind), rule(MARKS, chain="output"))
    said = {LISTING: Said(0, text), "ip -4 rule show": rules}
    assert way(packet(src="192.0.2.1", in_device=""), said=said).verdict is verdict


def test_what_the_same_packet_has_passed_is_not_walked_again_in_another_order(monkeypatch: pytest.MonkeyPatch) -> None:
    walked: list[object] = []
    run = BaseWalk.run
    monkeypatch.setattr(BaseWalk, "run", lambda walk, live: walked.append(walk) or run(walk, live))  # type: ignore[func-returns-value] # None
    entries: list[Any] = []
    for name in "abcd":
        entries += [table(name), base("forward", table=name), rule(match(meta("mark"), 5), {"drop": None}, table=name)]
    assert through(listed(*entries)).verdict is Verdict.PASSES
    assert len(walked) == len("abcd")


def test_of_what_passes_the_word_of_every_table_is_told_and_no_policy_beside_a_rule() -> None:
    entries: list[Any] = []
    for name, statements in (("one", [{"accept": None}]), ("two", [{"accept": None}]), ("three", [])):
        entries += [table(name), base("forward", 0, table=name), rule(*statements, table=name, comment=f"of {name}")]
    found = through(listed(*entries))
    assert found.verdict is Verdict.PASSES
    assert sentence(found) == (
        "It passes: rule inet one forward #1 (of one) accepts it, and rule inet two forward #1 (of two) accepts it, "
        "and it leaves by wan0."
    )
