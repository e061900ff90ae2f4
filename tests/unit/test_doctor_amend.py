"""A policy that lacks name resolution or masquerading: what is pasted opens nothing to any other network."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network

from dmsfw.config import settings_of
from dmsfw.decide.grants import grants
from dmsfw.doctor.amend import to_add_dns, to_translate
from dmsfw.doctor.findings import Question
from dmsfw.doctor.names import Asked, Lookup
from dmsfw.doctor.outcome import Verdict
from dmsfw.doctor.policies import Policies
from dmsfw.doctor.remedies import Means, Remedy
from dmsfw.doctor.target import Target
from dmsfw.doctor.verdict import judge
from dmsfw.doctor.ways import first_packet, ways
from dmsfw.model import Network, Policy, PortRange, Settings, Snapshot
from tests.unit.doctor_support import (
    BRIDGE,
    COMPOSE,
    FIRST_ZONE,
    NETWORK,
    OTHER,
    SOURCE,
    UPLINKS,
    WAN,
    FakeHost,
    findings,
    trial,
)
from tests.unit.test_edit_remedy import pasted

COMMIT = "uci commit dmsfw"
SMTPS = (PortRange(465, 465),)
WIDE = Policy("p", networks=("*",), ports=SMTPS)
OWN = Policy("p", labels=COMPOSE, ports=SMTPS)
LACKS = Policies(("p",), ("p",), untranslated=True, uplinks=(WAN,), installed=True)
ITS_OWN = "policy p selects this network alone: the lines change it"
NOT_ITS_OWN = "policy p may select other networks too and stays as it is: the lines make one for this network alone"
SELECTED = (
    "uci set dmsfw.dms=egress",
    "uci add_list dmsfw.dms.label='com.docker.compose.project=dms-service'",
    "uci add_list dmsfw.dms.label='com.docker.compose.network=dms-network'",
)
NAMES = (*SELECTED, "uci add_list dmsfw.dms.proto='udp'", "uci add_list dmsfw.dms.dest_port='53'")
NAMES_BESIDE = (*NAMES, "uci add_list dmsfw.dms.proto='tcp'", COMMIT)
MAIL = (*SELECTED, "uci add_list dmsfw.dms.proto='tcp'", "uci add_list dmsfw.dms.dest_port='465'")


def means(*policies: Policy, **given: object) -> Means:
    known = Means(networks=(NETWORK, OTHER), uplinks=UPLINKS, settings=Settings(policies=policies))
    return replace(known, **given)  # type: ignore[arg-type]


def question(device: str = WAN, server: str = "203.0.113.53") -> Question:
    target = Target(server, 53, "udp", ip_address(server))
    return Question(server, ways(first_packet(BRIDGE, SOURCE, target), FakeHost(device=device)))


def without_names(policy: Policy, **given: object) -> Verdict:
    asked = Lookup(asked=(Asked("127.0.0.11", (("203.0.113.53", "outside"),), "timeout"),), failure="timeout")
    return judge(findings(trial(policies=LACKS), there=asked, questions=(question(),)), means(policy, **given))


def untranslated(policy: Policy, **given: object) -> Verdict:
    kernel = FakeHost(device="eth9", extra={FIRST_ZONE: f"-A FORWARD -i {BRIDGE} -j ACCEPT"})
    return judge(findings(trial("timeout", kernel=kernel, policies=LACKS)), means(policy, **given))


def dns(policy: Policy, device: str = WAN, **given: object) -> Remedy:
    return to_add_dns(LACKS, NETWORK, question(device).ways.there, means(policy, **given))


def test_a_policy_for_this_network_alone_is_changed() -> None:
    named = without_names(OWN)
    assert (named.lines, named.advice) == (("uci set dmsfw.p.dns='1'", COMMIT), (ITS_OWN,))
    masked = untranslated(replace(OWN, masq=False))
    assert (masked.lines, masked.advice) == (("uci set dmsfw.p.masq='1'", COMMIT), (ITS_OWN,))
    by_name = replace(OWN, labels=(), networks=("dms",))
    assert without_names(by_name).lines == ("uci set dmsfw.p.dns='1'", COMMIT)


def test_a_policy_that_selects_others_stays_and_the_network_gets_one_beside_it() -> None:
    named = without_names(WIDE)
    assert (named.lines, named.advice) == (NAMES_BESIDE, (NOT_ITS_OWN,))
    masked = untranslated(replace(WIDE, masq=False))
    assert (masked.lines, masked.advice) == ((*MAIL, COMMIT), (NOT_ITS_OWN,))


def test_a_policy_that_could_select_others_later_is_not_changed_either() -> None:
    """As the one that is shipped: by a label that any network may bear."""
    later = replace(OWN, labels=COMPOSE[:1])
    assert without_names(later, networks=(NETWORK,)).lines == NAMES_BESIDE
    assert untranslated(replace(later, masq=False), networks=(NETWORK,)).lines == (*MAIL, COMMIT)


def test_what_masquerades_beside_a_policy_leads_nowhere_that_it_does_not() -> None:
    limited = replace(WIDE, masq=False, destinations=(ip_network("220.197.33.0/24"),), uplinks=("wan",), family="ipv4")
    assert untranslated(limited).lines == (
        *MAIL,
        "uci add_list dmsfw.dms.dest_ip='220.197.33.0/24'",
        "uci add_list dmsfw.dms.uplink='wan'",
        "uci set dmsfw.dms.family='ipv4'",
        COMMIT,
    )


def test_a_policy_of_its_own_that_would_not_let_the_question_out_stays_too() -> None:
    """It is for a line or for addresses by which the name server is not asked."""
    kept = "policy p is for other ways out or addresses and stays as it is: the lines make one for this network alone"
    for policy in (replace(OWN, uplinks=("vpn",)), replace(OWN, family="ipv6")):
        found = without_names(policy)
        assert (found.lines, found.advice) == (NAMES_BESIDE, (kept,))


def test_a_name_server_by_another_line_is_opened_by_that() -> None:
    assert dns(WIDE, "wg0").lines == (*NAMES_BESIDE[:-1], "uci add_list dmsfw.dms.uplink='vpn'", COMMIT)
    unnamed = dns(WIDE, "tun0")
    assert unnamed.lines[-2:] == ("uci add_list dmsfw.main.uplink_device='tun0'", COMMIT)
    assert unnamed.says[1].startswith("netifd names no interface for that device, so every policy")


def test_where_no_lines_would_do_it_is_said_by_hand() -> None:
    odd = replace(OWN, name="odd name")
    found = to_translate(Policies(allowing=("odd name",)), NETWORK, "tcp", 465, means(odd))
    assert found.lines == ()
    assert found.why_not.endswith("alone: set option masq '1' in egress 'odd name' in /etc/config/dmsfw")
    twins = dns(WIDE, networks=(NETWORK, replace(NETWORK, id="77" * 32)))
    assert (twins.lines, "two networks of Docker are called dms" in twins.why_not) == ((), True)
    unnamed = to_translate(
        Policies(allowing=("@egress[0]",)), NETWORK, "tcp", 465, means(replace(OWN, name="@egress[0]"))
    )
    assert unnamed.lines == ("uci set 'dmsfw.@egress[0].masq'='1'", COMMIT)


def test_to_switch_dmsfw_on_is_said_where_other_policies_go_with_it() -> None:
    found = dns(WIDE).says
    off = to_add_dns(
        LACKS, NETWORK, question().ways.there, means(WIDE, settings=Settings(enabled=False, policies=(WIDE,)))
    )
    assert off.lines[-2] == "uci set dmsfw.main.enabled='1'"
    assert off.says == (*found, "dmsfw is switched off: the lines switch it on, with all policies that are there")


def test_pasted_they_grant_the_other_network_nothing() -> None:
    """The configuration is read again, and what every network may reach is compared."""
    before = "config egress 'p'\n\tlist network '*'\n\tlist dest_port '465'\n\toption masq '0'\n"

    def reach(text: str, network: Network) -> set[object]:
        found = grants(Snapshot(settings_of(text), (NETWORK, OTHER), UPLINKS))
        return {(one.proto, one.ports, one.masquerade) for one in found if one.network == network.name}

    for found in (without_names(replace(WIDE, masq=False)), untranslated(replace(WIDE, masq=False))):
        after = pasted(found.lines, before)
        assert reach(after, OTHER) == reach(before, OTHER)
        assert reach(after, NETWORK) > reach(before, NETWORK)
