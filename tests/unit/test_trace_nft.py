"""A packet's way through nftables: the recorded firewall4, and each statement by itself."""

from __future__ import annotations

import json
from time import process_time
from typing import Any

import pytest

from dmsfw.trace import ThisHost, Verdict
from dmsfw.trace.nft.listing import parse
from dmsfw.trace.nft.operations import Count, Kept
from dmsfw.trace.packet import FRESH, Connection
from dmsfw.trace.shell import Said
from dmsfw.trace.text import render, sentence
from tests.unit.nft_support import (
    LISTING,
    PPPOE,
    RECORDED,
    asked,
    base,
    chain,
    ct,
    listed,
    match,
    meta,
    payload,
    rule,
    table,
    through,
)
from tests.unit.trace_support import Texts, filter_, packet, places, way
from tests.unit.trace_support import table as legacy

DROP, ACCEPT, COUNT = {"drop": None}, {"accept": None}, {"counter": {"packets": 3, "bytes": 180}}
DPORT = payload("tcp", "dport")


# The recorded firewall4


def test_a_network_that_no_zone_knows_is_refused_by_a_rule_that_is_named() -> None:
    found = through(RECORDED, said=PPPOE, in_device="br-x")
    assert found.verdict is Verdict.REJECTED
    assert sentence(found) == (
        "It does not pass: rule inet fw4 forward #5 leads to rule inet fw4 handle_reject #1 "
        "(!fw4: Reject TCP traffic), which refuses it with tcp reset."
    )


def test_a_network_of_a_zone_passes_and_is_masqueraded() -> None:
    found = through(RECORDED, said=PPPOE, in_device="docker0")
    assert found.verdict is Verdict.PASSES
    assert places(found) == [
        "inet fw4 prerouting #2",
        "inet fw4 forward #4",
        "inet fw4 forward_docker #1",
        "inet fw4 accept_to_wan #2",
        "inet fw4 mangle_postrouting #1",
        "inet fw4 srcnat #1",
        "inet fw4 srcnat_wan #1",
    ]
    assert found.end.packet.connection.nat == {"SNAT"}


def test_rules_are_shown_as_nft_prints_them() -> None:
    lines = render(through(RECORDED, said=PPPOE, in_device="docker0"))
    assert any(
        'accept_to_wan #2: oifname "pppoe-wan" counter accept comment "!fw4: accept wan IPv4/IPv6 traffic"' in line
        and line.endswith("[0 packets] accepts it")
        for line in lines
    )
    text = "\n".join(render(through(RECORDED, said=PPPOE, in_device="eth-lan", ctstate="ESTABLISHED")))
    assert "ct state vmap { established : accept, related : accept }" in text
    assert "(element established)" in text
    assert 'tcp flags syn / fin,syn,rst tcp option maxseg size set rt mtu comment "!fw4' in "\n".join(lines)


# Order


def test_an_accept_ends_its_own_base_chain_only() -> None:
    later = base(name="later", prio=5, handle=2)
    text = listed(table(), base(), later, rule(ACCEPT), rule(DROP, chain="later"))
    found = through(text)
    assert (found.verdict, places(found)) == (Verdict.DROPPED, ["inet t forward #1", "inet t later #1"])


def test_tables_of_iptables_come_in_between_by_their_priority() -> None:
    chains = [base(name=name, prio=prio, handle=n) for n, (name, prio) in enumerate([("early", -1), ("late", 1)])]
    text = listed(table(), *chains, rule(COUNT, chain="early"), rule(COUNT, chain="late"))
    found = through(text, filter_("FORWARD -j ACCEPT"))
    assert places(found) == ["inet t early #1", "filter FORWARD #1", "inet t late #1"]


def test_of_two_with_one_priority_the_later_made_is_asked_first() -> None:
    text = listed(table(), base(), base(name="newer", handle=2), rule(COUNT), rule(COUNT, chain="newer"))
    assert places(through(text)) == ["inet t newer #1", "inet t forward #1"]


def test_before_connection_tracking_a_packet_has_no_state_and_may_be_kept_from_it() -> None:
    new = match(ct("state"), "new", "in")
    raw = base("prerouting", -300, name="raw")
    text = listed(table(), raw, base(), rule(new, DROP, chain="raw"), rule({"notrack": None}, chain="raw"), rule(new))
    found = through(text)
    assert (found.verdict, found.end.packet.ctstate) == (Verdict.PASSES, "UNTRACKED")
    assert places(found) == ["inet t raw #2"]


def test_behind_connection_tracking_nothing_is_kept_from_it() -> None:
    text = listed(table(), base(), rule({"notrack": None}))
    assert through(text).end.packet.ctstate == "NEW"


def test_the_first_translation_counts_also_one_that_changes_nothing() -> None:
    nat = [base("prerouting", prio, "nat", name=f"n{prio}", handle=-prio) for prio in (-101, -99)]
    to = [{"dnat": {"family": "ip", "addr": address}} for address in ("192.0.2.25", "10.9.9.9")]
    text = listed(table(), *nat, rule(to[0], chain="n-101"), rule(to[1], chain="n-99"))
    found = through(text)
    assert (str(found.end.packet.dst), places(found)) == ("192.0.2.25", ["inet t n-101 #1"])


