"""Which networks are opened, and which never are, whatever they are called."""

from __future__ import annotations

import re
from ipaddress import ip_network

import pytest

from tests.e2e.support import (
    NAME,
    SHIPPED,
    WAN_ADDRESS,
    Dmsfw,
    config,
    create,
    foreign,
    named,
    opens,
    ours,
    rules_for,
    rules_in,
)
from tests.lab import RESOLVER, SERVER, Lab, Network

LABELLED = config("list label 'open=yes'", "list dest_port '465'")
LINE = re.compile(r"\d{4}-\S+ info (firewall chosen|started|network opened) ")
EVIL = 'evil\n\x1b[31m2026-01-01T00:00:00+00:00 info "opened" -j ACCEPT # \'x'


def test_two_networks_are_served_and_the_rules_of_one_outlive_the_other_with_their_counters(
    lab: Lab, dmsfw: Dmsfw
) -> None:
    one, two = create(lab, "one", container="c1"), create(lab, "two", container="c2")
    dmsfw.start(opens("one", "two"))
    assert [lab.connect(container, SERVER, 465) for container in ("c1", "c2")] == ["open", "open"]
    assert rules_in(lab) == rules_for([one, two])
    kept = [line for line in ours(lab, counters=True) if two.subnet in line]
    assert not all("[0:0]" in line for line in kept)
    lab.docker("rm", "-f", "c1")
    lab.docker("network", "rm", "one")
    lab.wait(lambda: rules_in(lab) == rules_for([two]))
    assert [line for line in ours(lab, counters=True) if two.subnet in line] == kept
    assert lab.connect("c2", SERVER, 465) == "open"


def test_a_network_that_no_policy_selects_stays_closed(lab: Lab, dmsfw: Dmsfw) -> None:
    create(lab, "one")
    create(lab, "other", container="stranger")
    dmsfw.start(opens("one"))
    assert lab.connect("stranger", SERVER, 465) == "refused"


def test_a_container_that_leaves_by_another_network_is_named(lab: Lab, dmsfw: Dmsfw) -> None:
    create(lab, "aa-back", container="astray")
    create(lab, "zz-mail", container="at-home")
    lab.docker("network", "connect", "zz-mail", "astray")
    dmsfw.start(opens("zz-mail"))
    assert lab.connect("at-home", SERVER, 465) == "open"
    assert lab.connect("astray", SERVER, 465) == "refused"
    astray = {"container": "astray", "network": "zz-mail", "leaves_by": "aa-back"}
    lab.wait(lambda: dmsfw.document["detours"] == [astray], "the detour in the status")
    shown = " ".join(lab.dmsfw("status").stdout.split())
    assert "astray of zz-mail leaves by aa-back" in shown
    lab.docker("network", "disconnect", "aa-back", "astray")
    assert lab.connect("astray", SERVER, 465) == "open"
    lab.wait(lambda: dmsfw.document["detours"] == [], "the end of the detour")


def test_a_bridge_with_a_name_of_its_own_is_served(lab: Lab, dmsfw: Dmsfw) -> None:
    network = create(lab, "dms-network", *named("dms0"), container="cc")
    dmsfw.start()
    assert network.bridge == "dms0"
    assert rules_in(lab) == rules_for([network])
    assert lab.connect("cc", SERVER, 465).peer == WAN_ADDRESS


@pytest.mark.parametrize("bridge", ["br+", 'x"accept#'])
def test_a_bridge_whose_name_would_open_more_is_skipped_with_a_warning(lab: Lab, dmsfw: Dmsfw, bridge: str) -> None:
    create(lab, "bystander", container="bystander")
    good = create(lab, "good", "--label", "open=yes", container="good")
    create(lab, "bad", "--label", "open=yes", *named(bridge), container="bad")
    dmsfw.start(LABELLED)
    assert rules_in(lab) == rules_for([good])
    assert lab.connect("good", SERVER, 465) == "open"
    assert lab.connect("bad", SERVER, 465) == "refused"
    assert lab.connect("bystander", SERVER, 465) == "refused"
    assert [skipped["name"] for skipped in dmsfw.document["skipped"]] == ["bad"]
    assert len([line for line in dmsfw.lines if line.startswith("warning network skipped network=bad ")]) == 1


