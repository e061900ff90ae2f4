"""What is not dmsfw's stays as it is: rules, order, counters, under any interleaving with other writers."""

from __future__ import annotations

import re

from tests.e2e.support import (
    SHIPPED,
    Dmsfw,
    background,
    create,
    field_network,
    foreign,
    hook_at,
    opens,
    ours,
    rules_for,
    rules_in,
)
from tests.lab import SERVER, Lab

OWNERS = """
    iptables -N owner
    iptables -A owner -s 192.0.2.1 -p tcp --dport 25 -j ACCEPT -c 1001 60060
    iptables -A INPUT -s 192.0.2.2 -m comment --comment "mine: dmsfw" -j DROP -c 1002 60120
    iptables -A forwarding_rule -s 192.0.2.3 -m limit --limit 3/hour -j LOG --log-prefix mine: -c 1003 60180
    iptables -I FORWARD -s 192.0.2.4 -j owner -c 1004 60240
    iptables -A FORWARD -s 192.0.2.5 -m set ! --match-set none src -j ACCEPT 2>/dev/null || true
    iptables -A FORWARD -s 192.0.2.5 -m time --timestart 08:00 -j ACCEPT -c 1005 60300
    iptables -t nat -A POSTROUTING -s 192.0.2.6 -o eth-lan -j SNAT --to-source 192.168.100.1 -c 1006 60360
    iptables -t nat -I POSTROUTING -s 192.0.2.7 -m policy --dir out --pol ipsec -j ACCEPT -c 1007 60420
    iptables -t mangle -A FORWARD -s 192.0.2.8 -j MARK --set-mark 8 -c 1008 60480
    ip6tables -A FORWARD -s 2001:db8:ffff::1 -j ACCEPT -c 1009 60540
"""
MILLIONS = re.compile(r"\[(\d+)\d{6}:(\d+)\d{6}\]")
AHEAD = '-A FORWARD -s 10.99.0.0/16 -m comment --comment "owner: keep out" -j DROP'


def test_foreign_rules_and_their_counters_are_byte_equal_before_and_after(lab: Lab, dmsfw: Dmsfw) -> None:
    raise_counters(lab)
    lab.sh(OWNERS)
    create(lab, "dms-network")
    create(lab, "dual", "--ipv6", "--subnet", "fd00:7::/64")
    before = counted(lab)
    assert len(before) > 100
    assert not [line for line in before if "[0:0]" in line and " -A " in line]
    dmsfw.start(opens("dual", "dms-network"))
    assert counted(lab) == before
    for number in range(3):
        lab.configure(opens("dms-network", port=f"46{number}"))
        lab.wait(lambda number=number: f"--dport 46{number} " in " ".join(ours(lab)))  # type: ignore[misc]
        lab.docker("network", "rm", "dms-network")
        lab.wait(lambda: ours(lab) == [], "the end of the network's rules")
        create(lab, "dms-network")
        lab.wait(lambda: ours(lab) != [], "the network's rules")
        assert counted(lab) == before
    dmsfw.running.stop()
    lab.dmsfw("clean", check=True)
    assert counted(lab) == before


def raise_counters(lab: Lab) -> None:
    """Set every counter of the recorded ruleset far above what a test's own packets add to it."""
    for tool in ("iptables", "ip6tables"):
        lab.sh(f"{tool}-save -c | sed -E 's/\\[[0-9]+:[0-9]+\\]/[7500000:7500000]/' | {tool}-restore -c")


def counted(lab: Lab) -> list[str]:
    """Return foreign lines with their counters, those that are raised in millions; without the chains' own."""
    lines = [MILLIONS.sub(r"[\1:\2]", line) for line in foreign(lab, counters=True)]
    return [line.partition(" [")[0] if " :" in line else line for line in lines]


