"""The commands: what they write, what they print, how they end."""

from __future__ import annotations

import json
from signal import SIGTERM as TERM

import pytest

from tests.e2e.support import SHIPPED, Dmsfw, create, field_network, opens, ours, rules_for, rules_in, world
from tests.lab import SERVER, Lab

BUSY = "dmsfw: another dmsfw holds this network namespace: stop it first, or wait with --wait\n"


def test_clean_leaves_the_tables_exactly_as_they_were_before_the_start(lab: Lab, dmsfw: Dmsfw) -> None:
    create(lab, "dms-network")
    create(lab, "dms-service_dms-service-network", "--ipv6", "--subnet", "fd00:8::/64")
    before = world(lab)
    dmsfw.start()
    assert len(ours(lab)) > 10
    dmsfw.running.stop()
    done = lab.dmsfw("clean")
    assert (done.returncode, done.stderr) == (0, "")
    assert world(lab) == before
    again = lab.dmsfw("clean")
    assert (again.returncode, again.stdout) == (0, "nothing to remove\n")


def test_clean_leaves_no_metrics_that_say_all_is_well(lab: Lab, dmsfw: Dmsfw) -> None:
    """A restart keeps them: the next daemon writes them anew."""
    create(lab, "dms-network")
    metrics = "/run/dmsfw-metrics.prom"
    dmsfw.start(opens("dms-*", main=[f"option metrics_file '{metrics}'"]))
    dmsfw.wait_for("in sync")
    dmsfw.running.stop()
    assert lab.path(metrics).exists()
    assert lab.dmsfw("clean").returncode == 0
    assert not lab.path(metrics).exists()


def test_clean_needs_neither_docker_nor_a_configuration(lab: Lab, dmsfw: Dmsfw) -> None:
    lab.compose("up", "-d")
    dmsfw.start()
    dmsfw.running.kill()
    lab.engine.freeze()
    (lab.config / "dmsfw").unlink()
    assert lab.dmsfw("clean").returncode == 0
    assert ours(lab) == []


@pytest.mark.parametrize("command", ["clean", "apply"])
@pytest.mark.parametrize("run_dir", ["/run/dmsfw", "/run/another"])
def test_while_a_daemon_runs_it_is_refused(lab: Lab, dmsfw: Dmsfw, command: str, run_dir: str) -> None:
    lab.compose("up", "-d")
    dmsfw.start()
    kept = ours(lab)
    done = lab.dmsfw("--run-dir", run_dir, command)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", BUSY)
    assert ours(lab) == kept
    lab.sh("rm -rf /run/another")


def test_clean_waits_for_a_daemon_that_ends(lab: Lab, dmsfw: Dmsfw) -> None:
    lab.compose("up", "-d")
    dmsfw.start()
    dmsfw.running.signal(TERM)
    assert lab.dmsfw("clean", "--wait", "20").returncode == 0
    assert ours(lab) == []


def test_plan_shows_what_apply_does_and_writes_nothing(lab: Lab) -> None:
    lab.compose("up", "-d")
    lab.configure(SHIPPED)
    network = field_network(lab)
    before = world(lab)
    planned = lab.dmsfw("plan")
    found = json.loads(lab.dmsfw("plan", "--json").stdout)
    assert world(lab) == before
    assert planned.returncode == 2
    why = "smtps: dms-service_dms-network may reach tcp 465 via wan"
    opened = f"-s {network.subnet} -i {network.bridge} -o pppoe-wan -p tcp -m tcp --dport 465"
    (line,) = [line for line in planned.stdout.splitlines() if opened in line]
    assert line.startswith("  + iptables -t filter -A DMSFW-FORWARD ")
    assert why in line
    assert {change["why"] for change in found["changes"] if "--dport 465" in change["text"]} == {why}
    assert {change["sign"] for change in found["changes"]} == {"+"}
    assert found["rules"] == 3
    done = lab.dmsfw("apply")
    assert (done.returncode, done.stdout) == (0, planned.stdout)
    assert rules_in(lab) == rules_for([network])
    assert lab.connect("app", SERVER, 465) == "open"
    nothing = lab.dmsfw("plan")
    assert (nothing.returncode, nothing.stdout) == (0, "nothing to change: 3 rules are in place\n")


