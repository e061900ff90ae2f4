"""The ways out: discovered or named, one or two, up, down, renamed, and a netifd that does not answer."""

from __future__ import annotations

import sys

import pytest

from tests.e2e.support import (
    WAN_ADDRESS,
    WANB_ADDRESS,
    Dmsfw,
    background,
    config,
    create,
    field_network,
    opens,
    ours,
    rules_for,
    rules_in,
)
from tests.lab import SERVER, Lab, paths
from tests.lab.netifd import Mode

VIA_WANB = f"ip route replace {SERVER}/32 via 198.51.101.1"
BOTH = ("list uplink 'wan'", "list uplink 'wanb'")
BY_WANB = ("list network 'one'", "list dest_port '465'", "list uplink 'wanb'")


def test_over_pppoe_the_rules_name_the_device_that_carries_the_packets(lab: Lab, dmsfw: Dmsfw) -> None:
    assert "option device 'eth0'" in (lab.config / "network").read_text()
    lab.compose("up", "-d")
    dmsfw.start()
    assert rules_in(lab) == rules_for([field_network(lab)], uplink="pppoe-wan")
    assert lab.connect("app", SERVER, 465).peer == WAN_ADDRESS


def test_two_uplinks_are_open_at_once_and_each_masquerades(lab: Lab, dmsfw: Dmsfw) -> None:
    lab.wanb.up()
    network = create(lab, "one", container="cc")
    dmsfw.start(opens("one", main=BOTH))
    expected = rules_for([network], uplink="pppoe-wan") + rules_for([network], uplink="eth2")
    assert rules_in(lab) == sorted(expected)
    assert lab.connect("cc", SERVER, 465).peer == WAN_ADDRESS
    lab.sh(VIA_WANB)
    assert lab.connect("cc", SERVER, 465).peer == WANB_ADDRESS
    assert lab.connect("cc", SERVER, 587) == "refused"


def test_a_second_line_that_nobody_named_stays_closed(lab: Lab, dmsfw: Dmsfw) -> None:
    lab.wanb.up()
    create(lab, "one", container="cc")
    dmsfw.start(opens("one"))
    lab.sh(VIA_WANB)
    assert lab.connect("cc", SERVER, 465) == "refused"


def test_a_policy_leaves_by_the_uplink_that_it_names_and_by_no_other(lab: Lab, dmsfw: Dmsfw) -> None:
    lab.wanb.up()
    network = create(lab, "one", container="cc")
    dmsfw.start(config(*BY_WANB))
    assert rules_in(lab) == rules_for([network], uplink="eth2")
    assert lab.connect("cc", SERVER, 465) == "refused"
    lab.sh(VIA_WANB)
    assert lab.connect("cc", SERVER, 465).peer == WANB_ADDRESS


def test_without_masquerade_the_container_goes_out_with_its_own_address(lab: Lab, dmsfw: Dmsfw) -> None:
    lab.wanb.up()
    network = create(lab, "one", container="cc")
    dmsfw.start(config(*BY_WANB, "option masq '0'"))
    lab.sh(VIA_WANB)
    lab.isp.route_back(network.subnet, via=WANB_ADDRESS)
    assert str(lab.connect("cc", SERVER, 465).peer).startswith(network.subnet.rpartition(".0.0/")[0])
    assert not [line for line in ours(lab) if " nat " in line]


def test_a_line_that_is_down_keeps_its_rules_and_their_counters_until_it_is_back(lab: Lab, dmsfw: Dmsfw) -> None:
    lab.compose("up", "-d")
    dmsfw.start()
    assert lab.connect("app", SERVER, 465) == "open"
    kept = ours(lab, counters=True)
    lab.wan.down()
    dmsfw.wait_for("degraded", "no uplink is up")
    assert ours(lab, counters=True) == kept
    lab.wan.up()
    dmsfw.wait_for("in sync")
    assert ours(lab, counters=True) == kept
    assert lab.connect("app", SERVER, 465).peer == WAN_ADDRESS


def test_a_line_that_comes_back_under_another_device_name_is_served_there_and_only_there(
    lab: Lab, dmsfw: Dmsfw
) -> None:
    lab.compose("up", "-d")
    dmsfw.start()
    network = field_network(lab)
    lab.wan.redial("ppp1")
    lab.wait(lambda: rules_in(lab) == rules_for([network], uplink="ppp1"))
    assert lab.connect("app", SERVER, 465).peer == WAN_ADDRESS


