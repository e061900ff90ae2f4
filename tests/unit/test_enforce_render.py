"""How grants are written as rules: comments that nothing breaks out of, and ports in groups."""

from __future__ import annotations

import re
from dataclasses import replace
from ipaddress import ip_network

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dmsfw.decide.marks import OWNED_COMMENT, comment
from dmsfw.enforce.render import COMMENT_BYTES, MULTIPORT_SLOTS, TABLES, RuleSpec, hook, render
from dmsfw.model import Grant, PortRange
from tests.unit.decide_support import meets
from tests.unit.enforce_support import FILTER, FILTER6, NAT, NAT6, grant

UNHURRIED = settings(deadline=None)
ID = "0123456789ab"


@UNHURRIED
@given(st.text(st.characters(exclude_categories=[])))
@example('"; -j ACCEPT\n#')
@example("\x00\x1b[31m\ud800")
@example("邮件")
def test_a_comment_is_short_plain_and_ours_whatever_a_name_says(name: str) -> None:
    written = comment(ID, name, COMMENT_BYTES)
    assert re.fullmatch(r"dmsfw:[0-9a-f]{12}( [A-Za-z0-9_.:@/ -]+)?", written)
    assert len(written.encode()) <= COMMENT_BYTES
    match = OWNED_COMMENT.match(written)
    assert match
    assert match[1] == ID


@pytest.mark.parametrize(
    ("text", "owned"),
    [
        (f"dmsfw:{ID}", True),
        (f"dmsfw:{ID} why", True),
        (f"dmsfw:{ID}c", False),
        (f"dmsfw:{ID[:-1]}", False),
        (f"dmsfw:{ID.upper()}", False),
        (f" dmsfw:{ID}", False),
        (f"dmsfw:{ID}\n", False),
        ("dmsfw:", False),
        ("", False),
    ],
)
def test_only_a_whole_id_makes_a_rule_ours(text: str, *, owned: bool) -> None:
    assert bool(OWNED_COMMENT.match(text)) is owned


RANGES = st.lists(st.tuples(st.integers(1, 60000), st.integers(0, 3)), min_size=1, max_size=60).map(
    lambda pairs: tuple(sorted({PortRange(first, first + more) for first, more in pairs}))
)


@UNHURRIED
@given(RANGES, st.sampled_from(["tcp", "udp", "sctp"]))
def test_port_groups_hold_every_port_once_and_fit_into_a_match(ports: tuple[PortRange, ...], proto: str) -> None:
    specs = render([replace(grant(), proto=proto, ports=ports)])[NAT]  # type: ignore[arg-type]
    assert [port for spec in specs for port in spec.ports] == list(ports)
    for spec in specs:
        assert 0 < sum(1 + (first < last) for first, last in spec.ports) <= MULTIPORT_SLOTS
        assert spec.multiport is (len(spec.ports) > 1 or proto == "sctp")
    full = [sum(1 + (first < last) for first, last in spec.ports) for spec in specs[:-1]]
    assert all(slots >= MULTIPORT_SLOTS - 1 for slots in full)


def test_replies_stand_once_for_a_subnet_and_an_uplink() -> None:
    every = [grant(port) for port in (1, 2, 3)] + [replace(grant(), uplink="wan1"), grant(subnet="10.3.0.0/24")]
    replies = [spec for spec in render(every)[FILTER] if "NEW" not in spec.states]
    assert [(spec.in_device, str(spec.destination)) for spec in replies] == [
        ("wan0", "10.1.0.0/24"),
        ("wan1", "10.1.0.0/24"),
        ("wan0", "10.3.0.0/24"),
    ]
    assert all(spec.states == ("RELATED", "ESTABLISHED") for spec in replies)


@pytest.mark.parametrize(
    ("subnet", "masqueraded"),
    [
        ("10.1.0.0/24", True),
        ("203.0.113.0/24", True),
        ("fd00::/64", True),
        ("fc00::/7", True),
        ("fdff:ffff::/32", True),
        ("fe00::/7", False),
        ("fe80::/64", False),
        ("f800::/6", False),
        ("fb00::/8", False),
        ("2001:db8::/64", False),
        ("::/0", False),
    ],
)
def test_ipv4_is_masqueraded_and_of_ipv6_what_is_unique_local(subnet: str, *, masqueraded: bool) -> None:
    table = NAT6 if ":" in subnet else NAT
    one = Grant("a", "br-a", ip_network(subnet), "wan0", "tcp", (PortRange(1, 1),))
    assert bool(render([one])[table]) is masqueraded
    assert not render([replace(one, masquerade=False)])[table]


def test_every_rule_names_both_devices_and_its_subnet() -> None:
    for specs in render([grant(), grant(subnet="fd00::/64")]).values():
        for spec in specs:
            assert spec.out_device
            assert spec.in_device or spec.table == "nat"
            assert spec.source or (spec.destination and "NEW" not in spec.states)


def test_tables_stand_in_the_order_in_which_they_are_opened() -> None:
    assert [(key.command, key.name) for key in TABLES] == [
        ("iptables", "nat"),
        ("iptables", "filter"),
        ("ip6tables", "nat"),
        ("ip6tables", "filter"),
    ]
    assert [(key.builtin, key.own) for key in TABLES[:2]] == [
        ("POSTROUTING", "DMSFW-POSTROUTING"),
        ("FORWARD", "DMSFW-FORWARD"),
    ]


def test_hooks_of_different_tables_and_rules_of_different_worlds_have_different_ids() -> None:
    specs = [hook(FILTER), hook(NAT), *(spec for specs in render([grant(), grant(25)]).values() for spec in specs)]
    assert len({(spec.version, spec.table, spec.comment.split(" ")[0]) for spec in specs}) == len(specs)
    assert hook(FILTER).text.startswith("-A FORWARD -m comment --comment ")
    assert hook(FILTER6).text == hook(FILTER).text


def test_a_rule_without_conditions_says_so() -> None:
    spec = RuleSpec(4, "filter", "X", "ACCEPT")
    assert spec.text == "-A X -j ACCEPT"


def test_the_small_firewall_of_the_tests_knows_every_word_it_is_given() -> None:
    packet = next(iter(()), None)
    assert packet is None
    with pytest.raises(ValueError, match="what is that"):
        meets("-A X --sport 1", None)  # type: ignore[arg-type]