def test_dormant_tables_other_families_and_other_hooks_are_not_asked() -> None:
    for flags in ("d", "dormant", ["dormant"]):
        assert through(listed(table(flags=flags), base(policy="drop"))).verdict is Verdict.PASSES
    for odd in (base(family="bridge", policy="drop"), base(hook="output", policy="drop"), base(kind="route")):
        assert through(listed(table(), odd)).verdict is Verdict.PASSES
    six = base(family="ip6", policy="drop")
    assert through(listed(table(family="ip6"), six)).verdict is Verdict.PASSES
    assert through(listed(table(family="ip6"), six), six=True).verdict is Verdict.DROPPED


BESIDE = "nftables is asked as well, and not followed there: "


@pytest.mark.parametrize(
    ("odd", "named"),
    [
        (base("ingress", family="netdev", policy="drop", dev="br-a"), "netdev t ingress on br-a"),
        (base("ingress", family="netdev", policy="drop", dev=["eth7", "br-a"]), "netdev t ingress on eth7, br-a"),
        (base("ingress", family="netdev", policy="drop", dev="eth7"), ""),
        (base("ingress", family="netdev", policy="drop"), "netdev t ingress"),
        (base("ingress", policy="drop", dev="br-a"), "inet t ingress on br-a"),
        (base("egress", family="netdev", policy="drop", dev="wan0"), "netdev t egress on wan0"),
        (base("egress", family="netdev", policy="drop", dev="br-a"), ""),
        (base("input", family="bridge", policy="drop"), "bridge t input"),
        (base("prerouting", family="bridge", policy="drop"), "bridge t prerouting"),
        (base("postrouting", family="bridge", policy="drop"), "bridge t postrouting"),
        (base("forward", family="bridge", policy="drop"), ""),
        (base("input", family="bridge"), ""),
    ],
)
def test_chains_of_devices_and_bridges_are_not_followed_and_said(odd: Any, named: str) -> None:
    found = through(listed(table(), odd))
    assert found.verdict is (Verdict.UNCERTAIN if named else Verdict.PASSES)
    assert found.notes == ((f"{BESIDE}{named}",) if named else ())
    assert through(listed(table(), odd, base(policy="drop"))).verdict is Verdict.DROPPED


def test_of_chains_of_devices_those_that_only_count_are_not_said() -> None:
    mine = {"family": "bridge"}
    ingress = base("input", **mine)
    for statement, verdict in ((COUNT, Verdict.PASSES), (DROP, Verdict.UNCERTAIN), ("odd", Verdict.UNCERTAIN)):
        text = listed(table(), ingress, rule(match(meta("l4proto"), 6), statement, chain="input", **mine))
        assert through(text).verdict is verdict
    asleep = listed(table(family="bridge", flags="dormant"), base("input", policy="drop", **mine))
    assert through(asleep).verdict is Verdict.PASSES


def test_tables_that_iptables_nft_lists_are_not_counted_twice() -> None:
    mine = {"family": "ip", "table": "filter"}
    text = listed(
        table("filter", "ip"),
        base(**mine, name="FORWARD"),
        rule(COUNT, **mine | {"chain": "FORWARD"}),
        base(**mine, name="own", prio=1),
        rule(COUNT, **mine | {"chain": "own"}),
    )
    saved = Said(0, f"{filter_('FORWARD -j ACCEPT')}\nCOMMIT\n")
    assert places(through(text, said={"iptables-nft-save": saved})) == ["filter FORWARD #1", "ip filter own #1"]
    assert places(through(text)) == ["ip filter FORWARD #1", "ip filter own #1"]
    inet = listed(table("filter"), base(table="filter", name="FORWARD"), rule(COUNT, table="filter", chain="FORWARD"))
    found = through(inet, said={"iptables-nft-save": saved})
    assert places(found) == ["filter FORWARD #1", "inet filter FORWARD #1"]


def test_what_iptables_nft_cannot_list_is_followed_in_nftables() -> None:
    mine = {"family": "ip", "table": "filter"}
    text = listed(table("filter", "ip"), base(**mine, name="FORWARD", policy="drop"))
    saved = Said(0, "# Table `filter' is incompatible, use 'nft' tool.\n")
    found = through(text, said={"iptables-nft-save": saved})
    assert (found.verdict, found.notes) == (Verdict.DROPPED, ())


# Chains


def test_jump_goto_return_and_continue() -> None:
    text = listed(
        table(), base(policy="drop"), chain("a"), chain("b"),
        rule({"jump": {"target": "a"}}), rule({"goto": {"target": "b"}}), rule(ACCEPT),
        rule({"continue": None}, chain="a"), rule({"return": None}, chain="a"), rule(DROP, chain="a"),
        rule(COUNT, chain="b"),
    )  # fmt: skip
    found = through(text)
    met = ["forward #1", "a #1", "a #2", "forward #2", "b #1"]
    assert (found.verdict, places(found)) == (Verdict.DROPPED, [f"inet t {one}" for one in met])
    assert sentence(found) == "It does not pass: the policy of inet t forward drops it."


