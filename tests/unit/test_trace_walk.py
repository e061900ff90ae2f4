"""Through the tables: jumps, policies, targets; and what is not known followed both ways."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from dmsfw.trace import Verdict
from dmsfw.trace.packet import Connection
from tests.unit.trace_support import filter_, packet, places, table, way

MAYBE = "-m u32 --u32 0x0=0x1"
"""A match that nobody here knows."""

PASSES, DROPPED, REJECTED, UNCERTAIN = Verdict.PASSES, Verdict.DROPPED, Verdict.REJECTED, Verdict.UNCERTAIN

FILTERS: list[tuple[str, str, Verdict, list[str]]] = [
    ("an empty chain ends at its policy", filter_(), PASSES, []),
    ("the policy may drop", filter_(policy="DROP"), DROPPED, []),
    ("the first that ends it decides", filter_("FORWARD -j ACCEPT", "FORWARD -j DROP"), PASSES, ["FORWARD #1"]),
    (
        "one that does not match is not met",
        filter_("FORWARD -p udp -j DROP", "FORWARD -j ACCEPT"),
        PASSES,
        ["FORWARD #2"],
    ),
    (
        "a rule without a target counts",
        filter_("FORWARD -p tcp", "FORWARD -j DROP"),
        DROPPED,
        ["FORWARD #1", "FORWARD #2"],
    ),
    ("LOG goes on", filter_("FORWARD -j LOG", "FORWARD -j DROP"), DROPPED, ["FORWARD #1", "FORWARD #2"]),
    (
        "a chain that ends goes on behind its jump",
        filter_("FORWARD -j user", "FORWARD -j DROP", "user -p udp -j ACCEPT", chains=("user",)),
        DROPPED,
        ["FORWARD #1", "FORWARD #2"],
    ),
    (
        "a RETURN does too",
        filter_("FORWARD -j user", "FORWARD -j DROP", "user -j RETURN", "user -j ACCEPT", chains=("user",)),
        DROPPED,
        ["FORWARD #1", "user #1", "FORWARD #2"],
    ),
    (
        "a RETURN of a built-in chain is its policy",
        filter_("FORWARD -j RETURN", "FORWARD -j ACCEPT", policy="DROP"),
        DROPPED,
        ["FORWARD #1"],
    ),
    (
        "a goto comes back to where its own chain would",
        filter_(
            "FORWARD -j one", "FORWARD -j DROP", "one -g two", "one -j ACCEPT", "two -p tcp", chains=("one", "two")
        ),
        DROPPED,
        ["FORWARD #1", "one #1", "two #1", "FORWARD #2"],
    ),
    (
        "a goto of a built-in chain ends at the policy",
        filter_("FORWARD -g user", "FORWARD -j DROP", "user -p tcp", chains=("user",)),
        PASSES,
        ["FORWARD #1", "user #1"],
    ),
    ("a refusal is one", filter_("FORWARD -j REJECT --reject-with tcp-reset"), REJECTED, ["FORWARD #1"]),
    (
        "two ends that are alike are one",
        filter_(f"FORWARD {MAYBE} -j DROP", "FORWARD -j DROP"),
        DROPPED,
        ["FORWARD #1?", "FORWARD #2?"],
    ),
    ("two that differ are not known", filter_(f"FORWARD {MAYBE} -j DROP"), UNCERTAIN, ["FORWARD #1?"]),
    (
        "what cannot be told and does nothing leaves the rest sure",
        filter_(f"FORWARD {MAYBE} -j LOG", "FORWARD -j DROP"),
        DROPPED,
        ["FORWARD #1?", "FORWARD #2"],
    ),
    (
        "nor does a chain that always comes back",
        filter_(f"FORWARD {MAYBE} -j user", "FORWARD -j DROP", "user -j RETURN", chains=("user",)),
        DROPPED,
        ["FORWARD #1?", "user #1?", "FORWARD #2"],
    ),
    (
        "a target that nobody knows may end it or not",
        filter_("FORWARD -j WHAT", "FORWARD -j DROP"),
        UNCERTAIN,
        ["FORWARD #1", "FORWARD #2?"],
    ),
    ("a program decides", filter_("FORWARD -j NFQUEUE --queue-num 1"), UNCERTAIN, ["FORWARD #1"]),
    (
        "options that nobody knows may do anything",
        filter_("FORWARD -j MARK --what 1", "FORWARD -j DROP"),
        UNCERTAIN,
        ["FORWARD #1", "FORWARD #2?"],
    ),
    ("REJECT alone", filter_("FORWARD -j REJECT"), REJECTED, ["FORWARD #1"]),
]


@pytest.mark.parametrize(("rules", "verdict", "met"), [case[1:] for case in FILTERS], ids=[case[0] for case in FILTERS])
def test_a_chain_is_walked_as_the_kernel_walks_it(rules: str, verdict: Verdict, met: list[str]) -> None:
    found = way(packet(), rules)
    assert found.verdict is verdict
    assert [place.removeprefix("filter ") for place in places(found)] == met


def test_rules_that_lead_in_a_circle_come_to_an_end() -> None:
    found = way(packet(), filter_("FORWARD -j a", "a -j b", "b -j a", chains=("a", "b")))
    assert found.verdict is UNCERTAIN
    assert "jumps deep" in found.notes[0]


def test_chains_that_multiply_come_to_an_end() -> None:
    chains = [f"c{n}" for n in range(30)]
    rules = [f"{one} {MAYBE} -j {other}" for one, other in pairwise(chains) for _ in range(4)]
    found = way(packet(), filter_("FORWARD -j c0", *rules, "c29 -j RETURN", chains=tuple(chains)))
    assert found.verdict is UNCERTAIN


def test_marks_that_multiply_come_to_an_end() -> None:
    doubts = [f"PREROUTING {MAYBE} -j MARK --set-xmark 0x{1 << bit:x}/0x0" for bit in range(12)]
    found = way(packet(), table("mangle", *doubts))
    assert found.verdict is UNCERTAIN
    assert "more possibilities" in found.notes[0]


MARKS: list[tuple[str, Any, int | None]] = [
    ("MARK --set-xmark 0x1/0xffffffff", 0x6, 0x1),
    ("MARK --set-xmark 0x3/0x1", 0x6, 0x5),
    ("MARK --set-mark 0x1/0x3", 0x6, 0x5),
    ("MARK --or-mark 0x1", 0x6, 0x7),
    ("MARK --and-mark 0x2", 0x6, 0x2),
    ("MARK --xor-mark 0x2", 0x6, 0x4),
    ("CONNMARK --restore-mark", 0x6, 0x0),
    ("CONNMARK --restore-mark --nfmask 0x2 --ctmask 0xff", 0x6, 0x4),
    ("CONNMARK --set-xmark 0x9/0xffffffff", 0x6, 0x6),
    ("TPROXY --on-port 1", 0x6, 0x6),
]


@pytest.mark.parametrize(("target", "before", "after"), MARKS)
def test_a_mark_is_changed_as_the_kernel_changes_it(target: str, before: int, after: int) -> None:
    found = way(packet(mark=before), table("mangle", f"PREROUTING -j {target}"))
    assert {end.packet.mark for end in found.ends} == {after}


def test_a_connection_keeps_a_mark_and_gives_it_back() -> None:
    rules = (
        "PREROUTING -j CONNMARK --set-xmark 0x5/0xffffffff",
        "PREROUTING -m connmark --mark 0x5 -j CONNMARK --restore-mark",
        "FORWARD -m mark --mark 0x5 -j CONNMARK --save-mark --nfmask 0x1 --ctmask 0xf",
        "FORWARD -m connmark --mark 0x1 -j DROP",
    )
    found = way(packet(), table("mangle", *rules))
    assert found.verdict is DROPPED
    assert found.end.packet.mark == 5


@pytest.mark.parametrize(
    "rules",
    [
        ("PREROUTING -j CONNMARK --restore-mark", "FORWARD -m mark --mark 0x1 -j DROP"),
        (
            "PREROUTING -j CONNMARK --restore-mark",
            "PREROUTING -j MARK --set-xmark 0x0/0x2",
            "FORWARD -m mark --mark 0x1 -j DROP",
        ),
        ("PREROUTING -j CONNMARK --set-xmark 0x1/0x1", "FORWARD -m connmark --mark 0x1 -j DROP"),
        (
            "PREROUTING -j CONNMARK --restore-mark",
            "PREROUTING -j CONNMARK --save-mark",
            "FORWARD -m connmark --mark 0x1 -j DROP",
        ),
    ],
)
def test_the_mark_of_an_old_connection_is_not_known(rules: tuple[str, ...]) -> None:
    assert way(packet(ctstate="ESTABLISHED"), table("mangle", *rules)).verdict is UNCERTAIN


def test_a_mark_that_is_set_whole_is_known_again() -> None:
    rules = (
        "PREROUTING -j CONNMARK --restore-mark",
        "PREROUTING -j MARK --set-xmark 0x1/0xffffffff",
        "FORWARD -m mark --mark 0x1 -j DROP",
    )
    assert way(packet(ctstate="ESTABLISHED"), table("mangle", *rules)).verdict is DROPPED


def test_a_packet_without_a_connection_has_no_mark_to_take() -> None:
    found = way(packet(ctstate="INVALID", mark=3), table("mangle", "PREROUTING -j CONNMARK --restore-mark"))
    assert (found.end.packet.mark, found.end.packet.unknown) == (3, frozenset())


@pytest.mark.parametrize("options", ["--save-mark --what 1", "--what", "--save-mark --nfmask"])
def test_options_of_connmark_that_are_not_known_may_do_anything(options: str) -> None:
    assert (
        way(packet(), table("mangle", f"PREROUTING -j CONNMARK {options}", "PREROUTING -j DROP")).verdict is UNCERTAIN
    )


def test_raw_sees_no_connection_yet() -> None:
    dropping = table(
        "raw",
        "PREROUTING -m conntrack --ctstate NEW,ESTABLISHED -j DROP",
        "PREROUTING -m state ! --state INVALID -j DROP",
    )
    assert way(packet(), dropping).verdict is PASSES


@pytest.mark.parametrize("target", ["CT --notrack", "NOTRACK"])
def test_what_is_not_tracked_is_not_translated(target: str) -> None:
    rules = (table("raw", f"PREROUTING -j {target}"), table("nat", "PREROUTING -j DNAT --to-destination 10.9.9.9"))
    found = way(packet(), *rules, filter_("FORWARD -m conntrack --ctstate UNTRACKED -j DROP"))
    assert found.verdict is DROPPED
    assert str(found.end.packet.dst) == "192.0.2.25"


def test_a_helper_changes_nothing() -> None:
    found = way(packet(), table("raw", "PREROUTING -j CT --helper ftp"))
    assert (found.verdict, found.end.packet.ctstate) == (PASSES, "NEW")


def test_a_connection_that_is_known_to_be_unknown_stays_so() -> None:
    assert packet(ctstate="ESTABLISHED").connection == Connection()


@pytest.mark.parametrize(
    ("rule", "verdict"),
    [
        ("PREROUTING -j TTL --ttl-set 1", UNCERTAIN),
        ("PREROUTING -j TTL --ttl-dec 1", UNCERTAIN),
        ("PREROUTING -j TTL --ttl-set 64", PASSES),
        ("PREROUTING -j TTL --ttl-inc 1", PASSES),
        ("POSTROUTING -j TTL --ttl-set 1", PASSES),
        ("PREROUTING -j HL --hl-set 1", UNCERTAIN),
        ("PREROUTING -j TTL", UNCERTAIN),
    ],
)
def test_a_packet_without_a_hop_left_may_not_be_forwarded(rule: str, verdict: Verdict) -> None:
    assert way(packet(), table("mangle", rule)).verdict is verdict


@pytest.mark.parametrize(("options", "verdict"), [(" --map-mark", UNCERTAIN), ("", DROPPED)])
def test_a_set_may_give_a_mark_that_is_not_known(options: str, verdict: Verdict) -> None:
    rules = f"FORWARD -j SET --map-set marks src{options}", "FORWARD -m mark --mark 0x0 -j DROP"
    assert way(packet(), filter_(*rules)).verdict is verdict


@pytest.mark.parametrize(
    ("proto", "verdict"), [("ospf", DROPPED), ("ipencap", DROPPED), ("ipv6", DROPPED), ("nobody", UNCERTAIN)]
)
def test_protocols_are_known_by_the_names_that_the_host_has_for_them(
    proto: str, verdict: Verdict, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = {"ospf": 89, "ipencap": 4, "ipv6": 41}

    def by_name(name: str) -> int:
        if name not in numbers:
            raise OSError("protocol not found")
        return numbers[name]

    monkeypatch.setattr("socket.getprotobyname", by_name)
    found = filter_(f"FORWARD -p {proto} -j ACCEPT", "FORWARD -j DROP")
    assert way(packet(), found).verdict is verdict
    if proto in numbers:
        assert way(packet(proto=str(numbers[proto])), found).verdict is PASSES