def test_a_writer_in_between_loses_nothing_while_networks_come_and_go(lab: Lab, dmsfw: Dmsfw) -> None:
    dmsfw.start(opens("storm-*"))
    writer = """
        iptables -w -N many
        for i in $(seq 250); do
            iptables -w -A many -s 192.0.2.$i -j ACCEPT -c $i $i
            iptables -w -t nat -A POSTROUTING -s 192.0.2.$i -j ACCEPT -c $i $i
        done
    """
    with background(lab, ["/bin/sh", "-ec", writer], name="writer") as running:
        while running.returncode is None:
            lab.sh("seq 6 | xargs -P 3 -I N docker network create --subnet 10.70.N.0/24 storm-N")
            lab.sh("seq 6 | xargs -P 3 -I N docker network rm storm-N")
        assert running.returncode == 0
    lab.wait(lambda: ours(lab) == [], "the end of all rules of ours")
    kept = [f"[{i}:{i}] -A {{}} -s 192.0.2.{i}/32 -j ACCEPT" for i in range(1, 251)]
    assert [line for line in lab.rules(counters=True) if "192.0.2." in line] == [line.format("many") for line in kept]
    found = [line for line in lab.rules(table="nat", counters=True) if "192.0.2." in line]
    assert found == [line.format("POSTROUTING") for line in kept]


def test_the_owners_rule_put_ahead_stays_ahead_and_is_no_fight(lab: Lab, dmsfw: Dmsfw) -> None:
    lab.compose("up", "-d")
    dmsfw.start()
    lab.sh(AHEAD.replace("-A FORWARD", "iptables -w -I FORWARD 1"))
    lab.sh("iptables -w -I FORWARD 4 -s 10.98.0.0/16 -j DROP")
    lab.sh("iptables -w -t nat -I POSTROUTING -s 10.99.0.0/16 -j ACCEPT")
    hooks = hook_at(lab), hook_at(lab, "POSTROUTING")
    order = [line for line in lab.rules() if line.startswith("-A FORWARD")]
    assert order[0] == AHEAD
    for number in range(5):
        create(lab, f"bystander-{number}")
        dmsfw.another_pass()
    assert "repaired" not in dmsfw.log
    assert [line for line in lab.rules() if line.startswith("-A FORWARD")] == order
    assert (hook_at(lab), hook_at(lab, "POSTROUTING")) == hooks
    assert lab.connect("app", SERVER, 465) == "open"
    code, status = dmsfw.status()
    assert (code, status["state"]) == (0, "in sync")
    assert "iptables -t filter -A FORWARD -s 10.99.0.0/16" in " ".join(status["ahead"])


def test_the_owners_word_ahead_is_the_last(lab: Lab, dmsfw: Dmsfw) -> None:
    lab.compose("up", "-d")
    network = field_network(lab)
    lab.sh(f"iptables -A forwarding_rule -s {network.subnet} -p tcp --dport 465 -j REJECT --reject-with tcp-reset")
    dmsfw.start()
    assert lab.connect("app", SERVER, 465) == "refused"
    assert rules_in(lab) == rules_for([network])


def test_the_owners_source_translation_goes_before_our_masquerade(lab: Lab, dmsfw: Dmsfw) -> None:
    lab.compose("up", "-d")
    lab.sh("ip address add 198.51.100.77/24 dev pppoe-wan")
    translate = "iptables -t nat -A postrouting_wan_rule -p tcp --dport 465 -j SNAT --to-source 198.51.100.77"
    lab.sh(translate)
    dmsfw.start(SHIPPED)
    assert lab.connect("app", SERVER, 465).peer == "198.51.100.77"
    lab.sh("ip address delete 198.51.100.77/24 dev pppoe-wan")


UNDO = "while :; do iptables -w -F DMSFW-FORWARD 2>/dev/null; done"


def test_somebody_who_keeps_undoing_the_rules_is_answered_slowly_told_of_once_and_outlived(
    lab: Lab, dmsfw: Dmsfw
) -> None:
    lab.compose("up", "-d")
    dmsfw.start()
    with background(lab, ["sh", "-c", UNDO], name="somebody"):
        dmsfw.wait_for("degraded", "somebody keeps undoing the rules")
        told = len([line for line in dmsfw.lines if "rules repaired" in line])
        lab.compose("down", "-t", "0")
        lab.compose("up", "-d")  # what is no repair is served meanwhile
        lab.wait(lambda: field_network(lab).bridge in dmsfw.log, "the new network to be opened in the quarrel")
    lab.wait(lambda: lab.connect("app", SERVER, 465) == "open")
    dmsfw.wait_for("in sync")
    assert dmsfw.log.count("somebody keeps undoing the rules") == 1
    assert dmsfw.log.count("nobody undoes the rules any more") == 1
    assert len([line for line in dmsfw.lines if "rules repaired" in line]) <= told + 1
