"""Docker killed, frozen, restarted, late: no repair waits for it, and nothing is deleted for want of its answer."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e.support import SHIPPED, WAN_ADDRESS, Dmsfw, create, field_network, ours, rules_for, rules_in
from tests.lab import SERVER, Lab

Act = Callable[[Lab], object]
GONE: dict[str, Act] = {"killed": lambda lab: lab.engine.kill(), "frozen": lambda lab: lab.engine.freeze()}
BACK: dict[str, Act] = {"killed": lambda lab: lab.engine.restart(), "frozen": lambda lab: lab.engine.thaw()}


@pytest.mark.parametrize("how", GONE)
def test_rules_that_are_flushed_come_back_while_docker_is(lab: Lab, dmsfw: Dmsfw, how: str) -> None:
    lab.compose("up", "-d")
    dmsfw.start()
    network = field_network(lab)
    GONE[how](lab)
    dmsfw.wait_for("degraded", "docker does not answer")
    assert rules_in(lab) == rules_for([network])
    lab.firewall.restart()
    lab.wait(lambda: rules_in(lab) == rules_for([network]))
    lab.wait(lambda: lab.connect("app", SERVER, 465) == "open")
    code, status = dmsfw.status()
    assert (code, status["state"]) == (1, "degraded")
    (docker,) = [source for source in status["sources"] if source["name"] == "docker"]
    assert docker["age_s"] > 0
    assert docker["error"] in status["reasons"][0]
    BACK[how](lab)
    dmsfw.wait_for("in sync")
    assert rules_in(lab) == rules_for([network])
    assert dmsfw.log.count("source does not answer source=docker") == 1
    assert dmsfw.log.count("source answers again source=docker") == 1


@pytest.mark.parametrize("how", GONE)
def test_what_comes_after_docker_is_back_is_served(lab: Lab, dmsfw: Dmsfw, how: str) -> None:
    dmsfw.start()
    GONE[how](lab)
    dmsfw.look_again()
    dmsfw.wait_for("degraded", "docker does not answer")
    BACK[how](lab)
    lab.compose("up", "-d")
    lab.wait(lambda: rules_in(lab) == rules_for([field_network(lab)]))
    assert lab.connect("app", SERVER, 465).peer == WAN_ADDRESS
    dmsfw.wait_for("in sync")


def test_a_frozen_docker_that_is_killed_and_started_anew_is_found(lab: Lab, dmsfw: Dmsfw) -> None:
    lab.compose("up", "-d")
    dmsfw.start()
    lab.engine.freeze()
    dmsfw.look_again()
    dmsfw.wait_for("degraded", "docker does not answer")
    lab.engine.kill()
    lab.engine.start()
    new = create(lab, "dms-network")
    lab.wait(lambda: rules_in(lab) == rules_for([field_network(lab), new]))
    dmsfw.wait_for("in sync")


def test_a_docker_that_restarts_properly_leaves_the_rules_and_their_counters(lab: Lab, dmsfw: Dmsfw) -> None:
    lab.compose("up", "-d")
    dmsfw.start()
    assert lab.connect("app", SERVER, 465) == "open"
    lab.compose("stop", "-t", "0")
    kept = ours(lab, counters=True)
    lab.engine.restart()
    dmsfw.another_pass()
    dmsfw.wait_for("in sync")
    assert ours(lab, counters=True) == kept


def test_a_docker_that_comes_up_late_is_waited_for_quietly_and_served_then(lab: Lab, dmsfw: Dmsfw) -> None:
    lab.engine.stop()
    dmsfw.launch()
    lab.wait(lambda: "Docker is not running" in dmsfw.state()[1], "the status to say what is waited for")
    assert ours(lab) == []
    lab.firewall.restart()
    assert [line.split(" error=")[0] for line in dmsfw.lines] == [
        "warning source does not answer source=docker",
    ]
    lab.engine.start()
    lab.compose("up", "-d")
    lab.wait(lambda: rules_in(lab) == rules_for([field_network(lab)]))
    assert lab.connect("app", SERVER, 465) == "open"
    dmsfw.wait_for("in sync")


def test_old_rules_stay_while_docker_has_not_answered_since_the_start(lab: Lab, dmsfw: Dmsfw) -> None:
    lab.compose("up", "-d")
    dmsfw.start()
    kept = ours(lab)
    dmsfw.running.kill()
    lab.engine.freeze()
    dmsfw.launch()
    lab.wait(lambda: "docker" in dmsfw.state()[1] and dmsfw.state()[0] != "in sync")
    assert ours(lab) == kept
    assert lab.connect("app", SERVER, 465) == "open"
    lab.engine.thaw()
    dmsfw.wait_for("in sync")
    assert ours(lab) == kept


@pytest.mark.parametrize("command", [["apply"], ["plan"]])
def test_a_command_says_in_one_line_that_docker_is_away(lab: Lab, command: list[str]) -> None:
    lab.engine.stop()
    lab.configure(SHIPPED)
    done = lab.dmsfw(*command)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("dmsfw: docker: Docker is not running")
    assert done.stderr.count("\n") == 1
    assert ours(lab) == []