def test_a_living_device_that_is_renamed_is_followed(lab: Lab, dmsfw: Dmsfw) -> None:
    lab.compose("up", "-d")
    dmsfw.start()
    network = field_network(lab)
    lab.wan.rename("wan-dsl.35")
    lab.wait(lambda: rules_in(lab) == rules_for([network], uplink="wan-dsl.35"))
    assert lab.connect("app", SERVER, 465).peer == WAN_ADDRESS


def test_with_no_uplink_up_nothing_is_opened_and_the_line_that_names_the_way_out_works(lab: Lab, dmsfw: Dmsfw) -> None:
    """The one-armed router: its way out is on its LAN."""
    network = create(lab, "one", container="cc")
    lab.wan.down()
    lab.sh("ip route replace default via 192.168.100.10 dev eth-lan")
    dmsfw.start(opens("one"))
    assert ours(lab) == []
    dmsfw.wait_for("degraded", "no uplink is up")
    assert dmsfw.status()[0] == 1
    assert dmsfw.document["remedies"] == ["uci add_list dmsfw.main.uplink='lan'; uci commit dmsfw"]
    dmsfw.paste(*dmsfw.document["remedies"])
    lab.wait(lambda: rules_in(lab) == rules_for([network], uplink="eth-lan"))
    dmsfw.wait_for("in sync")
    with background(lab, neighbour(lab), netns="lan", name="neighbour") as server:
        server.wait_for("ready")
        assert lab.connect("cc", "192.168.100.10", 465).peer == "192.168.100.1"


def neighbour(lab: Lab) -> list[str]:
    """Return the command of a mail server in the LAN."""
    script = str(paths.INSIDE / "internet.py")
    return [sys.executable, "-I", "-S", script, str(lab.folder / "log" / "neighbour.json"), "192.168.100.10", "465"]


@pytest.mark.parametrize("mode", ["hang", "fail", "garbage"])
def test_a_netifd_that_does_not_answer_leaves_the_rules_and_is_never_taken_for_none(
    lab: Lab, dmsfw: Dmsfw, mode: Mode
) -> None:
    lab.compose("up", "-d")
    dmsfw.start()
    network = field_network(lab)
    lab.netifd.behave(mode)
    lab.sh("ip route replace default via 192.168.100.10 dev eth-lan metric 0")
    dmsfw.wait_for("degraded", "uplinks does not answer")
    lab.firewall.restart()
    lab.wait(lambda: rules_in(lab) == rules_for([network]))
    new = create(lab, "dms-network")
    lab.wait(lambda: rules_in(lab) == rules_for([network, new]))
    lab.netifd.behave("ok")
    dmsfw.look_again()
    dmsfw.wait_for("in sync")
    assert rules_in(lab) == rules_for([network, new])
    assert dmsfw.log.count("source does not answer source=uplinks") == 1
    lab.sh("ip route delete default dev eth-lan")
    lab.wan.rename("pppoe-wan")


@pytest.mark.parametrize("mode", ["hang", "fail", "garbage"])
def test_while_netifd_has_never_answered_nothing_is_written(lab: Lab, dmsfw: Dmsfw, mode: Mode) -> None:
    lab.netifd.behave(mode)
    lab.compose("up", "-d")
    dmsfw.launch()
    dmsfw.running.wait_for("source does not answer source=uplinks")
    lab.wait(lambda: "uplinks does not answer" in dmsfw.state()[1])
    assert ours(lab) == []
    lab.netifd.behave("ok")
    dmsfw.wait_for("in sync")
    assert lab.connect("app", SERVER, 465) == "open"


def test_without_netifd_the_default_route_tells_the_uplink(lab: Lab, dmsfw: Dmsfw) -> None:
    lab.netifd.uninstall()
    lab.compose("up", "-d")
    dmsfw.start()
    network = field_network(lab)
    assert rules_in(lab) == rules_for([network])
    assert lab.connect("app", SERVER, 465).peer == WAN_ADDRESS
    lab.wanb.up()
    lab.wan.down()
    lab.wait(lambda: rules_in(lab) == rules_for([network], uplink="eth2"))
    assert lab.connect("app", SERVER, 465).peer == WANB_ADDRESS