def test_a_verdict_map_leads_by_the_packets_field() -> None:
    pairs = [[25, DROP], [{"range": [400, 500]}, {"jump": {"target": "a"}}], ["*", {"return": None}]]
    vmap = {"vmap": {"key": DPORT, "data": {"set": pairs}}}
    text = listed(table(), base(), chain("a"), rule(vmap), rule(DROP), rule(ACCEPT, chain="a"))
    assert through(text, dport=25).verdict is Verdict.DROPPED
    assert places(through(text, dport=465)) == ["inet t forward #1", "inet t a #1"]
    assert through(text, dport=80).verdict is Verdict.PASSES


def test_of_a_verdict_map_that_cannot_be_told_every_verdict_is_followed() -> None:
    pairs = [[{"range": [1, 40000]}, DROP], [{"range": [40001, 65535]}, ACCEPT]]
    text = listed(table(), base(), rule({"vmap": {"key": payload("tcp", "sport"), "data": {"set": pairs}}}))
    found = through(text, sport=None)
    assert {end.verdict for end in found.ends} == {Verdict.DROPPED, Verdict.PASSES}


def test_an_unknown_chain_verdict_or_table_of_verdicts_may_do_anything() -> None:
    for odd in ({"jump": {"target": "nowhere"}}, {"vmap": {"key": DPORT, "data": {"set": [[465, {"fly": 1}]]}}},
                {"vmap": {"key": DPORT, "data": "@gone"}}):  # fmt: skip
        assert through(listed(table(), base(), rule(odd))).verdict is Verdict.UNCERTAIN


# Sets


def test_the_element_that_matched_is_named_with_its_comment() -> None:
    key = {"concat": [meta("iifname"), payload("ip", "saddr"), meta("l4proto"), payload("th", "dport")]}
    elements = [
        {"elem": {"val": {"concat": ["br-b", "10.0.0.0", "tcp", 465]}, "comment": "other"}},
        {"elem": {
            "val": {"concat": ["br-a", {"prefix": {"addr": "10.1.0.0", "len": 24}}, "tcp", {"range": [400, 500]}]},
            "comment": "dmsfw:0a1b smtps",
        }},
    ]  # fmt: skip
    kept = {"set": {"family": "inet", "table": "t", "name": "grants", "type": [], "elem": elements}}
    text = listed(table(), kept, base(policy="drop"), rule(match(key, "@grants"), COUNT, ACCEPT, comment="grants"))
    found = through(text)
    assert found.end.trail[-1].element == 'br-a . 10.1.0.0/24 . tcp . 400-500 comment "dmsfw:0a1b smtps"'
    assert found.end.trail[-1].packets == 3
    assert "dmsfw:0a1b smtps" in "\n".join(render(found))
    assert through(text, proto="udp").verdict is Verdict.DROPPED