def test_the_lines_of_a_plan_can_be_typed(lab: Lab) -> None:
    """What is shown is what iptables itself would be told."""
    lab.compose("up", "-d")
    lab.configure(SHIPPED)
    plan = json.loads(lab.dmsfw("plan", "--json").stdout)
    lab.sh("\n".join(change["text"] for change in plan["changes"]))
    assert lab.connect("app", SERVER, 465) == "open"
    assert lab.dmsfw("plan").returncode == 0


def test_a_plan_shows_what_would_be_removed(lab: Lab) -> None:
    create(lab, "one")
    lab.configure(opens("one"))
    lab.dmsfw("apply", check=True)
    lab.docker("network", "rm", "one")
    planned = lab.dmsfw("plan")
    assert planned.returncode == 2
    assert {line[2] for line in planned.stdout.splitlines() if line.startswith("  ")} == {"-"}


def test_check_says_every_problem_at_once(lab: Lab) -> None:
    lab.configure(
        "config dmsfw 'main'\n option log_level 'loud'\n\nconfig egress 'a'\n list dest_port '465'\n"
        "\nconfig egress 'b'\n list network 'x'\n"
    )
    done = lab.dmsfw("check")
    assert (done.returncode, done.stdout) == (1, "")
    problems = done.stderr.splitlines()
    assert len(problems) == 3
    assert all(problem.startswith("dmsfw: ") for problem in problems)
    assert "log_level" in problems[0]
    assert "neither label nor network" in problems[1]
    assert "dest_port is missing" in problems[2]


def test_check_takes_the_shipped_file_and_warns_of_a_label_that_anybody_may_claim(lab: Lab) -> None:
    lab.configure(SHIPPED)
    done = lab.dmsfw("check")
    assert (done.returncode, done.stderr) == (0, "")
    assert "warning: egress 'smtps': label 'com.docker.compose.network=dms-network' may be claimed" in done.stdout
    lab.configure(SHIPPED.replace("option enabled '0'", "option enabled '1'"))
    assert "LOOK OUT: egress 'everything'" in lab.dmsfw("check").stdout


def test_status_tells_by_its_exit_code(lab: Lab, dmsfw: Dmsfw) -> None:
    assert lab.dmsfw("status").returncode == 3
    lab.compose("up", "-d")
    dmsfw.start()
    assert lab.dmsfw("status").returncode == 0
    lab.compose("down", "-t", "0")
    dmsfw.wait_for("idle")
    assert lab.dmsfw("status").returncode == 1
    dmsfw.running.kill()
    done = lab.dmsfw("status")
    assert done.returncode == 3
    assert ": stopped" in done.stdout.splitlines()[0]
    assert json.loads(lab.dmsfw("status", "--json").stdout)["state"] == "stopped"


def test_status_says_in_one_sentence_what_a_network_may_reach_and_counts_its_packets(lab: Lab, dmsfw: Dmsfw) -> None:
    lab.compose("up", "-d")
    dmsfw.start()
    network = field_network(lab)
    for _ in range(3):
        assert lab.connect("app", SERVER, 465) == "open"
    (shown,) = dmsfw.status()[1]["networks"]
    said = f"{network.name} ({network.bridge}, {network.subnet}) may reach tcp 465 via pppoe-wan"
    assert (shown["sentences"], shown["packets"]) == ([said], 3)
    assert said in " ".join(lab.dmsfw("status").stdout.split())


def test_wrong_usage_has_an_exit_code_of_its_own(lab: Lab) -> None:
    done = lab.dmsfw("aply")
    assert (done.returncode, done.stdout) == (64, "")
    assert done.stderr.startswith("dmsfw: ")