def test_a_name_full_of_newlines_escapes_and_quotes_injects_nothing(lab: Lab, dmsfw: Dmsfw) -> None:
    before = foreign(lab)
    network = create(lab, EVIL, "--label", "open=yes", container="cc")
    dmsfw.start(LABELLED)
    assert lab.connect("cc", SERVER, 465) == "open"
    assert lab.connect("cc", SERVER, 587) == "refused"
    assert rules_in(lab) == rules_for([network])
    assert foreign(lab) == before
    shown = lab.dmsfw("status").stdout + lab.dmsfw("status", "--json").stdout + dmsfw.log
    assert "evil" in shown
    assert "\x1b" not in shown
    assert all(LINE.match(line) for line in dmsfw.log.splitlines())
    assert "evil" in " ".join(ours(lab))
    lab.sh("iptables-save >/run/saved && iptables-restore --test /run/saved")


def test_an_internal_network_stays_closed_though_selected(lab: Lab, dmsfw: Dmsfw) -> None:
    network = create(lab, "vault", "--internal", "--label", "open=yes", container="cc")
    give_a_way_out(lab, "cc", network)
    dmsfw.start(LABELLED)
    assert lab.connect("cc", SERVER, 465) == "refused"
    assert ours(lab) == []
    assert [skipped["name"] for skipped in dmsfw.document["skipped"]] == ["vault"]
    assert dmsfw.state()[0] == "idle"


def give_a_way_out(lab: Lab, container: str, network: Network) -> None:
    """Give a container of an internal network the default route that Docker withholds."""
    gateway = str(ip_network(network.subnet)[1])
    enter = ["nsenter", "--target", str(lab.container_pid(container)), "--net", "--"]
    lab.run([*enter, "ip", "route", "replace", "default", "via", gateway])


def test_what_is_no_bridge_network_is_skipped_with_a_warning(lab: Lab, dmsfw: Dmsfw) -> None:
    lab.docker("network", "create", "-d", "ipvlan", "-o", "parent=eth-lan", "--label", "open=yes", "flat")
    dmsfw.start(LABELLED)
    assert ours(lab) == []
    assert [skipped["name"] for skipped in dmsfw.document["skipped"]] == ["flat"]
    assert [line for line in dmsfw.lines if line.startswith("warning network skipped network=flat ")]


def test_a_network_with_two_subnets_is_served_on_each_by_the_address_that_it_uses(lab: Lab, dmsfw: Dmsfw) -> None:
    subnets = ("--subnet", "10.20.1.0/24", "--subnet", "fd00:20:1::/64", "--ipv6")
    create(lab, "dual", *subnets, container="cc")
    dmsfw.start(opens("dual"))
    assert [line.split()[1] for line in ours(lab) if "--dport 465" in line] == ["filter", "nat", "filter", "nat"]
    assert lab.connect("cc", SERVER, 465) == "open"
    assert lab.connect("cc", "smtp6.example.com", 465) == "open"


def test_everything_for_every_network_is_the_section_that_is_shipped_switched_off(lab: Lab, dmsfw: Dmsfw) -> None:
    create(lab, "any", container="cc")
    everything = SHIPPED.replace("option enabled '0'", "option enabled '1'")
    dmsfw.start(everything)
    assert lab.connect("cc", SERVER, 8443) == "open"
    assert lab.connect("cc", SERVER, 465, proto="udp") == "open"


def test_a_destination_is_the_only_one_that_is_reached(lab: Lab, dmsfw: Dmsfw) -> None:
    create(lab, "one", container="cc")
    near = config("list network 'one'", "list dest_port '465'", "list dest_ip '203.0.113.200/32'")
    dmsfw.start(near)
    assert lab.connect("cc", SERVER, 465) == "refused"
    lab.configure(near.replace("203.0.113.200/32", "203.0.113.192/26"))
    lab.wait(lambda: lab.connect("cc", SERVER, 465) == "open")


def test_names_are_resolved_off_the_loopback_only_with_the_option_dns(lab: Lab, dmsfw: Dmsfw) -> None:
    lab.set_resolver(RESOLVER)
    lab.compose("up", "-d")
    dmsfw.start()
    assert lab.connect("app", SERVER, 465) == "open"
    assert lab.connect("app", NAME, 465, timeout=1) == "unresolved"
    lab.configure(SHIPPED.replace("# option dns '1'", "option dns '1'"))
    lab.wait(lambda: lab.connect("app", NAME, 465, timeout=1) == "open")
    assert lab.connect("app", NAME, 587) == "refused"
    assert [line.split(" -m ")[0] for line in ours(lab) if "--dport 53" in line and "FORWARD" in line]