@pytest.mark.parametrize(
    ("left", "right", "given", "expected"),
    [
        (meta("iifname"), {"set": ["br*", "x"]}, {}, True),
        (meta("iifname"), "br*", {"in_device": "wan0"}, False),
        (meta("iifname"), "br\\*", {}, False),
        (meta("oifname"), "wan0", {}, True),
        (meta("iif"), "br-a", {}, True),
        (meta("l4proto"), {"set": ["tcp", 47]}, {}, True),
        (meta("l4proto"), 17, {}, False),
        (meta("nfproto"), "ipv6", {}, False),
        (meta("nfproto"), "ipv6", {"six": True}, True),
        (meta("nfproto"), {"range": [1, 3]}, {}, True),
        (meta("protocol"), {"set": ["ip", "arp"]}, {}, True),
        (meta("protocol"), {"range": [0x0700, 0x0900]}, {}, True),
        (payload("ip", "version"), 4, {}, True),
        ({"payload": {"protocol": "ip", "field": "saddr", "tunnel": "vxlan"}}, "10.1.0.2", {}, None),
        ({"fib": {"result": "type", "flags": "saddr"}}, "local", {}, False),
        (meta("mark"), 1, {"mark": 1}, True),
        ({"&": [meta("mark"), 240]}, 16, {"mark": 17}, True),
        (payload("ip", "saddr"), {"range": ["10.1.0.0", "10.1.0.9"]}, {}, True),
        (payload("ip", "saddr"), "10.1.0.2", {"unknown": frozenset({"src"})}, None),
        (payload("ip6", "saddr"), {"prefix": {"addr": "fd00::", "len": 8}}, {"six": True}, True),
        (payload("ip", "saddr"), {"prefix": {"addr": "10.1.0.2", "len": 31}}, {"src": "10.1.0.3"}, True),
        (meta("iifname"), "br-*", {"in_device": "br-\u00e9"}, True),
        (payload("ip", "protocol"), "tcp", {}, True),
        ({"&": [payload("ip", "saddr"), "255.0.0.255"]}, "10.0.0.2", {}, True),
        (DPORT, {"set": [80, {"range": [400, 500]}]}, {}, True),
        (payload("udp", "dport"), 465, {}, False),
        (payload("th", "dport"), 465, {"proto": "udp"}, True),
        (payload("th", "dport"), 465, {"proto": "gre"}, None),
        (payload("tcp", "sport"), {"range": [1, 1023]}, {"sport": None}, False),
        (payload("tcp", "sport"), 40000, {"sport": None}, None),
        (payload("icmp", "type"), "echo-request", {"proto": "icmp"}, True),
        (payload("icmp", "type"), {"set": [0, "destination-unreachable"]}, {"proto": "icmp"}, False),
        (payload("icmpv6", "code"), "no-route", {"proto": "icmpv6", "six": True}, True),
        (ct("state"), {"set": ["new", "invalid"]}, {}, True),
        (ct("direction"), "original", {}, True),
        (ct("direction"), "original", {"ctstate": "ESTABLISHED"}, None),
        (ct("mark"), 0, {}, True),
        (ct("mark"), 0, {"ctstate": "INVALID"}, False),
        (ct("ip saddr", dir="original"), "10.1.0.2", {}, True),
        (ct("ip saddr", dir="original"), "10.1.0.2", {"ctstate": "ESTABLISHED"}, None),
        (ct("ip6 saddr", dir="original"), "fd00::1", {}, False),
        (ct("proto-dst", dir="original"), 465, {}, True),
        (ct("protocol"), "tcp", {}, True),
        (ct("zone"), 5, {}, None),
        (ct("proto-dst"), 5, {}, None),
        ({"fib": {"result": "type", "flags": ["daddr"]}}, "local", {"dst": "10.1.0.1", "out_device": "wan0"}, True),
        ({"fib": {"result": "type", "flags": ["saddr"]}}, "local", {}, False),
        ({"fib": {"result": "oif", "flags": ["saddr"]}}, "wan0", {}, None),
        ({"fib": {"result": "type", "flags": ["daddr"]}}, "local", {"six": True}, False),
        ({"fib": {"result": "type", "flags": ["daddr"]}}, "unicast", {"six": True}, None),
        (meta("pkttype"), "host", {}, True),
        (meta("pkttype"), "multicast", {"dst": "224.0.0.9", "out_device": "wan0"}, None),
        (meta("cpu"), 0, {}, None),
        ({"numgen": {"mode": "inc", "mod": 2, "offset": 0}}, 0, {}, None),
        ({"payload": {"base": "nh", "offset": 0, "len": 8}}, 1, {}, None),
        (payload("ip", "ttl"), 1, {}, None),
        (payload("ip", "ttl"), 1, {"six": True}, False),
    ],
)
def test_fields_are_compared_as_the_kernel_does(left: Any, right: Any, given: Any, expected: bool | None) -> None:  # noqa: FBT001
    assert asked(match(left, right), **given) is expected
    turned = None if expected is None else not expected
    absent = expected is False and asked(match(left, right, "!="), **given) is False
    assert absent or asked(match(left, right, "!="), **given) is turned


@pytest.mark.parametrize(
    ("op", "right", "expected"), [("<", 466, True), ("<", 465, False), ("<=", 465, True), (">", 465, False),
                                  (">", 464, True), (">=", 465, True), (">=", 466, False)],
)  # fmt: skip
def test_greater_and_less(op: str, right: int, expected: bool) -> None:  # noqa: FBT001
    assert asked(match(DPORT, right, op)) is expected


@pytest.mark.parametrize(
    ("left", "right", "op", "given", "expected"),
    [
        (ct("state"), ["established", "related"], "in", {}, False),
        (ct("state"), ["established", "new"], "in", {}, True),
        (ct("state"), "new", "!", {}, False),
        (ct("status"), "dnat", "in", {}, False),
        (ct("status"), "dnat", "in", {"ctstate": "ESTABLISHED"}, None),
        (ct("status"), "seen-reply", "in", {"ctstate": "ESTABLISHED"}, True),
        (ct("status"), ["seen-reply", "confirmed"], "in", {}, False),
        (ct("status"), "dnat", "in", {"connection": Connection(nat=frozenset({"DNAT"}))}, True),
        (ct("status"), "dnat", "in", {"ctstate": "UNTRACKED"}, False),
        (payload("tcp", "flags"), ["syn", "ack"], "in", {}, True),
        ({"&": [payload("tcp", "flags"), ["fin", "syn", "rst"]]}, "syn", "==", {}, True),
        ({"&": [payload("tcp", "flags"), ["fin", "syn", "rst"]]}, "syn", "==", {"ctstate": "ESTABLISHED"}, None),
        (payload("tcp", "flags"), "ack", "in", {"ctstate": "ESTABLISHED"}, True),
        (payload("tcp", "flags"), "ack", "in", {"ctstate": "INVALID"}, None),
    ],
)
def test_sets_of_bits(left: Any, right: Any, op: str, given: Any, expected: bool | None) -> None:  # noqa: FBT001
    assert asked(match(left, right, op), **given) is expected


