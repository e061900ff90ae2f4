"""From what was found to a sentence, lines to paste and an exit code. The packets' ways are followed for real."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_address

import pytest

from dmsfw.doctor.containers import Endpoint
from dmsfw.doctor.findings import Findings, Question, Trial
from dmsfw.doctor.kernel import Bridge, Switches
from dmsfw.doctor.leaving import Leaving
from dmsfw.doctor.meanings import line, meaning
from dmsfw.doctor.names import Asked, Lookup
from dmsfw.doctor.outcome import NOT_KNOWN_OF_OWN, NOT_OURS
from dmsfw.doctor.policies import Policies
from dmsfw.doctor.probe import Outcome, Probe
from dmsfw.doctor.remedies import Means, to_open
from dmsfw.doctor.target import Target
from dmsfw.doctor.verdict import judge
from dmsfw.doctor.ways import Passage, first_packet, own_passage, ways
from dmsfw.model import Network, Policy, Settings, Uplinks
from dmsfw.trace.host import BaseChain
from tests.unit.doctor_support import (
    BRIDGE,
    CONTAINER,
    ESTABLISHED,
    FIRST_INPUT,
    FIRST_NAT,
    FIRST_OUTPUT,
    FIRST_ZONE,
    LAST_FORWARD,
    NETWORK,
    OPEN,
    OTHER,
    SERVER,
    SOURCE,
    UPLINKS,
    WAN,
    WAN_NAT,
    FakeHost,
    findings,
    trial,
)

MEANS = Means(networks=(NETWORK, OTHER), uplinks=UPLINKS)
REJECT = "firewall rule FORWARD #6 (!fw3 reject) refuses it"
SECTION = (
    "uci set dmsfw.dms=egress",
    "uci add_list dmsfw.dms.label='com.docker.compose.project=dms-service'",
    "uci add_list dmsfw.dms.label='com.docker.compose.network=dms-network'",
    "uci add_list dmsfw.dms.proto='tcp'",
    "uci add_list dmsfw.dms.dest_port='465'",
)
COMMIT = "uci commit dmsfw"
RELATED = "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED"
UNTRANSLATED = FakeHost(device="eth9", extra={FIRST_ZONE: f"-A FORWARD -i {BRIDGE} -j ACCEPT"})
SIX = ip_address("2001:db8::5")
INTERNAL = replace(NETWORK, internal=True)
MACVLAN = Network("6a" * 32, "flat", "macvlan", "", NETWORK.subnets)
REDIRECT = {FIRST_NAT: f"-A PREROUTING -i {BRIDGE} -p tcp -m tcp --dport 465 -j REDIRECT --to-ports 7892"}
FIRST_MANGLE = (
    '-A FORWARD -o pppoe-wan -p tcp -m tcp --tcp-flags SYN,RST SYN -m comment --comment "!fw3: Zone wan MTU fixing" '
    "-j TCPMSS --clamp-mss-to-pmtu"
)
TPROXY = {
    FIRST_MANGLE: f"-A PREROUTING -i {BRIDGE} -p tcp -m tcp --dport 465 -j TPROXY --on-port 7892 --on-ip 0.0.0.0 "
    "--tproxy-mark 0x1/0x1"
}
TAKEN = FakeHost(extra={**REDIRECT, FIRST_INPUT: f"-A INPUT -i {BRIDGE} -j ACCEPT"}, local=("172.18.0.1",))
SHUT = FakeHost(extra={**REDIRECT, FIRST_INPUT: f"-A INPUT -i {BRIDGE} -j DROP"}, local=("172.18.0.1",))
UNKNOWN_MATCH = FakeHost(extra={LAST_FORWARD: "-A FORWARD -m phase_of_the_moon --full -j ACCEPT"})
NFT = (BaseChain("inet fw4", "forward", "forward", "drop"),)


def silent(*, small: bool) -> Trial:
    return replace(trial(kernel=FakeHost(extra=OPEN)), inside=Probe(str(SERVER), 465, "silent", small=small))


ONE_ADDRESS: dict[str, tuple[Trial, int, str]] = {
    "refused by a rule, and no policy": (trial(), 1, f"{REJECT}: no policy of dmsfw selects network dms"),
    "the host fails as well": (
        trial(host="timeout"),
        1,
        (
            "the host itself cannot connect to 220.197.33.205:465 (no answer): not the router's firewall, but its "
            "line, the provider or the server"
        ),
    ),
    "a policy of another port": (
        trial(policies=Policies(("web",), uplinks=(WAN,))),
        1,
        f"{REJECT}: policy web of dmsfw selects network dms and does not allow tcp 465",
    ),
    "a policy by another device": (
        trial(policies=Policies(("web",), elsewhere=("eth7",), uplinks=("eth7",))),
        1,
        f"{REJECT}: dmsfw allows tcp 465 by eth7, and the route leads by pppoe-wan",
    ),
    "a policy whose rules are missing": (
        trial(policies=Policies(("smtps",), ("smtps",), uplinks=(WAN,), installed=False)),
        1,
        f"{REJECT}: policy smtps of dmsfw allows it, and its rules are not in the kernel",
    ),
    "a rule in front of ours": (
        trial(policies=Policies(("smtps",), ("smtps",), uplinks=(WAN,), installed=True)),
        1,
        f"{REJECT}: policy smtps of dmsfw allows it, but this rule goes first and is not dmsfw's",
    ),
    "policies that are not known": (
        replace(trial(), policies=None),
        1,
        f"{REJECT}: no policy of dmsfw is known to allow tcp 465 for network dms",
    ),
    "dropped": (
        trial("timeout", kernel=FakeHost(extra={FIRST_ZONE: f"-A FORWARD -i {BRIDGE} -j DROP"})),
        1,
        "firewall rule FORWARD #3 (DROP) drops it: no policy of dmsfw selects network dms",
    ),
    "an internal network": (
        trial("no route", leaving=Leaving(SERVER, SOURCE, INTERNAL)),
        1,
        "network dms is internal: Docker promises that it has no way out",
    ),
    "no route in the container": (
        trial("no route", leaving=Leaving(SERVER)),
        1,
        "the container has no route to 220.197.33.205: its networks (dms) give it no way out by IPv4",
    ),
    "a rule in the container": (
        trial("denied"),
        1,
        "a rule or a route in the container's own network forbids it: a VPN's in it, say",
    ),
    "a VPN in the container": (
        trial("timeout", leaving=Leaving(SERVER, ip_address("10.9.9.9"))),
        2,
        "it leaves from 10.9.9.9, which is on no network of Docker's: a VPN's in it, say",
    ),
    "another driver": (
        trial("timeout", leaving=Leaving(SERVER, SOURCE, MACVLAN)),
        2,
        "it leaves by network flat of the driver macvlan: no FORWARD rule of this router decides about its packets",
    ),
    "a bridge that is down": (
        trial("timeout", bridge=Bridge(BRIDGE, exists=True)),
        1,
        f"the bridge {BRIDGE} of network dms is down",
    ),
    "a bridge that is gone": (
        trial("timeout", bridge=Bridge(BRIDGE)),
        1,
        f"the bridge {BRIDGE} of network dms does not exist",
    ),
    "nothing is forwarded": (
        trial("timeout", switches=Switches(4, forwards=False)),
        1,
        "the router forwards nothing that comes in by the container's bridge: net.ipv4.ip_forward is 0",
    ),
    "no route on the router": (
        trial("timeout", kernel=FakeHost(forwarding=False)),
        1,
        (
            "the router has no route for the container's packets to 220.197.33.205: they stop at its routing, "
            "where its own pass"
        ),
    ),
    "no masquerade": (
        trial("timeout", kernel=UNTRANSLATED),
        1,
        (
            "the packet passes, and leaves by eth9 with the container's own address 172.18.0.2: no rule translates it "
            "(masquerading), so no answer comes back"
        ),
    ),
    "no masquerade, but something says no": (
        trial(kernel=UNTRANSLATED),
        2,
        "the container does not connect (refused), and why is not known",
    ),
    "the answer is dropped": (
        trial("timeout", kernel=FakeHost(extra={**OPEN, ESTABLISHED: f"{RELATED} -j DROP"})),
        1,
        "the packet passes, and firewall rule FORWARD #2 (DROP) drops the answer on its way back",
    ),
    "a black hole": (
        silent(small=True),
        1,
        "small packets pass and large ones do not: an MTU black hole on the container's way",
    ),
    "silence in small packets too": (
        silent(small=False),
        2,
        "the container does not connect (connected, then silence), and why is not known",
    ),
    "a match that nobody knows": (
        trial("timeout", kernel=UNKNOWN_MATCH),
        2,
        "it may be stopped by firewall rule FORWARD #7 (!fw3 reject): that hangs on what is not known from here",
    ),
    "another firewall": (
        trial("timeout", kernel=FakeHost(extra=OPEN, chains=NFT)),
        2,
        "it may be stopped: that hangs on what is not known from here",
    ),
    "open, and yet refused": (
        trial(kernel=FakeHost(extra=OPEN)),
        2,
        "the container does not connect (refused), and why is not known",
    ),
    "tables that cannot be read": (
        trial(ways=None, fault="iptables: not there"),
        2,
        "the container does not connect (refused), and why is not known: iptables: not there",
    ),
}


@pytest.mark.parametrize("name", ONE_ADDRESS)
def test_one_address_is_judged_by_the_first_thing_that_stops_it(name: str) -> None:
    tried, code, sentence = ONE_ADDRESS[name]
    reached = judge(findings(tried), MEANS)
    assert (reached.exit_code, reached.sentence) == (code, sentence)


def test_a_redirection_into_a_local_port_is_named_with_what_came_of_it() -> None:
    reached = judge(findings(trial(kernel=TAKEN)), MEANS)
    assert reached.exit_code == 1
    assert reached.sentence == (
        "rule nat PREROUTING #1 (REDIRECT) gives the connection to a program on the router, a proxy (refused there)"
    )
    shut = judge(findings(trial(kernel=SHUT)), MEANS)
    assert shut.sentence == (
        "firewall rule INPUT #1 (DROP) drops it at the router's own door, to which rule nat PREROUTING #1 (REDIRECT) "
        "redirected it: dmsfw opens only what is forwarded"
    )
    assert shut.lines == ()


def test_the_remedy_is_a_whole_section_and_what_makes_it_count() -> None:
    assert judge(findings(trial()), MEANS).lines == (*SECTION, COMMIT)
    start = ("/etc/init.d/dmsfw enable", "/etc/init.d/dmsfw start")
    fresh = replace(MEANS, written=False, start=start)
    assert judge(findings(trial()), fresh).lines == ("touch /etc/config/dmsfw", *SECTION, COMMIT, *start)
    off = replace(MEANS, settings=Settings(enabled=False))
    assert judge(findings(trial()), off).lines == (*SECTION, "uci set dmsfw.main.enabled='1'", COMMIT)


def test_the_remedy_names_the_port_that_dnat_makes_of_it() -> None:
    """FORWARD and POSTROUTING meet that one."""
    asked = Target("smtp.example.com", 8465)
    sent_on = {FIRST_NAT: f"-A PREROUTING -p tcp -m tcp --dport 8465 -j DNAT --to-destination {SERVER}:465"}
    one = trial(kernel=FakeHost(extra=sent_on), target=asked)
    assert judge(findings(one, target=asked), MEANS).lines == (*SECTION, COMMIT)


def test_without_uci_the_remedy_writes_the_file() -> None:
    lines = to_open(NETWORK, "udp", 53, replace(MEANS, uci=False, start=("dmsfw apply",)), device="tun0").lines
    assert lines == (
        "cat >>/etc/config/dmsfw <<'END'",
        "",
        "config egress 'dms'",
        "\tlist label 'com.docker.compose.project=dms-service'",
        "\tlist label 'com.docker.compose.network=dms-network'",
        "\tlist proto 'udp'",
        "\tlist dest_port '53'",
        "",
        "# and in section 'main':",
        "#\tlist uplink 'wan'",
        "#\tlist uplink_device 'tun0'",
        "END",
        "dmsfw apply",
    )


def test_a_way_out_that_is_no_uplink_is_named_in_the_remedy_as_narrowly_as_can_be() -> None:
    """By its interface for this policy alone; a device without one, for all, beside the uplinks that there are."""
    named = to_open(NETWORK, "tcp", 465, MEANS, device="wg0").lines
    assert named == (*SECTION, "uci add_list dmsfw.dms.uplink='vpn'", COMMIT)
    unnamed = to_open(NETWORK, "tcp", 465, MEANS, device="tun0").lines
    kept = ("uci add_list dmsfw.main.uplink='wan'", "uci add_list dmsfw.main.uplink_device='tun0'")
    assert unnamed == (*SECTION, *kept, COMMIT)
    own = replace(MEANS, settings=Settings(uplinks=("wan",)))
    assert to_open(NETWORK, "tcp", 465, own, device="tun0").lines == (*SECTION, kept[1], COMMIT)
    by_routes = replace(MEANS, uplinks=Uplinks(chosen=(replace(UPLINKS.chosen[0], interface=WAN),)))
    listed = to_open(NETWORK, "tcp", 465, by_routes, device="tun0").lines
    assert f"uci add_list dmsfw.main.uplink_device='{WAN}'" in listed
    assert to_open(NETWORK, "tcp", 465, MEANS, device='x"#').lines == (*SECTION, COMMIT)


def test_where_no_lines_would_do_it_is_said_why() -> None:
    refused = to_open(replace(NETWORK, internal=True), "tcp", 465, MEANS)
    assert (refused.lines, "internal" in refused.why_not) == ((), True)


def test_a_private_destination_may_know_the_way_back() -> None:
    given = replace(trial("timeout", kernel=UNTRANSLATED), address=ip_address("192.168.9.9"))
    reached = judge(findings(given), MEANS)
    assert (reached.exit_code, "no rule translates it" in reached.sentence) == (2, False)


def test_a_policy_whose_masquerading_is_not_in_the_kernel_is_started() -> None:
    missing = Policies(("p",), ("p",), uplinks=("eth9",), installed=False)
    started = replace(MEANS, start=("dmsfw apply",))
    reached = judge(findings(trial("timeout", kernel=UNTRANSLATED, policies=missing)), started)
    assert reached.lines == ("dmsfw apply",)


def test_it_connects_where_one_address_does_and_the_others_are_said() -> None:
    other = replace(trial(), address=ip_address("220.197.33.206"))
    reached = judge(findings(trial("connects"), other), MEANS)
    assert (reached.exit_code, reached.sentence) == (0, "mail connects to tcp smtp.example.com:465")
    assert reached.advice == ("by 220.197.33.206 it does not (refused): a program that tries this first waits",)
    unused = replace(trial("no route"), address=SIX)
    assert judge(findings(trial("connects"), unused), MEANS).advice == ()
    taken = judge(
        findings(trial("connects", kernel=TAKEN)),
        MEANS,
    )
    assert "rule nat PREROUTING #1 (REDIRECT)" in taken.advice[0]


@pytest.mark.parametrize("local", [(), (str(SERVER),)])
def test_tproxy_is_named_wherever_its_mark_leads(local: tuple[str, ...]) -> None:
    given = trial("timeout", kernel=FakeHost(extra=TPROXY, local=local))
    rule = "rule mangle PREROUTING #1 (TPROXY)"
    reached = judge(findings(given), MEANS)
    assert (reached.exit_code, reached.lines) == (1, ())
    assert reached.sentence == f"{rule} gives the connection to a program on the router, a proxy (no answer there)"
    connected = judge(findings(replace(given, inside=Probe(str(SERVER), 465, "connects"))), MEANS)
    assert (connected.exit_code, rule in connected.advice[0]) == (0, True)


def test_of_several_addresses_that_fail_a_known_cause_goes_before_an_unknown_one() -> None:
    reached = judge(findings(trial(kernel=FakeHost(extra=OPEN)), trial()), MEANS)
    assert (reached.exit_code, reached.sentence.startswith(REJECT)) == (1, True)


@pytest.mark.parametrize(
    ("inside", "host"), [("no route", "connects"), ("no route", "no route"), ("timeout", "no route")]
)
def test_what_ipv6_does_not_reach_does_not_hide_that_the_rest_is_not_known(inside: Outcome, host: Outcome) -> None:
    six = replace(trial(inside, host=host), address=SIX, ways=None)
    for trials in ((trial(kernel=FakeHost(extra=OPEN)), six), (six, trial(kernel=FakeHost(extra=OPEN)))):
        reached = judge(findings(*trials), MEANS)
        assert (reached.exit_code, "why is not known" in reached.sentence) == (2, True)
    assert judge(findings(six), MEANS).exit_code == 1


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "0.0.0.0"])
@pytest.mark.parametrize("host", ["connects", "refused"])
def test_loopback_is_the_container_itself_and_no_rule_is_blamed(address: str, host: Outcome) -> None:
    itself = ip_address(address)
    given = replace(trial(host=host), address=itself, leaving=Leaving(itself, itself, None), ways=None)
    reached = judge(findings(given), MEANS)
    assert (reached.exit_code, "is the container itself" in reached.sentence) == (1, True)
    assert "means itself" in meaning(given)


def test_an_answer_that_goes_past_the_router_is_the_cause() -> None:
    back = f"-A PREROUTING -i {BRIDGE} -p tcp -m tcp --dport 465 -j DNAT --to-destination 172.18.0.3:80"
    hairpin = {FIRST_NAT: back, **OPEN}
    hairpin[FIRST_ZONE] = f"-A FORWARD -i {BRIDGE} -j ACCEPT"
    given = trial("timeout", kernel=FakeHost(extra=hairpin))
    reached = judge(findings(given), MEANS)
    assert (reached.exit_code, "the answer goes past the router" in reached.sentence) == (1, True)
    assert reached.lines == ()
    assert given.ways
    assert given.ways.exit_code == 1
    masked = FakeHost(extra={**hairpin, WAN_NAT: f"-A POSTROUTING -o {BRIDGE} -j MASQUERADE"})
    translated = trial("timeout", kernel=masked)
    assert translated.ways
    assert (translated.ways.past_us, translated.ways.exit_code) == (False, 0)


def test_what_was_assumed_is_said_where_the_server_would_be_blamed_else() -> None:
    limited = {FIRST_ZONE: f"-A FORWARD -i {BRIDGE} -m limit --limit 1/hour -j ACCEPT"}
    reached = judge(findings(trial(kernel=FakeHost(extra=limited))), MEANS)
    assert (reached.exit_code, reached.advice) == (
        2,
        (
            "the tables let the packet and its answer pass if what is assumed of them holds",
            "filter FORWARD #3: the limit is assumed not to be reached",
        ),
    )
    sure = judge(findings(trial(kernel=FakeHost(extra=OPEN))), MEANS)
    assert "behind the router" in sure.advice[0]


def test_what_leaves_untranslated_is_not_said_to_be_answered() -> None:
    plain = trial(kernel=FakeHost(extra={**OPEN, WAN_NAT: "-A POSTROUTING -o pppoe-wan -j ACCEPT"})).ways
    translated = trial(kernel=FakeHost(extra=OPEN)).ways
    assert plain
    assert translated
    assert (plain.untranslated, plain.exit_code) == (True, 2)
    assert (translated.untranslated, translated.exit_code) == (False, 0)


def test_besides_the_host_a_rule_that_would_refuse_is_named_too() -> None:
    reached = judge(findings(trial(host="refused")), MEANS)
    assert reached.advice == ("besides, firewall rule FORWARD #6 (!fw3 reject) refuses the container's packets",)


def own(rules: Mapping[str, str]) -> Passage:
    source = ip_address("198.51.100.2")
    host = FakeHost(extra=rules, local=(str(source),))
    return own_passage(source, Target("smtp.example.com", 465).at(SERVER), host)


WHOSE = "the host's"
NO_ADDRESS = "no address of the target is of a family that the host has"
KEPT = {FIRST_OUTPUT: "-A OUTPUT -p tcp -m tcp --dport 465 -j DROP"}
MAY_KEEP = {FIRST_OUTPUT: "-A OUTPUT -m owner --uid-owner 0 -j DROP"}


def test_a_host_that_a_rule_of_its_own_stops_is_no_witness() -> None:
    one = trial(host="timeout", own=own(KEPT))
    reached = judge(findings(one), MEANS)
    assert (reached.exit_code, reached.sentence) == (1, judge(findings(trial()), MEANS).sentence)
    assert reached.advice[-1] == "the host is no witness: firewall rule OUTPUT #1 (DROP) drops its own packets"
    assert meaning(one).startswith("a rule or a route for the router's own packets keeps the host from it")


DIVERTED = {WAN_NAT: "-A OUTPUT -p tcp -m tcp --dport 465 -j REDIRECT --to-ports 1"}
SENT_ON = {WAN_NAT: "-A OUTPUT -p tcp -m tcp --dport 465 -j DNAT --to-destination 172.18.0.7"}
NO_ANSWER = {FIRST_INPUT: "-A INPUT -p tcp -m tcp --sport 465 -j DROP"}
OF_THE_ROUTER = [
    (NO_ANSWER, "firewall rule INPUT #1 (DROP) drops the answers to {} packets"),
    (DIVERTED, "rule nat OUTPUT #1 (REDIRECT), which leads to a program on the router, sends {} packets to 127.0.0.1"),
    (SENT_ON, "DNAT sends {} packets to 172.18.0.7"),
]


@pytest.mark.parametrize(("rules", "said"), OF_THE_ROUTER)
def test_what_else_of_the_router_keeps_the_host_from_it(rules: Mapping[str, str], said: str) -> None:
    one = trial(host="timeout", own=own(rules))
    reached = judge(findings(one), MEANS)
    assert (reached.exit_code, reached.sentence) == (1, judge(findings(trial()), MEANS).sentence)
    assert reached.advice[-1] == f"the host is no witness: {said.format('its own')}"
    hosted = judge(findings(one, container=replace(CONTAINER, mode="host")), MEANS)
    assert (hosted.exit_code, hosted.sentence.endswith(f", and {said.format(WHOSE)}")) == (1, True), hosted


@pytest.mark.parametrize("known", [None, own(MAY_KEEP), own({})])
def test_a_host_that_may_not_send_is_kept_by_the_router_itself(known: Passage | None) -> None:
    one = trial(host="denied", own=known)
    reached = judge(findings(one), MEANS)
    assert (reached.exit_code, reached.sentence) == (1, judge(findings(trial()), MEANS).sentence)
    said = "a rule or a route of the router forbids {} packets"
    assert f"the host is no witness: {said.format('its own')}" in reached.advice
    hosted = judge(findings(one, container=replace(CONTAINER, mode="host")), MEANS)
    assert (hosted.exit_code, hosted.sentence.endswith(f", and {said.format(WHOSE)}")) == (1, True), hosted


def by_six(inside: Outcome = "timeout") -> Trial:
    """Another address of the target, by IPv6, which the router does not have: OpenWrt forbids what has no way."""
    probes = {"host": Probe(str(SIX), 465, "denied"), "inside": Probe(str(SIX), 465, inside)}
    return replace(trial(), address=SIX, ways=None, **probes)


def test_that_the_router_has_no_ipv6_does_not_hide_what_it_says_of_ipv4() -> None:
    hosted = replace(CONTAINER, mode="host")
    four = trial(host="refused", own=own({}))
    reached = judge(findings(four, by_six(), container=hosted), MEANS)
    assert reached.sentence.endswith(f"the host does not connect (refused): {NOT_OURS}")
    alone = judge(findings(by_six(), container=hosted), MEANS)
    assert alone.sentence.endswith("forbids the host's packets, as OpenWrt has one where there is no IPv6")
    passing = trial("timeout", kernel=FakeHost(extra=OPEN))
    known = judge(findings(passing, replace(by_six(), ways=trial().ways)), MEANS)
    assert (known.exit_code, known.sentence) == (2, judge(findings(passing), MEANS).sentence)


def test_a_host_whose_packets_tproxy_takes_is_no_witness_whether_its_program_listens_or_not() -> None:
    source = ip_address("198.51.100.2")
    taken = {rule: text.replace(BRIDGE, "lo") for rule, text in TPROXY.items()}
    host = FakeHost(extra=taken, local=(str(source), str(SERVER)))
    one = trial(host="timeout", own=own_passage(source, Target("smtp.example.com", 465).at(SERVER), host))
    reached = judge(findings(one), MEANS)
    assert (reached.exit_code, reached.sentence) == (1, judge(findings(trial()), MEANS).sentence)
    said = "rule mangle PREROUTING #1 (TPROXY) gives its own packets to a program on the router"
    assert f"the host is no witness: {said}" in reached.advice


def test_the_routers_routing_may_stop_its_own_packets_as_well() -> None:
    reached = judge(findings(trial(host="denied", kernel=FakeHost(forwarding=False))), MEANS)
    assert reached.sentence.endswith("to 220.197.33.205: they stop at its routing")


def test_on_the_hosts_network_too_nobody_has_to_answer_a_datagram() -> None:
    target, mode = Target("dns.example.com", 5353, "udp"), replace(CONTAINER, mode="host")
    reached = judge(findings(trial(host="timeout", own=own({}), target=target), target=target, container=mode), MEANS)
    assert (reached.exit_code, "many services answer no stranger" in reached.sentence) == (2, True)
    refused = judge(findings(trial(host="refused", own=own({}), target=target), target=target, container=mode), MEANS)
    assert (refused.exit_code, refused.sentence.endswith(NOT_OURS)) == (1, True)


def test_on_the_hosts_network_too_a_name_may_be_the_fault() -> None:
    nothing = Lookup(failure="Temporary failure in name resolution")
    reached = judge(findings(here=nothing, container=replace(CONTAINER, mode="host")), MEANS)
    assert reached.exit_code == 1
    assert "smtp.example.com does not resolve on the host (Temporary failure in name resolution)" in reached.sentence
    assert NOT_OURS not in reached.sentence


def test_whether_a_rule_stops_the_host_may_not_be_known() -> None:
    reached = judge(findings(trial(host="timeout", own=own(MAY_KEEP))), MEANS)
    assert (reached.exit_code, "is not known" in reached.sentence) == (2, True)
    assert any("owner" in text for text in reached.advice)


def test_a_host_that_no_rule_stops_is_not_kept_by_the_firewall() -> None:
    reached = judge(findings(trial(host="timeout", own=own({}))), MEANS)
    assert (reached.exit_code, reached.sentence.endswith(NOT_OURS)) == (1, True)


@pytest.mark.parametrize(
    ("rules", "code", "said"),
    [
        (KEPT, 1, "and firewall rule OUTPUT #1 (DROP) drops the host's packets"),
        (MAY_KEEP, 2, NOT_KNOWN_OF_OWN),
        ({}, 1, NOT_OURS),
    ],
)
def test_a_container_on_the_hosts_network_meets_the_rules_for_the_hosts_packets(
    rules: Mapping[str, str], code: int, said: str
) -> None:
    found = findings(trial(host="timeout", own=own(rules)), container=replace(CONTAINER, mode="host"))
    reached = judge(found, MEANS)
    assert (reached.exit_code, reached.sentence.endswith(said)) == (code, True), reached


def test_a_policy_for_another_of_its_networks_is_told() -> None:
    both = replace(CONTAINER, endpoints=(*CONTAINER.endpoints, Endpoint(OTHER.id, "other")))
    means = replace(MEANS, settings=Settings(policies=(Policy("web", networks=("other",)),)))
    reached = judge(findings(trial(), container=both), means)
    assert reached.sentence.endswith(
        "no policy of dmsfw selects network dms, by which the container leaves (policy web selects network other, by "
        "which it does not)"
    )


def test_a_datagram_without_an_answer_is_not_known() -> None:
    target = Target("dns.example.com", 5353, "udp")
    opened = FakeHost(extra={FIRST_ZONE: f"-A FORWARD -i {BRIDGE} -p udp -j ACCEPT"})
    reached = judge(findings(trial("timeout", host="timeout", kernel=opened, target=target), target=target), MEANS)
    assert (reached.exit_code, "many services answer no stranger" in reached.sentence) == (2, True)


def test_a_network_of_the_host_and_none_at_all() -> None:
    def of(mode: str, tried: Trial | None) -> tuple[int, str]:
        found = findings(*([tried] if tried else []), container=replace(CONTAINER, mode=mode))
        reached = judge(found, MEANS)
        return reached.exit_code, reached.sentence

    shares = "mail shares the host's network (network_mode: host), and the host"
    assert of("host", trial()) == (0, f"{shares} connects: no rule for containers is met")
    assert of("host", trial(host="refused"))[1].startswith(f"{shares} does not connect (refused): not the router's")
    assert of("host", None) == (2, f"{shares.removesuffix('the host')}nothing could be tried: {NO_ADDRESS}")
    assert of("none", trial()) == (1, "mail has no network (network_mode: none): it connects to nothing")


@pytest.mark.parametrize(
    ("tried", "code", "says", "lines"),
    [
        (trial("connects"), 1, "; from its network tcp smtp.example.com:465 is reached", ()),
        (trial(), 1, f"; besides, {REJECT}: no policy of dmsfw selects network dms", (*SECTION, COMMIT)),
        (trial(kernel=FakeHost(extra=OPEN)), 2, "; besides, the container does not connect (refused)", ()),
    ],
)
def test_a_paused_container_connects_to_nothing_whatever_its_network_lets_through(
    tried: Trial, code: int, says: str, lines: tuple[str, ...]
) -> None:
    reached = judge(findings(tried, container=replace(CONTAINER, state="paused")), MEANS)
    assert reached.exit_code == code
    assert reached.sentence.startswith(f"mail is paused, so nothing in it connects (`docker unpause mail`){says}")
    assert reached.lines == ("docker unpause mail", *lines)


def test_a_paused_containers_name_that_cannot_be_pasted_gives_way_to_its_id() -> None:
    odd = replace(CONTAINER, state="paused", name="a\nb;c")
    assert judge(findings(trial("connects"), container=odd), MEANS).lines == (f"docker unpause {CONTAINER.id}",)


def test_without_any_address_of_the_wanted_family_nothing_is_known() -> None:
    assert judge(findings(), MEANS).exit_code == 2


# Names


def of_names(there: Lookup, here: Lookup | None = None, *questions: Question, **given: object) -> tuple[int, str]:
    known = Lookup((str(SERVER),), "the host")
    found: Findings = findings(trial(), there=there, here=here or known, questions=questions, **given)
    reached = judge(found, MEANS)
    return reached.exit_code, reached.sentence


def asking(server: str, host: FakeHost) -> Question:
    target = Target(server, 53, "udp", ip_address(server))
    return Question(server, ways(first_packet(BRIDGE, SOURCE, target), host))


OUTSIDE = Lookup(asked=(Asked("127.0.0.11", (("203.0.113.53", "outside"),), "timeout"),), failure="timeout")


def test_a_name_that_is_unknown_everywhere_is_not_the_firewalls_fault() -> None:
    code, sentence = of_names(Lookup(failure="no such name"), Lookup(failure="Name or service not known"))
    assert (code, sentence) == (
        1,
        (
            "smtp.example.com does not resolve on the host either (Name or service not known): the name is wrong, or "
            "the router's own name resolution fails"
        ),
    )


def test_questions_that_a_rule_stops_are_the_cause() -> None:
    code, sentence = of_names(OUTSIDE, None, asking("203.0.113.53", FakeHost()))
    assert (code, sentence) == (
        1,
        (
            "smtp.example.com does not resolve in the container: firewall rule FORWARD #6 (!fw3 reject) refuses its "
            "questions to 203.0.113.53 (udp 53)"
        ),
    )
    reached = judge(findings(trial(), there=OUTSIDE, questions=(asking("203.0.113.53", FakeHost()),)), MEANS)
    assert reached.lines == (*SECTION, "uci set dmsfw.dms.dns='1'", COMMIT)


def test_questions_to_the_router_itself_are_not_dmsfws_to_open() -> None:
    shut = FakeHost(local=("192.168.1.1",), extra={FIRST_INPUT: f"-A INPUT -i {BRIDGE} -p udp -j DROP"})
    reached = judge(findings(trial(), there=OUTSIDE, questions=(asking("192.168.1.1", shut),)), MEANS)
    assert (reached.exit_code, reached.lines) == (1, ())
    assert "drops its questions to the router itself, 192.168.1.1 (udp 53)" in reached.sentence


def test_answers_to_questions_that_are_dropped_are_the_cause() -> None:
    lost = FakeHost(
        extra={
            FIRST_ZONE: f"-A FORWARD -i {BRIDGE} -j ACCEPT",
            ESTABLISHED: f"{RELATED} -j DROP",
        }
    )
    code, sentence = of_names(OUTSIDE, None, asking("203.0.113.53", lost))
    assert (code, sentence.endswith("FORWARD #2 (DROP) drops the answers of 203.0.113.53")) == (1, True)


def test_a_name_server_that_knows_better_than_the_hosts_is_named() -> None:
    there = Lookup(asked=(Asked("192.0.2.53", (("192.0.2.53", "outside"),), "no such name"),), failure="no such name")
    assert of_names(there) == (
        1,
        "smtp.example.com does not resolve in the container: 192.0.2.53 says that there is no such name",
    )


def test_a_resolver_that_keeps_silent_for_no_reason_that_can_be_seen_is_not_known() -> None:
    there = Lookup(asked=(Asked("127.0.0.11", (("127.0.0.1", "dockerd"),), "timeout"),), failure="timeout")
    reached = judge(findings(trial(), there=there), MEANS)
    assert (reached.exit_code, "why is not known" in reached.sentence) == (2, True)
    assert "Docker's resolver asks from the host" in reached.advice[0]
    assert of_names(Lookup(failure="it has no name server"))[0] == 2


# Words


def test_each_outcome_is_said_with_what_it_means() -> None:
    black = Probe("192.0.2.1", 993, "silent", 3.0, small=True)
    assert line(black) == "connected, then silence (0.0 s): the TLS hello comes when asked for in small packets"
    deaf = Probe("192.0.2.1", 25, "silent", 3.0, small=False)
    assert line(deaf).endswith(": the greeting does not come in small packets either")
    assert line(Probe("192.0.2.1", 9, "prohibited", 1.0, detail="ICMP from 192.0.2.9")) == (
        "prohibited (0.0 s) (ICMP from 192.0.2.9)"
    )
    assert line(Probe("192.0.2.1", 9, "no route", 0.1)) == "no route"
    said = {outcome: meaning(trial(outcome)) for outcome in ("refused", "timeout", "reset", "unreachable")}
    assert len(set(said.values())) == 4
    assert meaning(trial("connects")) == ""
    assert "where the host itself does not" in meaning(trial("connects", host="refused"))
    assert meaning(trial(host="refused")).startswith("the host does not get there either")
    assert meaning(replace(trial("no route"), address=SIX)) == "the container has no IPv6: nothing was sent"
    assert meaning(replace(trial(), inside=None)) == ""


def test_everything_is_there_for_programs() -> None:
    found = findings(trial(), questions=(asking("203.0.113.53", FakeHost()),)).as_dict()
    assert {"target", "container", "names", "addresses", "questions", "obstacles", "remark"} == set(found)
    assert judge(findings(trial()), MEANS).as_dict()["connects"] is False
    assert judge(findings(), MEANS).as_dict()["connects"] is None
