"""What the verdict says where nftables filters: the recorded firewall4, and rules of others in it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dmsfw.doctor.naming import target_of
from dmsfw.doctor.policies import Policies
from dmsfw.doctor.remedies import Means
from dmsfw.doctor.target import Target
from dmsfw.doctor.verdict import judge
from dmsfw.trace.nft.model import Nftables
from tests.unit.doctor_support import BRIDGE, NETWORK, OPEN, SERVER, UPLINKS, FakeHost, findings, followed, trial
from tests.unit.nft_support import RECORDED, base, listed, match, meta, nftables, rule, table

MEANS = Means(networks=(NETWORK,), uplinks=UPLINKS)
TARGET = Target(str(SERVER), 465, "tcp", SERVER)
ACCEPT, DROP = {"accept": None}, {"drop": None}
DSTNAT = base("prerouting", -100, "nat")


def said(nft: Nftables, **more: Any) -> str:
    """The verdict's sentence, where iptables lets it pass."""
    kernel = FakeHost(extra=OPEN, nft=nft, **more)
    return judge(findings(trial(kernel=kernel)), MEANS).sentence


def test_firewall4s_rule_that_leads_and_the_one_that_refuses_are_both_named() -> None:
    assert said(nftables()) == (
        "firewall rule inet fw4 forward #5 (jump handle_reject), by inet fw4 handle_reject #1 (!fw4: Reject TCP "
        "traffic) refuses it: no policy of dmsfw selects network dms"
    )


def test_a_policy_that_drops_is_named() -> None:
    text = listed(table("mine"), base(table="mine", policy="drop"))
    assert said(nftables(text)) == (
        "firewall rule inet mine forward policy drops it: no policy of dmsfw selects network dms"
    )


SHUT = nftables(listed(table("mine"), base(table="mine", policy="drop")))
BESIDES = "in a chain of its own, whose word counts besides"


def test_where_a_chain_of_others_drops_a_policy_alone_does_not_open_it_and_that_is_said() -> None:
    verdict = judge(findings(trial(kernel=FakeHost(extra=OPEN, nft=SHUT))), MEANS)
    assert (bool(verdict.lines), [BESIDES in one for one in verdict.advice]) == (True, [True])
    of_firewall4 = judge(findings(trial(kernel=FakeHost(extra=OPEN, nft=nftables()))), MEANS)
    assert (bool(of_firewall4.lines), of_firewall4.advice) == (True, ())


@pytest.mark.parametrize(("installed", "advice"), [(True, "whoever made that rule"), (False, "look at dmsfw status")])
def test_a_chain_of_others_drops_in_spite_of_a_policy(*, installed: bool, advice: str) -> None:
    policies = Policies(("smtps",), ("smtps",), uplinks=("pppoe-wan",), installed=installed)
    verdict = judge(findings(trial(kernel=FakeHost(extra=OPEN, nft=SHUT), policies=policies)), MEANS)
    assert (verdict.lines, BESIDES in verdict.sentence, advice in verdict.advice[0]) == ((), installed, True)


def test_a_redirection_into_a_proxy_is_named() -> None:
    to_proxy = rule(match(meta("iifname"), BRIDGE), {"redirect": {"port": 7892}}, chain="prerouting", comment="proxy")
    found = followed(FakeHost(extra=OPEN, nft=nftables(listed(table(), DSTNAT, to_proxy))), TARGET)
    assert (found.there.local, found.there.taken) == (True, "inet t prerouting #1 (proxy)")


def test_giving_it_to_a_proxy_that_may_listen_is_named() -> None:
    early = base("prerouting", -150)
    to_proxy = rule({"tproxy": {"port": 7893}}, ACCEPT, chain="prerouting", comment="proxy")
    text = listed(table(), early, to_proxy, base(), rule(DROP, comment="shut"))
    found = followed(FakeHost(extra=OPEN, nft=nftables(text)), TARGET)
    assert found.there.taken == "inet t prerouting #1 (proxy)"


TO_PROGRAM = listed(table(), base("prerouting", -150), rule({"tproxy": {"port": 7893}}, ACCEPT, chain="prerouting"))
REDIRECTED = listed(table(), DSTNAT, rule({"redirect": {"port": 7893}}, chain="prerouting"))


@pytest.mark.parametrize(("text", "says"), [(TO_PROGRAM, "may take"), (REDIRECTED, "takes")])
def test_where_it_connects_a_proxy_is_claimed_only_where_the_packet_goes_nowhere_else(text: str, says: str) -> None:
    verdict = judge(findings(trial("connects", kernel=FakeHost(extra=OPEN, nft=nftables(text)))), MEANS)
    assert (verdict.exit_code, [f"the router {says} the connection" in one for one in verdict.advice]) == (0, [True])


def test_what_nftables_lets_pass_passes() -> None:
    opened = json.loads(RECORDED)
    accept = {"family": "inet", "table": "fw4", "chain": "forward", "handle": 900, "expr": [{"accept": None}]}
    entries = opened["nftables"]
    first = next(at for at, entry in enumerate(entries) if entry.get("rule", {}).get("chain") == "forward")
    entries.insert(first, {"rule": accept})
    found = followed(FakeHost(extra=OPEN, nft=nftables(json.dumps(opened))), TARGET)
    assert (found.there.verdict.value, found.back is not None and found.back.verdict.value) == ("passes", "passes")


@pytest.mark.parametrize(
    ("line", "target"),
    [
        ('iifname "drop" log prefix "reject" jump x comment "goto y" # handle 5', "jump x"),
        ('tcp dport 80 redirect to :8080 comment "tproxy" # handle 5', "redirect"),
        ('counter comment "drop" # handle 5', ""),
        ("goto x # handle 1", "goto x"),
        ("-A FORWARD -j DROP", "DROP"),
        ("-A FORWARD -m comment", ""),
    ],
)
def test_what_a_rule_leads_to_is_read_from_its_text(line: str, target: str) -> None:
    assert target_of(line) == target