# Statements


@pytest.mark.parametrize(
    ("value", "mark", "expected"),
    [
        (1, 0, 1),
        ({"|": [meta("mark"), 16]}, 1, 17),
        ({"^": [meta("mark"), 3]}, 1, 2),
        ({"|": [{"&": [meta("mark"), 0xFFFFFF00]}, 5]}, 0x1FF, 0x105),
        (ct("mark"), 7, 0),
        ({"<<": [meta("mark"), 8]}, 0x1000001, 0x100),
        ({">>": [{"<<": [meta("mark"), 8]}, 8]}, 0x1000001, 1),
        ({"<<": [meta("mark"), 1 << 40]}, 1, 0),
        ({">>": [meta("mark"), -1]}, 1, 1),
    ],
)
def test_marks_are_set(value: Any, mark: int, expected: int) -> None:
    found = through(listed(table(), base(), rule({"mangle": {"key": meta("mark"), "value": value}})), mark=mark)
    assert (found.end.packet.mark, found.end.packet.unknown) == (expected, frozenset())


def test_a_mark_that_a_map_says_is_known_where_the_element_is() -> None:
    value = {"map": {"key": DPORT, "data": {"set": [[465, 1], [25, 2]]}}}
    set_mark = {"mangle": {"key": meta("mark"), "value": {"|": [value, 16]}}}
    text = listed(table(), base(), rule(set_mark, DROP))
    assert through(text).end.packet.mark == 17
    assert through(text, dport=26).verdict is Verdict.PASSES
    assert through(text, proto="udp").verdict is Verdict.PASSES
    odd = {"mangle": {"key": meta("mark"), "value": {"map": {"key": DPORT, "data": {"set": [[465, "x"]]}}}}}
    assert through(listed(table(), base(), rule(odd))).end.packet.unknown == {"mark"}
    unknown = through(text, dport=25, unknown=frozenset({"dport"}))
    assert [("mark" in end.packet.unknown, end.verdict) for end in unknown.ends] == [
        (True, Verdict.DROPPED),
        (False, Verdict.PASSES),
    ]


def test_a_connections_mark_is_set_where_there_is_a_connection() -> None:
    text = listed(table(), base(), rule({"mangle": {"key": ct("mark"), "value": 5}}))
    assert through(text).end.packet.connection.mark == 5
    assert through(text, ctstate="INVALID").end.packet.connection.mark is None
    of_none = listed(table(), base(), rule(COUNT, {"mangle": {"key": meta("mark"), "value": ct("mark")}}, DROP))
    found = through(of_none, ctstate="INVALID")
    assert (found.verdict, places(found)) == (Verdict.PASSES, ["inet t forward #1"])


def test_addresses_that_are_changed_without_tracking_are_not_known_then() -> None:
    text = listed(table(), base(), rule({"mangle": {"key": payload("ip", "daddr"), "value": "10.9.9.9"}}))
    assert through(text).end.packet.unknown == {"dst"}
    ttl = listed(table(), base(), rule({"mangle": {"key": payload("ip", "ttl"), "value": 3}}))
    assert through(ttl).end.packet.unknown == frozenset()


@pytest.mark.parametrize(
    ("statement", "source"),
    [
        ({"masquerade": None}, "192.0.2.1 40000"),
        ({"masquerade": {"port": 1234}}, "192.0.2.1 1234"),
        ({"snat": {"family": "ip", "addr": "192.0.2.9", "port": {"range": [5, 9]}}}, "192.0.2.9 5"),
        ({"snat": {"addr": "192.0.2.9", "flags": ["persistent"]}}, "192.0.2.9 40000"),
        ({"snat": {"port": 77}}, "10.1.0.2 77"),
        ({"snat": {"family": "ip6", "addr": "2001:db8::9"}}, "10.1.0.2 40000"),
    ],
)
def test_sources_are_translated(statement: Any, source: str) -> None:
    text = listed(table(), base("postrouting", 100, "nat"), rule(statement, chain="postrouting"))
    found = through(text)
    left = found.end.packet
    assert (f"{left.src} {left.sport}", found.verdict, found.notes) == (source, Verdict.PASSES, ())


