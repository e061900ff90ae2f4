"""The case that dmsfw exists for: a Compose service that must reach its mail server, and keep reaching it."""

from __future__ import annotations

import pytest

from tests.e2e.support import (
    NAME,
    WAN_ADDRESS,
    Dmsfw,
    field_network,
    hook_at,
    masked,
    mentions,
    ours,
    rules_for,
    rules_in,
)
from tests.lab import NETWORKS, SERVER, Lab
from tests.lab.lab import Spelling

ESTABLISHED = '-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -m comment --comment "!fw3" -j ACCEPT'
FIRST_ZONE = '-A FORWARD -i eth-lan -m comment --comment "!fw3" -j zone_lan_forward'
LAST_ZONE = '-A POSTROUTING -o docker0 -m comment --comment "!fw3" -j zone_docker_postrouting'


@pytest.mark.parametrize("spelling", ["label", "name"])
def test_the_shipped_configuration_opens_the_port_for_both_spellings(
    lab: Lab, dmsfw: Dmsfw, spelling: Spelling
) -> None:
    lab.compose("up", "-d", spelling=spelling)
    assert lab.connect("app", SERVER, 465) == "refused"
    dmsfw.start()
    assert lab.connect("app", SERVER, 465).peer == WAN_ADDRESS
    assert lab.connect("app", NAME, 465) == "open"
    code, status = dmsfw.status()
    assert (code, status["state"]) == (0, "in sync")
    assert [network["name"] for network in status["networks"]] == [NETWORKS[spelling]]


def test_nothing_but_the_allowed_port_is_opened(lab: Lab, dmsfw: Dmsfw) -> None:
    lab.compose("up", "-d")
    dmsfw.start()
    assert lab.connect("app", SERVER, 465) == "open"
    assert lab.connect("app", SERVER, 587) == "refused"
    assert lab.connect("app", NAME, 587) == "refused"
    assert lab.connect("app", SERVER, 8443) == "refused"
    assert lab.connect("app", SERVER, 465, proto="udp") == "refused"


def test_the_rules_are_these_and_the_hooks_stand_there(lab: Lab, dmsfw: Dmsfw) -> None:
    lab.compose("up", "-d")
    dmsfw.start()
    network = field_network(lab)
    assert masked(ours(lab), bridge=network.bridge, subnet=network.subnet) == [
        "4 filter :DMSFW-FORWARD -",
        '4 filter -A FORWARD -m comment --comment "dmsfw:<id> networks of Docker" -j DMSFW-FORWARD',
        (
            "4 filter -A DMSFW-FORWARD -s <subnet> -i <bridge> -o pppoe-wan -p tcp -m tcp --dport 465 "
            "-m conntrack --ctstate NEW,RELATED,ESTABLISHED -m comment "
            '--comment "dmsfw:<id> smtps: dms-service_dms-network may reach tcp 465 via wan" -j ACCEPT'
        ),
        (
            "4 filter -A DMSFW-FORWARD -d <subnet> -i pppoe-wan -o <bridge> -m conntrack --ctstate RELATED,ESTABLISHED "
            '-m comment --comment "dmsfw:<id> replies to dms-service_dms-network" -j ACCEPT'
        ),
        "4 nat :DMSFW-POSTROUTING -",
        '4 nat -A POSTROUTING -m comment --comment "dmsfw:<id> networks of Docker" -j DMSFW-POSTROUTING',
        (
            "4 nat -A DMSFW-POSTROUTING -s <subnet> -o pppoe-wan -p tcp -m tcp --dport 465 -m comment "
            '--comment "dmsfw:<id> smtps: dms-service_dms-network may reach tcp 465 via wan" -j MASQUERADE'
        ),
    ]
    assert hook_at(lab) == (ESTABLISHED, FIRST_ZONE)
    assert hook_at(lab, "POSTROUTING") == (LAST_ZONE, "")


def test_a_recreated_network_is_served_on_its_new_bridge_and_nothing_of_the_old_one_stays(
    lab: Lab, dmsfw: Dmsfw
) -> None:
    lab.compose("up", "-d")
    dmsfw.start()
    old = field_network(lab)
    lab.compose("down", "-t", "0")
    lab.compose("up", "-d")
    new = field_network(lab)
    assert (new.bridge != old.bridge, new.subnet != old.subnet) == (True, True)
    lab.wait(lambda: rules_in(lab) == rules_for([new]))
    assert lab.connect("app", SERVER, 465).peer == WAN_ADDRESS
    assert lab.connect("app", NAME, 465) == "open"
    assert mentions(lab, old.bridge, old.subnet) == []


def test_the_port_is_open_before_a_new_container_can_ask_for_it(lab: Lab, dmsfw: Dmsfw) -> None:
    dmsfw.start()
    for _ in range(3):
        lab.compose("up", "-d")
        assert lab.connect("app", SERVER, 465) == "open"
        lab.compose("down", "-t", "0")


def test_without_any_other_rule_its_own_carry_the_connection_both_ways(lab: Lab, dmsfw: Dmsfw) -> None:
    """firewall3 lets replies in and masquerades by itself: here it does neither."""
    lab.compose("up", "-d")
    dmsfw.start()
    lab.firewall.flush()
    lab.sh("iptables -w -P FORWARD DROP")
    network = field_network(lab)
    lab.wait(lambda: rules_in(lab) == rules_for([network]))
    lab.wait(lambda: len([line for line in ours(lab) if "networks of Docker" in line]) == 2, "both hooks")
    assert lab.connect("app", SERVER, 465).peer == WAN_ADDRESS
    assert lab.connect("app", SERVER, 587, timeout=1) == "timeout"


def test_one_simple_run_is_told_in_these_lines_and_no_other(lab: Lab, dmsfw: Dmsfw) -> None:
    lab.compose("up", "-d")
    old = field_network(lab)
    dmsfw.start()
    lab.compose("down", "-t", "0")
    dmsfw.running.wait_for("policy selects no network")
    lab.compose("up", "-d")
    new = field_network(lab)
    dmsfw.running.wait_for("network opened", times=2)
    lab.wait(lambda: dmsfw.state()[0] == "in sync")
    assert dmsfw.running.stop() == 0
    names = {"old": old.bridge, "old-subnet": old.subnet, "new": new.bridge, "new-subnet": new.subnet}
    where = "network=dms-service_dms-network bridge=<{0}> subnet=<{0}-subnet> ports=tcp/465 uplink=pppoe-wan rules=3"
    uplinks = "wan(pppoe-wan),wan_6(pppoe-wan)"
    assert masked(dmsfw.lines, **names) == [
        "info firewall chosen firewall=iptables",
        f"info started version=0.1.0 uplinks={uplinks} networks=4 selected=1 rules=3",
        f"info network opened {where.format('old')}",
        f"info network closed {where.format('old')}",
        "warning policy selects no network policy=smtps networks=bridge",
        f"info network opened {where.format('new')}",
        'info stopped rules="left in place"',
    ]


def test_a_quiet_system_logs_nothing(lab: Lab, dmsfw: Dmsfw) -> None:
    lab.compose("up", "-d")
    dmsfw.start()
    said = dmsfw.log
    dmsfw.another_pass()
    lab.docker("run", "--rm", "--network", "none", "busybox:local", "true")
    dmsfw.another_pass()
    assert dmsfw.log == said
