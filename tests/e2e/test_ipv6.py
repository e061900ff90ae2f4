"""IPv6: unique-local subnets are masqueraded, global ones routed, and an interface is matched by its whole name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.support import SHIPPED, Dmsfw, config, create, existing, field_network, named, opens, ours
from tests.lab import DELEGATED, SERVER, SERVER6, Lab

WAN6_ADDRESS = "2001:db8:100::2"
LOCAL, GLOBAL = "fd00:465::/64", DELEGATED.replace("::/48", ":7::/64")
UDP = ("list network 'mine'", "list proto 'udp'", "list dest_port '465'")


def test_a_unique_local_network_is_masqueraded(lab: Lab, dmsfw: Dmsfw) -> None:
    create(lab, "six", "--ipv6", "--subnet", LOCAL, container="c6")
    assert lab.connect("c6", SERVER6, 465) == "refused"
    dmsfw.start(opens("six"))
    assert lab.connect("c6", SERVER6, 465).peer == WAN6_ADDRESS
    assert lab.connect("c6", "smtp6.example.com", 465) == "open"
    assert lab.connect("c6", SERVER6, 587) == "refused"


def test_a_global_network_goes_out_with_its_own_address(lab: Lab, dmsfw: Dmsfw) -> None:
    create(lab, "six", "--ipv6", "--subnet", GLOBAL, container="c6")
    dmsfw.start(opens("six"))
    assert str(lab.connect("c6", SERVER6, 465).peer).startswith(GLOBAL.removesuffix("/64"))
    assert lab.connect("c6", SERVER6, 587) == "refused"
    assert not [line for line in ours(lab) if line.startswith("6 nat")]


def test_a_policy_for_one_family_opens_nothing_in_the_other(lab: Lab, dmsfw: Dmsfw) -> None:
    create(lab, "dual", "--ipv6", "--subnet", LOCAL, container="c6")
    dmsfw.start(config("list network 'dual'", "list dest_port '465'", "option family 'ipv4'"))
    assert lab.connect("c6", SERVER, 465) == "open"
    assert lab.connect("c6", SERVER6, 465) == "refused"
    lab.configure(config("list network 'dual'", "list dest_port '465'", "option family 'ipv6'"))
    lab.wait(lambda: lab.connect("c6", SERVER6, 465) == "open")
    assert lab.connect("c6", SERVER, 465) == "refused"


@pytest.mark.parametrize("family", [4, 6])
def test_the_address_of_an_open_network_does_not_open_another_bridge(lab: Lab, dmsfw: Dmsfw, family: int) -> None:
    """Somebody on dms2 takes an address of dms0's subnet. The names differ in one bit of one byte."""
    server, spoofed = (SERVER, "10.0.65.99") if family == 4 else (SERVER6, "fd00:465::99")
    dual = ("--ipv6", "--subnet", LOCAL, "--subnet", "10.0.65.0/24")
    create(lab, "mine", *dual, *named("dms0"), container="honest")
    create(lab, "theirs", "--ipv6", "--subnet", "fd00:2::/64", *named("dms2"), container="spoofer")
    lab.sh("for k in all dms0 dms2; do echo 0 >/proc/sys/net/ipv4/conf/$k/rp_filter; done")
    dmsfw.start(config(*UDP))
    assert lab.connect("honest", server, 465, proto="udp") == "open"
    seen = len(lab.isp.seen)
    enter = ["nsenter", "--target", str(lab.container_pid("spoofer")), "--net", "--", "ip"]
    at_once = ["nodad"] if family == 6 else []
    lab.run([*enter, "address", "add", spoofed, "dev", "eth0", *at_once])
    gateway = lab.run([*enter, f"-{family}", "route", "show", "default"]).stdout.split()[2]
    lab.run([*enter, f"-{family}", "route", "replace", server, "via", gateway, "dev", "eth0", "src", spoofed])
    assert lab.connect("spoofer", server, 465, proto="udp", timeout=1) != "open"
    assert lab.isp.seen[seen:] == []
    assert "10.0.65." in " ".join(ours(lab))


@pytest.fixture
def dmsfw_without_firewall(_compiled: None) -> Iterator[Dmsfw]:
    """A daemon, not started yet, on a router whose tables nobody has touched."""
    with Lab(firewall=False, internet=False) as lab:
        yield Dmsfw(lab)


def test_a_table_in_which_nothing_is_due_is_not_even_made(dmsfw_without_firewall: Dmsfw) -> None:
    lab = dmsfw_without_firewall.lab
    assert (existing(lab, 4), existing(lab, 6)) == ([], [])
    dmsfw_without_firewall.start(SHIPPED)
    dmsfw_without_firewall.another_pass()
    assert (existing(lab, 4), existing(lab, 6)) == ([], [])
    lab.compose("up", "-d")
    lab.wait(lambda: sorted(existing(lab, 4)) == ["filter", "nat"])
    dmsfw_without_firewall.another_pass()
    assert existing(lab, 6) == []
    assert field_network(lab).subnet in " ".join(ours(lab))