def test_destinations_are_translated() -> None:
    def sent(statement: Any, **given: Any) -> str:
        text = listed(table(), base("prerouting", -100, "nat"), rule(statement, chain="prerouting"))
        found = through(text, **given)
        where = found.end.packet
        return f"{where.dst} {where.dport}{'' if len(found.ends) == 1 else '?'}"

    assert sent({"dnat": {"family": "ip", "addr": "10.9.9.9", "port": 25}}) == "10.9.9.9 25"
    assert sent({"dnat": {"family": "ip6", "addr": "fd00:9::9", "port": 25}}, six=True) == "fd00:9::9 25"
    assert sent({"redirect": {"port": 8080}}) == "10.1.0.1 8080"
    assert sent({"redirect": None}) == "10.1.0.1 465"
    prefix = {"dnat": {"family": "ip", "addr": {"prefix": {"addr": "10.9.9.8", "len": 30}}}}
    assert sent(prefix).startswith("10.9.9.8")
    by_map = {"dnat": {"family": "ip", "addr": {"map": {"key": DPORT, "data": "@m"}}}}
    assert sent(by_map) == "192.0.2.25 465?"


def test_a_limit_is_assumed_and_said_and_one_that_is_exceeded_is_not_known() -> None:
    within = through(listed(table(), base(), rule({"limit": {"rate": 5, "per": "second"}}, DROP)))
    assert (within.verdict, "assumed" in within.notes[0]) == (Verdict.DROPPED, True)
    over = through(listed(table(), base(), rule({"limit": {"rate": 5, "per": "second", "inv": True}}, DROP)))
    assert over.verdict is Verdict.UNCERTAIN


@pytest.mark.parametrize(
    "statement",
    [{"quota": {"val": 5, "val_unit": "mbytes"}}, {"ct count": {"val": 5}}, {"tproxy": {"port": 80}},
     {"tproxy": {"port": 80, "family": "ip"}},
     {"set": {"op": "add", "elem": 1, "set": "@s", "stmt": [{"limit": {"rate": 1, "per": "second"}}]}}],
)  # fmt: skip
def test_what_hangs_on_what_is_not_seen_is_followed_both_ways(statement: Any) -> None:
    assert asked(statement) is None


@pytest.mark.parametrize(
    "statement",
    [{"log": {"prefix": "x"}}, {"log": None}, {"counter": None}, {"ct helper": "ftp"},
     {"set": {"op": "update", "elem": 1, "set": "@s"}}, COUNT, {"continue": None}],
)  # fmt: skip
def test_what_changes_nothing_goes_on(statement: Any) -> None:
    assert asked(statement) is True


def test_handing_to_a_flow_table_is_told_and_ends_the_rule_for_a_first_packet() -> None:
    flow = {"flow": {"op": "add", "flowtable": "@ft"}}
    found = through(listed(table(), base(), rule(flow, DROP)))
    assert found.verdict is Verdict.PASSES
    assert "later packets pass by the rules" in "\n".join(render(found))
    assert through(listed(table(), base(), rule(flow, DROP)), ctstate="INVALID").verdict is Verdict.PASSES
    assert asked(flow, ctstate="ESTABLISHED") is None


def test_giving_it_to_a_program_is_told_and_what_it_is_not_for_goes_on() -> None:
    to_program = {"tproxy": {"port": 7893, "family": "ip6"}}
    for given in ({}, {"six": True, "proto": "icmpv6"}):
        assert through(listed(table(), base(), rule(to_program, DROP)), **given).verdict is Verdict.PASSES
    found = through(listed(table(), base(), rule(to_program, COUNT, ACCEPT), rule(DROP)), six=True)
    first = next(step for step in found.steps if step.place)
    assert ("gives it to the local program on port 7893" in first.does, first.sure) == (True, False)
    counted = through(listed(table(), base(), rule(COUNT, to_program, ACCEPT), rule(DROP)), six=True)
    assert next(step for step in counted.steps if step.place).sure


# What a statement needs


@pytest.mark.parametrize(
    ("statement", "given", "expected"),
    [
        ({"set": {"op": "add", "elem": payload("ip", "saddr"), "set": "@s"}}, {}, True),
        ({"set": {"op": "add", "elem": payload("ip", "saddr"), "set": "@s"}}, {"six": True}, False),
        ({"set": {"op": "delete", "elem": {"elem": {"val": payload("udp", "dport")}}, "set": "@s"}}, {}, False),
        ({"map": {"op": "add", "elem": payload("tcp", "dport"), "data": 1, "map": "@m"}}, {"proto": "udp"}, False),
        ({"mangle": {"key": payload("ip", "dscp"), "value": "cs1"}}, {}, True),
        ({"mangle": {"key": payload("ip", "dscp"), "value": "cs1"}}, {"six": True}, False),
        ({"mangle": {"key": payload("udp", "dport"), "value": 5}}, {}, False),
        ({"mangle": {"key": payload("icmp", "id"), "value": 5}}, {"proto": "icmp"}, None),
        ({"mangle": {"key": meta("mark"), "value": {"jhash": {"mod": 2, "expr": payload("ip", "saddr")}}}},
         {"six": True}, False),
        ({"mangle": {"key": meta("mark"), "value": {"numgen": {"mode": "inc", "mod": 2}}}}, {"six": True}, True),
        ({"mangle": {"key": {"tcp option": {"name": "maxseg", "field": "size"}}, "value": {"rt": {"key": "mtu"}}}},
         {}, True),
        ({"mangle": {"key": {"tcp option": {"name": "maxseg", "field": "size"}}, "value": 1400}},
         {"proto": "udp"}, None),
        ({"ct helper": {"map": {"key": DPORT, "data": {"set": [[21, "h"]]}}}}, {}, False),
        ({"ct helper": {"map": {"key": DPORT, "data": {"set": [[465, "h"]]}}}}, {}, True),
        ({"counter": {"map": {"key": DPORT, "data": {"set": [[21, "c"]]}}}}, {}, False),
        ({"limit": {"map": {"key": DPORT, "data": {"set": [[21, "l"]]}}}}, {}, False),
        ({"limit": {"map": {"key": DPORT, "data": {"set": [[465, "l"]]}}}}, {}, True),
        ({"ct expectation": "e"}, {}, None),
        ({"reject": {"type": "icmp", "expr": "net-unreachable"}}, {"six": True}, False),
        ({"reject": {"type": "icmpv6", "expr": "no-route"}}, {}, False),
        ({"reject": {"type": "tcp reset"}}, {"proto": "udp"}, False),
    ],
)  # fmt: skip
def test_a_packet_that_lacks_what_a_statement_takes_from_it_leaves_the_rule(
    statement: Any,
    given: Any,
    expected: bool | None,  # noqa: FBT001
) -> None:
    assert asked(statement, **given) is expected


