"""Who may reach what: worlds, the rules they ask for, and packets that are taken through these rules.

The worlds stand in tests/cases/grants; decide_support.py says how their expected rules are made anew.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from dataclasses import replace
from ipaddress import ip_network
from itertools import permutations
from pathlib import Path

import pytest

from dmsfw.decide.grants import grants, obstacle, selects, ways_out
from dmsfw.enforce.render import render
from dmsfw.errors import InvalidValue
from dmsfw.model import Grant, Network, Policy, PortRange, Settings, Snapshot, Uplink, Uplinks
from tests.unit.decide_support import Case, cases, network, policy, rules, verdict

EVERY_CASE = pytest.mark.parametrize("case", cases(), ids=repr)
A = network({"name": "a", "device": "br-a", "subnets": ["10.1.0.0/24"]})
WAN = Uplinks(chosen=(Uplink("wan", "wan0"),))
MAIL = Policy("mail", networks=("a",), ports=(PortRange(465, 465),))


def world(*policies: Policy, networks: tuple[Network, ...] = (A,), uplinks: Uplinks = WAN) -> Snapshot:
    return Snapshot(Settings(policies=policies), networks, uplinks)


@EVERY_CASE
def test_a_world_asks_for_exactly_the_expected_rules(case: Case) -> None:
    assert rules(case.snapshot) == (case.folder / "expected.rules").read_text()


@EVERY_CASE
def test_every_packet_meets_its_verdict(case: Case) -> None:
    text = rules(case.snapshot)
    wrong = {packet: (verdict(text, packet), due) for packet, due in case.packets if verdict(text, packet) != due}
    assert not wrong


@EVERY_CASE
def test_the_order_of_reading_changes_no_rule(case: Case) -> None:
    given = case.snapshot
    shuffled = list(given.networks)
    random.Random(1).shuffle(shuffled)
    there_and_back = [replace(given, networks=tuple(order)) for order in (shuffled, reversed(given.networks))]
    assert {rules(one) for one in there_and_back} == {rules(given)}


def test_a_comment_never_ends_its_line_or_its_quotes() -> None:
    for case in cases():
        for line in rules(case.snapshot).splitlines():
            assert line.startswith(("-A DMSFW-", "# ip")) or not line
            assert line.count('"') in {0, 2}


def test_ids_are_the_same_whatever_the_whys_and_in_every_process() -> None:
    first, second = Policy("x", networks=("a",)), replace(MAIL, name="y", networks=("*",))
    ids = {grant.id for order in permutations((MAIL, first, second)) for grant in grants(world(*order))}
    assert len(ids) == 2
    # Written down once: an id that changes with a release would make every upgrade replace every rule.
    assert Grant("a", "br-a", ip_network("10.1.0.0/24"), "wan0", "tcp", (PortRange(465, 465),)).id == "186251938393"


def test_ids_do_not_hang_on_the_seed_of_hashes() -> None:
    program = "from tests.unit.test_decide_grants import *; print([grant.id for grant in grants(world(MAIL))])"
    folder = Path(__file__).parents[2]
    path = os.pathsep.join((str(folder / "daemon"), str(folder)))
    outputs = {
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


def test_every_part_of_a_grant_that_is_said_changes_its_id() -> None:
    one = Grant("a", "br-a", ip_network("10.1.0.0/24"), "wan0", "tcp", (PortRange(465, 465),))
    others = [
        replace(one, bridge="br-b"),
        replace(one, subnet=ip_network("10.2.0.0/24")),
        replace(one, uplink="wan1"),
        replace(one, proto="udp"),
        replace(one, ports=(PortRange(465, 466),)),
        replace(one, destination=ip_network("192.0.2.0/24")),
        replace(one, masquerade=False),
    ]
    assert len({one.id, *(other.id for other in others)}) == 8
    assert replace(one, whys=("because",)).id == one.id


def test_whys_stand_in_the_order_of_the_configuration_and_none_twice() -> None:
    (grant,) = grants(world(MAIL, MAIL, replace(MAIL, name="again")))
    assert grant.whys == ("mail: a may reach tcp 465 via wan", "again: a may reach tcp 465 via wan")


def test_what_a_policy_and_its_dns_ask_for_alike_is_one_grant() -> None:
    found = grants(world(replace(MAIL, ports=(PortRange(53, 53),), dns=True)))
    assert [(grant.proto, grant.whys) for grant in found] == [
        ("tcp", ("mail: a may reach tcp 53 via wan",)),
        ("udp", ("mail: a may reach udp 53 via wan",)),
    ]


@pytest.mark.parametrize(
    ("protos", "destinations", "said"),
    [
        (["tcp"], [], "tcp 465"),
        (["icmp"], [], "icmp"),
        (["tcp"], ["192.0.2.0/24"], "tcp 465 at 192.0.2.0/24"),
    ],
)
def test_a_why_says_what_is_open(protos: list[str], destinations: list[str], said: str) -> None:
    asking = policy({"name": "p", "networks": ["a"], "protos": protos, "ports": "465", "destinations": destinations})
    (grant,) = grants(world(asking))
    assert grant.whys == (f"p: a may reach {said} via wan",)


def test_everything_is_called_everything() -> None:
    (grant,) = grants(world(Policy("p", networks=("a",), protos=("all",))))
    assert grant.whys == ("p: a may reach everything via wan",)


def test_a_policy_that_allows_all_protocols_but_names_ports_opens_nothing() -> None:
    with pytest.raises(InvalidValue, match="no ports with all"):
        grants(world(replace(MAIL, protos=("all",))))


def test_a_device_with_a_wildcard_opens_nothing() -> None:
    with pytest.raises(InvalidValue, match="device"):
        grants(world(MAIL, networks=(replace(A, device="br+"),)))


@pytest.mark.parametrize(
    ("labels", "networks", "selected"),
    [
        ((), (), False),
        ((("k", "v"),), (), True),
        ((("k", None),), (), True),
        ((("k", "other"),), (), False),
        ((("k", "v"), ("absent", None)), (), False),
        ((("empty", ""),), (), True),
        ((), ("net*",), True),
        ((), ("NET",), False),
        ((), ("net",), False),
        ((), ("network[1-2]",), True),
        ((("k", "other"),), ("*",), True),
    ],
)
def test_a_network_is_selected_by_all_labels_or_by_one_name(
    labels: tuple[tuple[str, str | None], ...], networks: tuple[str, ...], *, selected: bool
) -> None:
    labelled = Network("1", "network1", labels=(("k", "v"), ("empty", "")))
    assert selects(Policy("p", labels=labels, networks=networks), labelled) is selected


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, ""),
        ({"problem": "its device is hostile"}, "hostile"),
        ({"internal": True}, "internal"),
        ({"driver": "macvlan"}, "macvlan"),
        ({"device": ""}, "no bridge or no subnet"),
        ({"subnets": ()}, "no bridge or no subnet"),
    ],
)
def test_what_cannot_be_opened_has_a_reason(change: dict[str, object], reason: str) -> None:
    found = obstacle(replace(A, **change))  # type: ignore[arg-type]
    assert reason in found
    assert bool(found) is bool(reason)


def test_an_uplink_that_is_down_keeps_its_way_out() -> None:
    down = Uplinks(chosen=(Uplink("wan", "wan0", up=False),))
    assert grants(world(MAIL, uplinks=down)) == grants(world(MAIL))


def test_one_device_is_one_way_out_however_many_interfaces_have_it() -> None:
    others = (Uplink("vpn", "p0"), Uplink("x", "x0"))
    uplinks = Uplinks(chosen=(Uplink("wan", "p0"), Uplink("wan6", "p0")), others=others)
    assert ways_out(MAIL, uplinks) == (Uplink("wan", "p0"),)
    assert ways_out(replace(MAIL, uplinks=("vpn", "x")), uplinks) == (Uplink("vpn", "p0"), Uplink("x", "x0"))


def test_nothing_is_rendered_for_nothing() -> None:
    assert not any(render(()).values())


def test_a_network_that_claims_an_uplinks_device_as_its_bridge_opens_nothing_by_that_uplink() -> None:
    claimed = Network("a" * 64, "net", device="wan0", subnets=(ip_network("172.18.0.0/16"),))
    settings = Settings(policies=(Policy("all", networks=("*",)),))
    uplinks = Uplinks(chosen=(Uplink("wan", "wan0"), Uplink("wanb", "wan1")))
    assert [grant.uplink for grant in grants(Snapshot(settings, (claimed,), uplinks))] == ["wan1"]
