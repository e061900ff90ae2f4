"""The configuration, edited while the daemon runs, broken and mended, and a policy that selects nothing."""

from __future__ import annotations

import pytest

from tests.e2e.support import SHIPPED, Dmsfw, config, create, field_network, opens, ours, rules_for, rules_in
from tests.lab import SERVER, Lab

BROKEN = """
config dmsfw 'main'
	option log_level 'loud'
	option colour 'red'

config egress 'smtps'
	list network 'one'
	list dest_port '70000'

config egress 'other'
	list proto 'tpc'
	list network 'two
"""


def test_a_live_edit_opens_and_closes_without_a_restart(lab: Lab, dmsfw: Dmsfw) -> None:
    one, two = create(lab, "one", container="c1"), create(lab, "two", container="c2")
    dmsfw.start(opens("one"))
    lab.configure(opens("two"))
    lab.wait(lambda: rules_in(lab) == rules_for([two]))
    assert (lab.connect("c1", SERVER, 465), lab.connect("c2", SERVER, 465)) == ("refused", "open")
    lab.configure(opens("one", "two", port="587"))
    lab.wait(lambda: rules_in(lab) == rules_for([one, two], port=587))
    assert (lab.connect("c1", SERVER, 465), lab.connect("c1", SERVER, 587)) == ("refused", "open")
    lab.sh("printf '\\n' | cat /etc/config/dmsfw - | sed 's/587/465/' >/run/new; cat /run/new >/etc/config/dmsfw")
    lab.wait(lambda: rules_in(lab) == rules_for([one, two]))
    assert dmsfw.log.count("configuration loaded") == 3


def test_a_broken_file_leaves_the_last_good_one_in_force_until_it_is_mended(lab: Lab, dmsfw: Dmsfw) -> None:
    one = create(lab, "one", container="c1")
    two = create(lab, "two")
    dmsfw.start(opens("one"))
    lab.configure(BROKEN)
    dmsfw.wait_for("degraded", "configuration is broken")
    assert rules_in(lab) == rules_for([one])
    lab.firewall.restart()
    lab.wait(lambda: rules_in(lab) == rules_for([one]))
    lab.configure(BROKEN)
    dmsfw.another_pass()
    assert dmsfw.status()[0] == 1
    problems = [line for line in dmsfw.lines if line.startswith("error configuration is broken")]
    assert len(problems) == len(set(problems))
    assert all(word in " ".join(problems) for word in ("loud", "70000", "tpc"))
    lab.configure(opens("two"))
    lab.wait(lambda: rules_in(lab) == rules_for([two]))
    dmsfw.wait_for("in sync")
    assert dmsfw.log.count("configuration loaded") == 1


def test_a_file_that_is_gone_leaves_the_last_good_one_in_force(lab: Lab, dmsfw: Dmsfw) -> None:
    one = create(lab, "one")
    dmsfw.start(opens("one"))
    (lab.config / "dmsfw").unlink()
    dmsfw.wait_for("degraded", "configuration is broken")
    assert rules_in(lab) == rules_for([one])
    lab.configure(opens("one"))
    dmsfw.wait_for("in sync")


def test_started_with_a_broken_file_it_ends_with_all_the_problems(lab: Lab, dmsfw: Dmsfw) -> None:
    running = dmsfw.launch(BROKEN)
    assert running.wait() == 1
    assert all(word in dmsfw.log for word in ("loud", "70000", "tpc", "colour"))
    assert all(line.startswith("dmsfw: ") for line in dmsfw.log.splitlines())
    assert ours(lab) == []


def test_switched_off_live_the_rules_go_and_come_back_when_it_is_switched_on(lab: Lab, dmsfw: Dmsfw) -> None:
    lab.compose("up", "-d")
    dmsfw.start()
    lab.configure(SHIPPED.replace("option enabled '1'", "option enabled '0'", 1))
    dmsfw.wait_for("disabled")
    assert ours(lab) == []
    assert lab.connect("app", SERVER, 465) == "refused"
    assert dmsfw.status()[0] == 1
    lab.configure(SHIPPED)
    dmsfw.wait_for("in sync")
    assert lab.connect("app", SERVER, 465) == "open"


def test_switched_off_while_docker_hangs_the_rules_go_all_the_same(lab: Lab, dmsfw: Dmsfw) -> None:
    lab.compose("up", "-d")
    dmsfw.start()
    lab.engine.freeze()
    lab.configure(SHIPPED.replace("option enabled '1'", "option enabled '0'", 1))
    lab.wait(lambda: ours(lab) == [], "the end of the rules")


@pytest.mark.parametrize("section", ["config egress 'smtps'", "config egress"])
def test_a_policy_that_selects_nothing_is_said_aloud_and_the_lines_to_paste_work(
    lab: Lab, dmsfw: Dmsfw, section: str
) -> None:
    mine = create(lab, "it's mine [1]*", container="cc")
    create(lab, "it's mine 1", container="other")
    dmsfw.start(SHIPPED.replace("config egress 'smtps'", section))
    policy = "@egress[0]" if section == "config egress" else "smtps"
    code, status = dmsfw.status()
    assert (code, status["state"], status["reasons"]) == (1, "idle", [f"policy {policy} selects no network"])
    assert ours(lab) == []
    dmsfw.another_pass()
    (warning,) = [line for line in dmsfw.lines if "policy selects no network" in line]
    assert f"policy={policy}" in warning.replace('"', "")
    assert "it's mine [1]*" in warning
    offered = {network["name"]: network["commands"] for network in status["unselected"]}
    assert set(offered) == {"bridge", mine.name, "it's mine 1"}
    assert all(command in lab.dmsfw("status").stdout for command in offered[mine.name])
    dmsfw.paste(*offered[mine.name])
    dmsfw.wait_for("in sync")
    assert rules_in(lab) == rules_for([mine])
    assert (lab.connect("cc", SERVER, 465), lab.connect("other", SERVER, 465)) == ("open", "refused")


def test_without_any_policy_the_lines_to_paste_make_one(lab: Lab, dmsfw: Dmsfw) -> None:
    lab.compose("up", "-d")
    network = field_network(lab)
    dmsfw.start(config())
    assert dmsfw.state()[0] == "idle"
    (offered,) = [one["commands"] for one in dmsfw.document["unselected"] if one["name"] == network.name]
    dmsfw.paste(*offered)
    lab.wait(lambda: rules_in(lab) == rules_for([network]))
    dmsfw.wait_for("in sync")


def test_a_network_that_appears_later_ends_the_idleness(lab: Lab, dmsfw: Dmsfw) -> None:
    dmsfw.start()
    assert dmsfw.state()[0] == "idle"
    lab.compose("up", "-d")
    dmsfw.wait_for("in sync")
    lab.compose("down", "-t", "0")
    dmsfw.wait_for("idle")
    assert ours(lab) == []
