"""What the owner is told of networks and policies, so that nothing stays shut in silence."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

from dmsfw.decide.standing import Standing, standing
from dmsfw.model import Network, Policy, Settings, Snapshot

SUBNETS = (ip_network("10.1.0.0/24"),)
OPEN = Network("1", "open", device="br-1", subnets=SUBNETS)
OTHER = Network("2", "other", device="br-2", subnets=SUBNETS)
INNER = replace(OTHER, id="3", name="inner", internal=True)
HOST = Network("4", "host", driver="host")
EVERY = (OPEN, OTHER, INNER, HOST)


def of(*policies: Policy, networks: tuple[Network, ...] = EVERY, enabled: bool = True) -> Standing:
    return standing(Snapshot(Settings(enabled=enabled, policies=policies), networks))


def test_networks_are_sorted_by_what_becomes_of_them() -> None:
    found = of(Policy("p", networks=("open", "inner")))
    assert found.selected == (OPEN,)
    assert [network for network, _ in found.skipped] == [INNER]
    assert "internal" in found.skipped[0][1]
    assert found.unselected == (OTHER,)
    assert found.idle == ()


def test_a_policy_that_selects_nothing_is_idle() -> None:
    nothing = Policy("nothing", networks=("typo",))
    assert of(nothing).idle == (nothing,)
    assert of(nothing, networks=()).idle == (nothing,)


def test_a_policy_that_selects_only_what_cannot_be_opened_is_idle() -> None:
    inner = Policy("inner", networks=("inner", "host"))
    found = of(inner)
    assert found.idle == (inner,)
    assert found.selected == ()
    assert [network for network, _ in found.skipped] == [INNER, HOST]


def test_a_policy_that_is_switched_off_is_not_idle_and_selects_nothing() -> None:
    found = of(Policy("off", networks=("*",), enabled=False))
    assert (found.selected, found.skipped, found.idle) == ((), (), ())
    assert found.unselected == (OPEN, OTHER)


def test_what_is_no_network_of_its_own_is_skipped_aloud_only_when_it_is_named() -> None:
    assert HOST not in [network for network, _ in of(Policy("all", networks=("*",))).skipped]
    assert HOST in [network for network, _ in of(Policy("host", networks=("host",))).skipped]


def test_while_all_is_switched_off_nobody_is_idle() -> None:
    found = of(Policy("p", networks=("*",)), enabled=False)
    assert (found.selected, found.idle) == ((), ())
    assert found.unselected == (OPEN, OTHER)


def test_every_network_that_could_be_opened_is_told_of_once() -> None:
    for policies in ((), (Policy("a", networks=("*",)), Policy("b", networks=("open",)))):
        found = of(*policies)
        assert {network.name for network in (*found.selected, *found.unselected)} == {"open", "other"}
        assert len(found.selected) + len(found.unselected) == 2