def test_before_it_is_routed_a_packet_may_have_no_way_whose_mtu_could_be_asked() -> None:
    clamp = {"mangle": {"key": {"tcp option": {"name": "maxseg", "field": "size"}}, "value": {"rt": {"key": "mtu"}}}}
    text = listed(table(), base("prerouting"), rule(clamp, DROP, chain="prerouting"))
    assert through(text).verdict is Verdict.UNCERTAIN


@pytest.mark.parametrize(("op", "elements"), [("add", []), ("delete", ["10.1.0.2"])])
def test_what_the_packet_has_put_into_a_set_itself_is_no_longer_as_listed(op: str, elements: list[str]) -> None:
    own = {"set": {"family": "inet", "table": "t", "name": "s", "elem": elements}}
    put = {"set": {"op": op, "elem": payload("ip", "saddr"), "set": "@s"}}
    text = listed(table(), own, base(), rule(put), rule(match(payload("ip", "saddr"), "@s"), DROP))
    found = through(text)
    assert (found.verdict, "a rule before this one has changed the set" in found.notes[-1]) == (
        Verdict.UNCERTAIN,
        True,
    )


def test_a_named_limit_may_be_for_what_exceeds_it() -> None:
    def limit(**more: Any) -> Any:
        return {"limit": {"family": "inet", "table": "t", "name": "l", "rate": 5, "per": "second", **more}}

    for more, expected in (({}, Verdict.DROPPED), ({"inv": True}, Verdict.UNCERTAIN)):
        text = listed(table(), limit(**more), base(), rule({"limit": "l"}, DROP))
        assert through(text).verdict is expected
    assert through(listed(table(), base(), rule({"limit": "gone"}, DROP))).verdict is Verdict.UNCERTAIN


def test_what_a_verdict_map_lets_continue_goes_on_in_the_rule() -> None:
    pairs = [["new", {"continue": None}], ["established", ACCEPT]]
    text = listed(table(), base(), rule({"vmap": {"key": ct("state"), "data": {"set": pairs}}}, COUNT, DROP))
    found = through(text)
    assert (found.verdict, found.end.trail[-1].element, found.end.trail[-1].packets) == (Verdict.DROPPED, "new", 3)
    assert through(text, ctstate="ESTABLISHED").verdict is Verdict.PASSES
    assert through(text, ctstate="INVALID").verdict is Verdict.PASSES


def test_a_named_counter_counts_and_others_do_not() -> None:
    counter = {"counter": {"family": "inet", "table": "t", "name": "c", "packets": 9, "bytes": 1}}
    steps = through(listed(table(), counter, base(), rule({"counter": "c"}), rule({"log": None}))).steps
    assert [step.packets for step in steps if step.place and step.place.number] == [9, None]


def test_a_refusal_says_with_what() -> None:
    text = listed(table(), base(), rule({"reject": {"type": "icmpx", "expr": "admin-prohibited"}}))
    assert through(text).end.trail[-1].does == "refuses it with icmpx admin-prohibited"
    assert through(listed(table(), base(), rule({"reject": None}))).end.trail[-1].does == "refuses it"


def test_a_program_that_is_asked_decides() -> None:
    assert through(listed(table(), base(), rule({"queue": {"num": 5}}))).verdict is Verdict.UNCERTAIN


