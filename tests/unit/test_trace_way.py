"""The whole way: hooks in their order, translation, the routing decision, the way back, other firewalls."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address

import pytest

from dmsfw.trace import ThisHost, Verdict, Way, following, reply, trace
from dmsfw.trace.packet import Packet
from dmsfw.trace.shell import Said
from dmsfw.trace.text import render, sentence
from tests.unit.trace_support import NAMES, Texts, filter_, host, packet, places, table, way

TO_BRIDGE = {"ip -4 route get": Said(0, "10.1.0.2 from 10.1.0.1 dev br-a")}
WAN = "ip -o -4 addr show dev wan0"
MASQ = table("nat", "POSTROUTING -o wan0 -j MASQUERADE")
LOCAL = {"ip -4 route get": Said(0, "local 10.1.0.1 from 10.1.0.2 dev lo \n    cache <local> iif br-a")}
NO_WAY = {"ip -4 route get": Said(2, "", "RTNETLINK answers: Network is unreachable\n")}
OFF = {"/proc/sys/net/ipv4/conf/br-a/forwarding": "0\n", "/proc/sys/net/ipv6/conf/all/forwarding": "0\n"}


def hooks(found: Way) -> list[str]:
    return list(dict.fromkeys(step.hook for step in found.steps))


def test_every_table_is_met_in_the_order_of_the_kernel() -> None:
    tables = [table(name) for name in ("filter", "nat", "mangle", "raw", "security")]
    found = way(packet(), *tables)
    assert [(step.hook, step.place.table if step.place else "") for step in found.steps] == [
        *(("PREROUTING", name) for name in ("raw", "mangle", "nat")),
        ("routing", ""),
        *(("FORWARD", name) for name in ("mangle", "filter", "security")),
        *(("POSTROUTING", name) for name in ("mangle", "nat")),
    ]


def test_a_packet_for_the_host_meets_input() -> None:
    tables = [table(name) for name in ("filter", "nat", "mangle", "security")]
    found = way(packet(dst="10.1.0.1"), *tables, said=LOCAL)
    met = [step.place.table for step in found.steps if step.hook == "INPUT" and step.place]
    assert met == ["mangle", "filter", "security", "nat"]
    assert found.end.local
    assert sentence(found) == "It passes: the policy of INPUT accepts it, and the host itself takes it."


@pytest.mark.parametrize("hook", ["PREROUTING", "FORWARD", "POSTROUTING"])
def test_what_one_table_stops_meets_no_other(hook: str) -> None:
    found = way(packet(), table("mangle", f"{hook} -j DROP"), MASQ)
    assert found.verdict is Verdict.DROPPED
    assert hooks(found)[-1] == hook
    assert found.end.decides is found.steps[-1]


def test_devices_are_seen_where_the_kernel_knows_them() -> None:
    rules = table(
        "mangle",
        "PREROUTING -j in",
        "FORWARD -j in",
        "POSTROUTING -j in",
        "in -i br-a",
        "in -o wan0",
        chains=("in",),
    )
    found = way(packet(), rules)
    met = [(step.hook, step.place.number) for step in found.steps if step.place and step.place.chain == "in"]
    assert met == [("PREROUTING", 1), ("FORWARD", 1), ("FORWARD", 2), ("POSTROUTING", 1), ("POSTROUTING", 2)]


def test_an_old_kernel_tells_postrouting_no_in_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.release", lambda: "5.4.1-openwrt")
    found = way(packet(), table("mangle", "POSTROUTING -i br-a -j DROP"))
    assert found.verdict is Verdict.PASSES


TRANSLATIONS: list[tuple[str, str, dict[str, object], str, str, str]] = [
    ("PREROUTING", "DNAT --to-destination 10.9.9.9", {}, "10.1.0.2:40000", "10.9.9.9:465", "DNAT"),
    ("PREROUTING", "DNAT --to-destination 10.9.9.9:80", {}, "10.1.0.2:40000", "10.9.9.9:80", "DNAT"),
    ("PREROUTING", "DNAT --to-destination :80", {}, "10.1.0.2:40000", "192.0.2.25:80", "DNAT"),
    ("PREROUTING", "DNAT --to-destination 192.0.2.25", {}, "10.1.0.2:40000", "192.0.2.25:465", ""),
    ("PREROUTING", "DNAT --to-destination 10.9.9.9:400-500", {}, "10.1.0.2:40000", "10.9.9.9:465", "DNAT"),
    ("PREROUTING", "DNAT --to-destination 10.9.9.9:465-470", {}, "10.1.0.2:40000", "10.9.9.9:465", "DNAT"),
    ("PREROUTING", "DNAT --to-destination 10.9.9.9:460-465", {}, "10.1.0.2:40000", "10.9.9.9:465", "DNAT"),
    ("PREROUTING", "DNAT --to-destination 10.9.9.9:80-90", {}, "10.1.0.2:40000", "10.9.9.9:?", "DNAT"),
    ("PREROUTING", "DNAT --to-destination 10.9.9.9 --random", {}, "10.1.0.2:40000", "10.9.9.9:?", "DNAT"),
    ("PREROUTING", "DNAT --to-destination 10.9.9.9 --persistent", {}, "10.1.0.2:40000", "10.9.9.9:465", "DNAT"),
    ("PREROUTING", "NETMAP --to 10.9.0.0/16", {}, "10.1.0.2:40000", "10.9.2.25:465", "DNAT"),
    ("POSTROUTING", "MASQUERADE", {}, "192.0.2.1:40000", "192.0.2.25:465", "SNAT"),
    ("POSTROUTING", "MASQUERADE --to-ports 1024-2047", {}, "192.0.2.1:?", "192.0.2.25:465", "SNAT"),
    ("POSTROUTING", "MASQUERADE --random", {}, "192.0.2.1:?", "192.0.2.25:465", "SNAT"),
    ("POSTROUTING", "SNAT --to-source 192.0.2.9", {}, "192.0.2.9:40000", "192.0.2.25:465", "SNAT"),
    ("POSTROUTING", "SNAT --to-source 192.0.2.9:7", {}, "192.0.2.9:7", "192.0.2.25:465", "SNAT"),
    ("POSTROUTING", "NETMAP --to 192.0.2.0/24", {}, "192.0.2.2:40000", "192.0.2.25:465", "SNAT"),
    ("POSTROUTING", "FULLCONENAT", {}, "192.0.2.1:40000", "192.0.2.25:465", "SNAT"),
    ("POSTROUTING", "MASQUERADE", {"proto": "icmp"}, "192.0.2.1:None", "192.0.2.25:None", "SNAT"),
    ("POSTROUTING", "MASQUERADE", {"sport": None}, "192.0.2.1:None", "192.0.2.25:465", "SNAT"),
    ("POSTROUTING", "SNAT --to-source [2001:db8::1]:9", {"six": True}, "2001:db8::1:9", "2001:db8::25:465", "SNAT"),
    ("POSTROUTING", "SNAT --to-source 2001:db8::1", {"six": True}, "2001:db8::1:40000", "2001:db8::25:465", "SNAT"),
]


@pytest.mark.parametrize(("hook", "target", "given", "src", "dst", "nat"), TRANSLATIONS)
def test_addresses_are_translated(
    hook: str, target: str, given: dict[str, object], *, src: str, dst: str, nat: str
) -> None:
    found = way(packet(**given), table("nat", f"{hook} -j {target}", f"{hook} -j DNAT --to-destination 10.0.0.1"))
    after = found.end.packet
    assert len(found.ends) == 1
    assert written(after, "src", "sport") == src
    assert written(after, "dst", "dport") == dst
    assert after.connection.nat == frozenset({nat} if nat else ())


def written(found: Packet, *fields: str) -> str:
    return ":".join("?" if field in found.unknown else str(getattr(found, field)) for field in fields)


def test_the_kernel_may_choose_the_address_that_is_there_already() -> None:
    found = way(packet(), table("nat", "PREROUTING -j DNAT --to-destination 192.0.2.20-192.0.2.30"))
    passing = [end for end in found.ends if end.verdict is Verdict.PASSES]
    assert {end.packet.connection.nat for end in passing} == {frozenset({"DNAT"}), frozenset()}


def test_one_of_several_destinations_may_lie_elsewhere() -> None:
    found = way(packet(), table("nat", "PREROUTING -j DNAT --to-destination 10.9.9.8-10.9.9.9"))
    assert (found.verdict, written(found.end.packet, "dst", "dport")) == (Verdict.UNCERTAIN, "?:465")


def test_a_range_that_holds_what_is_there_may_translate_nothing() -> None:
    """Errors that belong to the connection are translated in the one case, and not in the other."""
    found = way(packet(), table("nat", "PREROUTING -j DNAT --to-destination 192.0.2.25-192.0.2.26"))
    passing = [end.packet.connection.nat for end in found.ends if end.verdict is Verdict.PASSES]
    assert sorted(map(sorted, passing)) == [[], ["DNAT"]]


def test_a_device_with_several_addresses_gives_one_that_is_not_known() -> None:
    two = "3: wan0 inet 192.0.2.1/24 scope global wan0\n3: wan0 inet 192.0.2.2/24 scope global wan0\n"
    found = way(packet(), MASQ, said={WAN: Said(0, two)})
    assert "src" in found.end.packet.unknown
    assert "with the device's address" in sentence(found)


REDIRECTED = table("nat", "PREROUTING -p tcp -j REDIRECT --to-ports 7892")


def test_a_redirect_turns_it_to_the_host() -> None:
    found = way(packet(), REDIRECTED, filter_("INPUT -p tcp -m tcp --dport 7892 -j REJECT"))
    assert (found.verdict, written(found.end.packet, "dst", "dport")) == (Verdict.REJECTED, "10.1.0.1:7892")


def test_a_redirect_on_a_device_without_a_known_address_is_followed_all_the_same() -> None:
    silent = {"ip -o -4 addr show dev br-a": Said(1)}
    found = way(packet(), table("nat", "PREROUTING -j REDIRECT --random"), said=silent)
    assert found.end.local
    assert written(found.end.packet, "dst", "dport") == "?:?"


def test_a_foreign_full_cone_may_know_an_inner_host() -> None:
    found = way(packet(), table("nat", "PREROUTING -j FULLCONENAT"))
    assert found.verdict is Verdict.UNCERTAIN
    assert any("FULLCONENAT" in note for note in found.notes)


@pytest.mark.parametrize(
    "target",
    [
        "DNAT --to-destination 10.0.0.1:99999",
        "DNAT --what",
        "DNAT --to-destination x",
        "SNAT --to-source",
        "DNAT --to-destination 2001:db8::1",
        "NETMAP --to",
    ],
)
def test_a_translation_that_is_not_understood_is_not_guessed(target: str) -> None:
    found = way(packet(), table("nat", f"PREROUTING -j {target}"))
    assert found.verdict is Verdict.UNCERTAIN


def test_a_program_that_may_not_listen_makes_it_uncertain() -> None:
    found = way(packet(), table("mangle", "PREROUTING -p tcp -j TPROXY --on-port 7 --tproxy-mark 0x1/0x1"))
    assert found.verdict is Verdict.UNCERTAIN
    assert found.exit_code == 2


def test_mark_and_destination_count_for_the_routing_decision() -> None:
    texts = Texts(
        {
            "iptables-legacy-save": Said(
                0,
                "\n".join(
                    [
                        table("mangle", "PREROUTING -j MARK --set-xmark 0x5/0xffffffff"),
                        "COMMIT",
                        table("nat", "PREROUTING -j DNAT --to-destination 10.9.9.9:80"),
                        "COMMIT",
                    ]
                ),
            )
        },
        {NAMES[4]: "nat\n"},
    )
    trace(packet(), ThisHost(texts))
    wanted = "ip -4 route get 10.9.9.9 from 10.1.0.2 iif br-a mark 0x5 ipproto tcp sport 40000 dport 80"
    assert wanted in texts.asked


def test_the_way_out_that_was_asked_for_counts_and_the_hosts_own_is_told() -> None:
    found = way(packet(out_device="wan1"), filter_("FORWARD -o wan1 -j DROP"))
    assert found.verdict is Verdict.DROPPED
    assert found.notes == ("the host would send it out by wan0, not by wan1",)


@pytest.mark.parametrize(
    ("said", "note"), [(LOCAL, "take it for itself"), (NO_WAY, "no way for it: Network is unreach")]
)
def test_a_way_out_that_the_host_would_not_take_is_told(said: dict[str, Said], note: str) -> None:
    assert note in way(packet(out_device="wan1"), filter_(), said=said).notes[0]


def test_what_has_no_way_is_told_by_the_kernels_words() -> None:
    found = way(packet(), filter_(), said=NO_WAY)
    assert (found.verdict, found.exit_code) == (Verdict.UNREACHABLE, 1)
    assert sentence(found) == "It does not pass: the routing decision has no way for it: Network is unreachable."


@pytest.mark.parametrize("given", [packet(), packet(six=True)])
def test_a_host_that_does_not_forward_says_so(given: Packet) -> None:
    found = way(given, filter_(), files=OFF)
    assert found.verdict is Verdict.UNREACHABLE
    assert "forwarding is off" in sentence(found)


def test_a_way_that_cannot_be_asked_is_not_known() -> None:
    found = way(packet(), filter_(), said={"ip -4 route get": Said(None)})
    assert (found.verdict, found.exit_code) == (Verdict.UNCERTAIN, 2)


@pytest.mark.parametrize(
    ("rules", "verdict"),
    [
        (Said(0, "0: from all lookup local\n100: from all fwmark 0x1 lookup 100\n"), Verdict.UNCERTAIN),
        (Said(None), Verdict.UNCERTAIN),
        (Said(0, "0: from all lookup local\n"), Verdict.PASSES),
    ],
)
def test_a_mark_that_is_not_known_makes_the_way_doubtful_where_marks_count(rules: Said, verdict: Verdict) -> None:
    restore = table("mangle", "PREROUTING -j CONNMARK --restore-mark")
    found = way(packet(ctstate="ESTABLISHED"), restore, said={"ip -4 rule show": rules})
    step = next(step for step in found.steps if step.hook == "routing")
    assert (found.verdict, step.sure) == (verdict, verdict is Verdict.PASSES)
    assert ("its mark is not known here, which may send it elsewhere" in sentence(found)) is not step.sure


def test_the_way_that_was_asked_for_is_never_doubtful() -> None:
    restore = table("mangle", "PREROUTING -j CONNMARK --restore-mark")
    assert way(packet(ctstate="ESTABLISHED", out_device="wan0"), restore).verdict is Verdict.PASSES


BRIDGED = {"/proc/sys/net/bridge/bridge-nf-call-iptables": "1\n"}
BACK = {"ip -4 route get": Said(0, "10.1.0.3 from 10.1.0.2 dev br-a iif br-a")}


@pytest.mark.parametrize(
    ("port", "files", "verdict"),
    [
        ("veth1", BRIDGED, Verdict.UNCERTAIN),
        (None, BRIDGED, Verdict.UNCERTAIN),
        ("", BRIDGED, Verdict.PASSES),
        ("veth1", {}, Verdict.PASSES),
    ],
)
def test_a_dnat_back_into_a_bridge_that_rules_see_is_the_bridges(
    port: str | None, files: dict[str, str], verdict: Verdict
) -> None:
    found = way(
        packet(physdev=port), table("nat", "PREROUTING -j DNAT --to-destination 10.1.0.3"), said=BACK, files=files
    )
    assert found.verdict is verdict


# The answer on its way back, and the packets after the first.


def test_an_answer_comes_to_the_translated_address_and_is_turned_back() -> None:
    rules = (
        MASQ,
        filter_("FORWARD -d 10.1.0.2 -m conntrack --ctstate ESTABLISHED -j ACCEPT", "FORWARD -i wan0 -j DROP"),
    )
    there = trace(packet(), host(*rules))
    answer = reply(there)
    assert (str(answer.src), answer.sport, str(answer.dst), answer.dport) == ("192.0.2.25", 465, "192.0.2.1", 40000)
    assert (answer.in_device, answer.ctstate) == ("wan0", "ESTABLISHED")
    back = trace(answer, host(*rules))
    assert (back.verdict, str(back.end.packet.dst)) == (Verdict.PASSES, "10.1.0.2")
    assert not [step for step in back.steps if step.place and step.place.table == "nat"]


def test_an_answer_seems_to_come_from_where_the_first_packet_went() -> None:
    rules = table("nat", "PREROUTING -j DNAT --to-destination 10.9.9.9:80")
    there = trace(packet(), host(rules))
    answer = reply(there)
    assert (str(answer.src), answer.sport) == ("10.9.9.9", 80)
    back = trace(answer, host(rules))
    assert (str(back.end.packet.src), back.end.packet.sport) == ("192.0.2.25", 465)


def test_later_packets_are_translated_as_the_first_was() -> None:
    rules = (MASQ, table("mangle", "POSTROUTING -s 192.0.2.1 -j DROP"))
    later = following(trace(packet(), host(*rules)))
    found = trace(later, host(*rules))
    assert (found.verdict, str(found.end.packet.src)) == (Verdict.PASSES, "192.0.2.1")


def test_a_masqueraded_connection_that_changes_its_device_is_ended() -> None:
    later = following(way(packet(), MASQ))
    moved = {"ip -4 route get": Said(0, "192.0.2.25 from 10.1.0.2 dev wan1 iif br-a")}
    found = way(later, MASQ, said=moved)
    assert found.verdict is Verdict.DROPPED
    assert sentence(found) == "It does not pass: connection tracking drops it: its connection was masqueraded for wan0."


def test_an_error_message_is_turned_back_without_a_port() -> None:
    answer = replace(
        reply(way(packet(), MASQ)),
        proto="icmp",
        icmp=(3, 4),
        sport=None,
        dport=None,
        flags=frozenset(),
        ctstate="RELATED",
    )
    found = way(answer, MASQ, filter_("FORWARD -m conntrack --ctproto tcp -j DROP"))
    assert (found.verdict, str(found.end.packet.dst)) == (Verdict.DROPPED, "10.1.0.2")


@pytest.mark.parametrize(
    ("rules", "src"),
    [(MASQ, "203.0.113.9"), (table("nat", "PREROUTING -j DNAT --to-destination 10.9.9.9"), "192.0.2.25")],
)
def test_an_error_message_from_in_between_keeps_its_source_unless_the_destination_was_translated(
    rules: str, src: str
) -> None:
    answer = replace(reply(way(packet(), rules)), src=ip_address("203.0.113.9"), proto="icmp", icmp=(11, 0), sport=None,
                     dport=None, flags=frozenset(), ctstate="RELATED")  # fmt: skip
    assert str(way(answer, rules).end.packet.src) == src


def test_marks_of_a_connection_that_differ_are_not_known() -> None:
    doubtful = table("mangle", "PREROUTING -m u32 --u32 0x0=0x1 -j CONNMARK --set-xmark 0x1/0x1")
    found = way(packet(), doubtful)
    assert (len(found.ends), found.end.packet.connection.mark) == (1, None)


def test_an_old_connection_of_which_nothing_is_known_is_followed_as_it_stands() -> None:
    found = way(packet(ctstate="ESTABLISHED"), MASQ)
    assert str(found.end.packet.src) == "10.1.0.2"


def test_echoes_are_answered_by_echoes() -> None:
    assert reply(way(packet(proto="icmp"), MASQ)).icmp == (0, 0)


@pytest.mark.parametrize("ask", [reply, following])
def test_what_does_not_pass_has_no_answer(ask: Callable[[Way], Packet]) -> None:
    with pytest.raises(ValueError, match="does not pass"):
        ask(way(packet(), filter_(policy="DROP")))


def test_the_hosts_own_answer_is_a_packet_of_its_own() -> None:
    answer = reply(way(packet(dst="10.1.0.1"), filter_(), said=LOCAL))
    assert (str(answer.src), answer.in_device, answer.ctstate) == ("10.1.0.1", "", "ESTABLISHED")
    found = way(answer, filter_("OUTPUT -m conntrack --ctstate ESTABLISHED -j DROP"), MASQ, said=TO_BRIDGE)
    assert hooks(found) == ["routing", "OUTPUT"]
    assert found.verdict is Verdict.DROPPED


def test_what_the_host_sends_is_asked_for_without_a_device() -> None:
    texts = Texts({}, {})
    found = trace(packet(src="192.0.2.1", in_device=""), ThisHost(texts))
    assert found.end.packet.out_device == "wan0"
    asked = [line for line in texts.asked if "route get" in line]
    assert asked
    assert not any("iif" in line for line in asked)


@pytest.mark.parametrize(("proto", "state"), [("tcp", "INVALID"), ("udp", "NEW"), ("icmp", "INVALID")])
def test_nothing_is_known_of_a_packet_that_is_not_tracked_so_its_answer_is_no_known_one(proto: str, state: str) -> None:
    rules = filter_("FORWARD -i br-a -j ACCEPT", "FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT", policy="DROP")
    tables = (table("raw", "PREROUTING -i br-a -j CT --notrack"), rules)
    there = way(packet(proto=proto), *tables)
    assert there.verdict is Verdict.PASSES
    answer = reply(there)
    assert answer.ctstate == state
    back = way(answer, *tables, said={"ip -4 route get": Said(0, "10.1.0.2 from 192.0.2.25 dev br-a")})
    assert sentence(back) == "It does not pass: the policy of FORWARD drops it."


# Two variants, other firewalls, and listings that are not whole.


def test_a_packet_must_pass_the_rules_of_both_variants() -> None:
    nft = {"iptables-nft-save": Said(0, filter_("FORWARD -j DROP") + "\nCOMMIT\n")}
    found = way(packet(), filter_("FORWARD -j ACCEPT"), said=nft)
    assert found.verdict is Verdict.DROPPED
    assert sentence(found) == "It does not pass: nft rule FORWARD #1 drops it."
    assert [step.place.variant for step in found.steps if step.place and step.place.number] == ["legacy", "nft"]


def test_iptables_nft_asks_security_behind_nat() -> None:
    tables = "".join(f"{table(name)}\nCOMMIT\n" for name in ("security", "nat", "filter"))
    found = way(packet(dst="10.1.0.1"), said={**LOCAL, "iptables-nft-save": Said(0, tables)})
    assert [step.place.table for step in found.steps if step.hook == "INPUT" and step.place] == [
        "filter",
        "nat",
        "security",
    ]


def test_the_first_variant_that_translates_is_the_last() -> None:
    nft = {"iptables-nft-save": Said(0, table("nat", "POSTROUTING -j SNAT --to-source 192.0.2.9") + "\nCOMMIT\n")}
    found = way(packet(), MASQ, said=nft)
    assert str(found.end.packet.src) == "192.0.2.1"
    nothing = way(packet(), table("nat"), said=nft)
    assert str(nothing.end.packet.src) == "192.0.2.9"


def base_chain(
    policy: str, hook: str = "forward", family: str = "inet", table_: str = "fw4", name: str = "forward"
) -> Said:
    chain = {"family": family, "table": table_, "name": name, "hook": hook, "policy": policy, "type": "filter"}
    return Said(0, json.dumps({"nftables": [{"metainfo": {}}, {"chain": chain}, {"chain": {"name": "odd"}}, 7]}))


ONE_RULE = Said(0, '{"nftables": [{"chain": {}}, {"rule": {}}]}')
NO_RULE = Said(0, '{"nftables": [{"chain": {}}]}')

NFT: list[tuple[Said, Said, Verdict, str]] = [
    (
        base_chain("drop"),
        NO_RULE,
        Verdict.UNCERTAIN,
        "inet fw4 forward drops what it does not accept",
    ),
    (base_chain("accept"), ONE_RULE, Verdict.UNCERTAIN, "has rules of its own"),
    (base_chain("accept"), Said(1), Verdict.UNCERTAIN, "has rules of its own"),
    (base_chain("accept"), NO_RULE, Verdict.PASSES, ""),
    (base_chain("drop", hook="input"), NO_RULE, Verdict.PASSES, ""),
    (base_chain("drop", family="ip6"), NO_RULE, Verdict.PASSES, ""),
    (base_chain("drop", family="bridge"), NO_RULE, Verdict.PASSES, ""),
    (base_chain("drop", family="ip", table_="filter", name="FORWARD"), NO_RULE, Verdict.PASSES, ""),
    (base_chain("drop", family="ip", table_="filter", name="mine"), NO_RULE, Verdict.UNCERTAIN, "ip filter mine"),
    (Said(0, '{"nftables": []}'), NO_RULE, Verdict.PASSES, ""),
    (Said(1, err="Error: cache initialization failed: Invalid argument"), NO_RULE, Verdict.PASSES, ""),
    (Said(0, "what"), NO_RULE, Verdict.UNCERTAIN, "cannot be asked"),
    (Said(0, '{"nftables": {}}'), NO_RULE, Verdict.UNCERTAIN, "cannot be asked"),
    (Said(0, "[]"), NO_RULE, Verdict.UNCERTAIN, "cannot be asked"),
    (Said(None, err="nft: timed out"), NO_RULE, Verdict.UNCERTAIN, "cannot be asked"),
    (Said(1, err="Error: Operation not permitted"), NO_RULE, Verdict.UNCERTAIN, "cannot be asked"),
]


@pytest.mark.parametrize(("chains", "chain", "verdict", "note"), NFT)
def test_a_chain_of_nftables_own_is_told_and_whether_it_drops(
    chains: Said, chain: Said, verdict: Verdict, note: str
) -> None:
    found = way(packet(), filter_(), said={"nft -j list chains": chains, "nft -j list chain ": chain})
    assert found.verdict is verdict
    assert note in "".join(found.notes)


@pytest.mark.parametrize("hook", ["prerouting", "input", "output", "postrouting"])
def test_chains_that_cannot_be_read_are_on_the_way_by_lo_too(hook: str) -> None:
    said = {"nft -j list chains": base_chain("drop", hook=hook), "nft -j list chain ": NO_RULE}
    local = {"ip -4 route get": Said(0, "local 10.1.0.1 from 10.1.0.1 dev lo \n    cache <local>\n")}
    own = packet(src="10.1.0.1", dst="10.1.0.1", in_device="")
    assert way(own, filter_(), said={**said, **local}).verdict is Verdict.UNCERTAIN


@pytest.mark.parametrize(("tables", "verdict"), [("", Verdict.PASSES), ("table inet fw4\n", Verdict.UNCERTAIN)])
def test_an_nft_without_json_can_still_tell_that_there_is_nothing(tables: str, verdict: Verdict) -> None:
    said = {"nft -j": Said(1, err="Error: JSON support not compiled-in."), "nft list tables": Said(0, tables)}
    assert way(packet(), filter_(), said=said).verdict is verdict


@pytest.mark.parametrize(
    "said",
    [Said(None, err="iptables-nft-save: timed out"), Said(1, err="Out of memory"), Said(4, err="Permission denied")],
)
def test_rules_of_nft_that_cannot_be_listed_are_not_taken_for_none(said: Said) -> None:
    found = way(packet(), filter_("FORWARD -j ACCEPT"), said={"iptables-nft-save": said})
    assert (found.verdict, found.exit_code) == (Verdict.UNCERTAIN, 2)
    assert any(said.err in note for note in found.notes)


def test_a_kernel_without_nftables_has_no_rules_of_nft() -> None:
    none = Said(1, err="iptables-nft-save v1.8.9 (nf_tables): Could not fetch rule set generation id: Invalid argument")
    found = way(packet(), filter_("FORWARD -j ACCEPT"), said={"iptables-nft-save": none})
    assert (found.verdict, found.notes) == (Verdict.PASSES, ())


def test_what_iptables_drops_is_dropped_whatever_nftables_says() -> None:
    found = way(packet(), filter_(policy="DROP"), said={"nft -j list chains": base_chain("drop")})
    assert (found.verdict, found.notes) == (Verdict.DROPPED, ())


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        (Said(1, "*filter\n", "iptables-save: Can't find library for target `FULLCONENAT'"), "Can't find library"),
        (Said(None, "", "iptables-legacy-save: timed out"), "timed out"),
        (Said(1), "no answer"),
        (Said(0, "*filter\n:FORWARD DROP [0:0]\n"), "breaks off"),
    ],
)
def test_rules_that_cannot_be_listed_whole_leave_it_uncertain(said: Said, fault: str) -> None:
    found = way(packet(), filter_(), said={"iptables-legacy-save": said})
    assert found.verdict is Verdict.UNCERTAIN
    assert fault in "".join(found.notes)


def test_without_any_rules_nothing_stops_it() -> None:
    found = way(packet())
    assert (found.verdict, places(found)) == (Verdict.PASSES, [])
    assert sentence(found) == "It passes: nothing stops it, and it leaves by wan0."


# As people and programs read it.


HOSTILE = '-m comment --comment "\x1b[2J\\"mine\\" \u202e"'


def test_it_is_told_line_by_line_and_in_one_sentence() -> None:
    rules = filter_(f"FORWARD {HOSTILE} -j user", "user -m limit --limit 5/sec -j REJECT", chains=("user",))
    lines = render(way(packet(mark=0x5, sport=None), rules), colour=True)
    assert lines[0] == "tcp 10.1.0.2 -> 192.0.2.25 port 465, in by br-a, NEW, mark 0x5"
    assert all(line.isprintable() for line in lines[:-1])
    assert lines[-1] == (
        '\x1b[31mIt does not pass: rule FORWARD #1 (\\x1b[2J"mine" \\u202e) leads to rule user #1, '
        "which refuses it.\x1b[0m"
    )
    met = [line for line in lines if "user #1" in line]
    assert met[0] == (
        "    filter user #1: -A user -m limit --limit 5/sec -j REJECT [3 packets] refuses it "
        "(the limit is assumed not to be reached)"
    )
    assert "note: filter user #1: the limit is assumed not to be reached" in lines


def test_several_ends_are_told_together() -> None:
    doubt = filter_("FORWARD -m u32 --u32 0x0=0x1 -j DROP", "FORWARD -m u32 --u32 0x4=0x1 -j REJECT")
    found = way(packet(out_device="wan0", proto="icmp"), doubt)
    assert sentence(found).startswith("It is not known whether it passes: rule FORWARD #1 drops it or ")
    stopped = way(packet(), filter_("FORWARD -m u32 --u32 0x0=0x1 -j DROP", "FORWARD -j REJECT"))
    assert (stopped.verdict, stopped.stopped, stopped.exit_code) == (Verdict.UNCERTAIN, True, 1)
    assert sentence(stopped).startswith("It does not pass: rule FORWARD #1 drops it or rule FORWARD #2")


def test_programs_get_plain_values() -> None:
    found = json.loads(json.dumps(way(packet(), MASQ, filter_(policy="DROP")).as_dict()))
    assert found["verdict"] == "dropped"
    assert found["ends"][0]["decides"]["place"] == {"table": "filter", "chain": "FORWARD", "number": 0, "variant": ""}
    assert found["packet"]["dport"] == 465
    json.dumps(way(packet()).as_dict())