@pytest.mark.parametrize(
    "odd",
    [{"xt": None}, {"xt": {"type": "match"}}, "drop", {}, {"drop": None, "accept": None}, {"match": None},
     {"match": {"op": "==", "left": "x", "right": 1}}, {"match": {"op": "~", "left": DPORT, "right": 1}},
     {"match": {"op": "<", "left": DPORT, "right": {"set": []}}}, {"jump": None}, {"dnat": {"flags": "odd"}},
     {"mangle": {"key": {}, "value": 1}}, {"mangle": {"key": {"meta": {"key": "mark"}}, "value": True}},
     {"set": {"op": "add", "elem": {}, "set": "@s"}}, {"snat": {"addr": {"map": {}, "x": 1}}}, {"dnat": {"addr": {}}},
     {"counter": {"packets": "9"}}, {"counter": "gone"}, {"dnat": {"addr": {"prefix": {"addr": "x", "len": 3}}}},
     {"match": {"op": "==", "left": payload("ip", "saddr"), "right": {"prefix": {"addr": "10.0.0.0", "len": 99}}}},
     {"match": {"op": "==", "left": payload("ip", "saddr"), "right": {"prefix": 3}}},
     {"match": {"op": "==", "left": meta("iifname"), "right": 3}}, {"synproxy": None},
     {"match": {"op": "==", "left": meta("l4proto"), "right": "nonesuch"}}],
)  # fmt: skip
def test_what_is_not_understood_may_do_anything_and_is_said(odd: Any) -> None:
    found = through(listed(table(), base(), rule(odd, DROP)))
    assert found.verdict is Verdict.UNCERTAIN
    assert found.notes
    assert render(found)


# The listing


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"nftables": 5}', '{"nftables": [3]}', '{"nftables": [{"table": 5}]}', "[" * 5000,
     listed({"chain": {"family": "inet"}}), listed(base(prio="x")), listed(base(policy="odd")),
     listed({"rule": {"family": "inet", "table": "t", "chain": "c", "expr": 5}}), listed(table(handle="x")),
     listed({"set": {"family": "inet", "table": "t", "name": "s", "elem": 4}})],
)  # fmt: skip
def test_a_listing_that_makes_no_sense_counts_as_none(text: str) -> None:
    assert parse(text) is None
    assert ThisHost(Texts({LISTING: Said(0, text)}, {})).nftables() is None


def test_where_nft_cannot_be_read_its_chains_are_named_as_before() -> None:
    chains = json.dumps({"nftables": [base(policy="drop")]})
    found = way(packet(), said={"nft -j list chains": Said(0, chains), LISTING: Said(0, "{")})
    assert (found.verdict, "inet t forward drops what it does not accept" in found.notes[0]) == (
        Verdict.UNCERTAIN,
        True,
    )
    followed = way(packet(), said={"nft -j list chains": Said(0, chains), LISTING: Said(0, listed())})
    assert (followed.verdict, followed.notes) == (Verdict.PASSES, ())


def test_loops_end() -> None:
    text = listed(
        table(), base(), chain("a"), rule({"jump": {"target": "a"}}), rule({"jump": {"target": "a"}}, chain="a")
    )
    assert through(text).verdict is Verdict.UNCERTAIN


def test_many_rules_that_look_into_one_great_set_search_it_once() -> None:
    elements = [f"10.{n // 250}.{n % 250}.9" for n in range(10_000)]
    own = {"set": {"family": "inet", "table": "t", "name": "s", "elem": elements}}
    rules = [rule(match(payload("ip", "saddr"), "@s"), match(DPORT, n), DROP) for n in range(1000)]
    text = listed(table(), own, base(), *rules)
    began = process_time()
    assert through(text).verdict is Verdict.PASSES
    assert process_time() - began < 5  # searched each time: 15 s and more


def test_of_a_rule_no_more_is_read_than_packets_come_to() -> None:
    read: list[int] = []

    def one(number: int) -> Count:
        read.append(number)
        return Count(number)

    kept = Kept(one(number) for number in range(3))
    first, second = iter(kept), iter(kept)
    assert (next(first), next(second), next(second)) == (Count(0), Count(0), Count(1))
    assert read == [0, 1]
    assert (list(first), list(second), read) == ([Count(1), Count(2)], [Count(2)], [0, 1, 2])


def test_foreign_text_is_cleaned() -> None:
    text = listed(table(), base(name="x\x1b[31m"), rule(DROP, comment="\x1b[2J", chain="x\x1b[31m"))
    assert "\x1b" not in "\n".join(render(through(text)))


def test_what_passes_both_filters_is_told_by_the_rule_that_let_it() -> None:
    text = listed(table(), base(prio=0), rule(ACCEPT, comment="ours"))
    found = through(text, filter_())
    assert sentence(found).startswith("It passes: rule inet t forward #1 (ours) accepts it")


def test_nat_of_iptables_and_of_nftables_is_done_once() -> None:
    nat = listed(table(), base("postrouting", 101, "nat"), rule({"snat": {"addr": "192.0.2.9"}}, chain="postrouting"))
    found = through(nat, legacy("nat", "POSTROUTING -j SNAT --to-source 192.0.2.8"))
    assert (str(found.end.packet.src), found.end.packet.connection.nat) == ("192.0.2.8", FRESH.nat | {"SNAT"})  # type: ignore[operator]
