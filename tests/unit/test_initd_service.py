"""The procd script: what it starts, when it removes rules, and what it says. The daemon is a stand-in here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.initd.router import INITD, Router
from tests.lab.wait import wait

CLEANED = "dmsfw clean --wait 10 daemons=0"


@pytest.fixture
def router(tmp_path: Path) -> Iterator[Router]:
    router = Router(tmp_path)
    yield router
    router.end()


def test_start_hands_the_daemon_to_procd_for_ever_with_its_output_in_the_log(router: Router) -> None:
    assert router.initd("start").returncode == 0
    prog = router.environment["STANDIN_PROG"]
    assert router.calls("procd_set_param") == [
        f"procd_set_param command {prog} run",
        "procd_set_param respawn 3600 5 0",
        "procd_set_param stdout 1",
        "procd_set_param stderr 1",
    ]
    assert wait(router.running)


def test_it_listens_for_its_own_configuration_the_firewall_and_interfaces(router: Router) -> None:
    router.initd("start")
    assert router.calls("procd_add") == [
        "procd_add_reload_trigger dmsfw firewall",
        "procd_add_raw_trigger interface.* 1000 /etc/init.d/dmsfw wake",
    ]


def test_the_program_bears_the_name_under_which_procd_logs_it() -> None:
    assert "\nPROG=/usr/bin/dmsfw\n" in (INITD / "dmsfw").read_text()


def test_stop_cleans_after_the_daemon_has_ended_and_waits_for_that(router: Router) -> None:
    router.start()
    assert router.initd("stop").returncode == 0
    assert router.calls() == ["procd_kill", "daemon ended", CLEANED]
    assert router.running() is None


def test_stop_says_so_when_rules_may_be_left(router: Router) -> None:
    router.start()
    (router.state / "stubborn").touch()
    done = router.initd("stop")
    said = "rules of dmsfw may be left: run /etc/init.d/dmsfw clean, or /etc/init.d/firewall restart"
    assert said in done.stderr
    assert [line for line in router.calls("logger") if "-p daemon.err rules of dmsfw may be left" in line]


def test_restart_removes_no_rule(router: Router) -> None:
    first = router.start()
    assert router.initd("restart").returncode == 0
    assert wait(lambda: router.running() not in (None, first))
    assert router.calls("dmsfw clean") == []


def test_an_upgrade_removes_no_rule(router: Router) -> None:
    router.start()
    router.initd("stop", PKG_UPGRADE="1")
    wait(lambda: "daemon ended" in router.calls())
    assert router.calls("dmsfw clean") == []
    router.initd("start", PKG_UPGRADE="1")
    assert wait(router.running)


def test_reload_wakes_the_same_daemon(router: Router) -> None:
    pid = router.start()
    assert router.initd("reload").returncode == 0
    wait(lambda: "daemon woken" in router.calls())
    assert router.running() == pid
    assert router.calls("dmsfw", "procd_send") == ["dmsfw check", "procd_send_signal dmsfw * HUP"]


def test_reload_starts_a_daemon_that_does_not_run(router: Router) -> None:
    assert router.initd("reload").returncode == 0
    assert wait(router.running)
    assert router.calls("dmsfw check") == ["dmsfw check"]


@pytest.mark.parametrize("action", ["reload", "restart", "start"])
def test_a_broken_configuration_is_told_and_the_running_daemon_stays(router: Router, action: str) -> None:
    pid = router.start()
    (router.state / "broken").write_text("egress 'a': one\negress 'b': two\n")
    done = router.initd(action)
    if action != "start":
        assert done.returncode != 0
        assert done.stderr.splitlines() == ["egress 'a': one", "egress 'b': two"]
        assert [line.partition(" -p ")[2] for line in router.calls("logger")] == [
            "daemon.err egress 'a': one",
            "daemon.err egress 'b': two",
        ]
    assert router.initd("running").returncode == 0
    assert router.running() == pid
    assert router.calls("daemon") == []


def test_the_log_line_bears_tag_and_process_id(router: Router) -> None:
    (router.state / "broken").write_text("wrong\n")
    router.initd("start")
    (line,) = router.calls("logger")
    tag = line.split()[2]
    assert tag.startswith("dmsfw[")
    assert tag[6:-1].isdigit()


def test_a_broken_configuration_starts_nothing_and_listens_for_its_mending(router: Router) -> None:
    (router.state / "broken").write_text("wrong\n")
    router.initd("start")
    assert router.calls("procd_set_param", "dmsfw run", "dmsfw clean") == []
    assert router.calls("procd_add_reload_trigger")
    (router.state / "broken").unlink()
    router.initd("reload")
    assert wait(router.running)


@pytest.mark.parametrize("action", ["start", "restart", "reload"])
def test_switched_off_nothing_is_started_and_no_rule_is_left(router: Router, action: str) -> None:
    router.set_enabled("0")
    router.initd(action)
    assert router.calls("procd_set_param", "dmsfw run") == []
    assert router.calls("dmsfw clean") == [CLEANED]
    assert router.calls("procd_add_reload_trigger")


def test_a_policy_that_is_called_main_is_not_the_switch_of_the_service(router: Router) -> None:
    (router.config / "dmsfw").write_text("config egress 'main'\n\toption enabled '0'\n")
    router.initd("start")
    assert wait(router.running)
    assert router.calls("dmsfw clean") == []


def test_switched_off_while_it_runs_a_reload_leaves_it_to_the_daemon(router: Router) -> None:
    pid = router.start()
    router.set_enabled("0")
    router.initd("reload")
    wait(lambda: "daemon woken" in router.calls())
    assert router.running() == pid


def test_switched_off_a_restart_ends_the_daemon_before_it_cleans(router: Router) -> None:
    router.start()
    router.set_enabled("off")
    router.initd("restart")
    assert router.calls("daemon", "dmsfw clean") == ["daemon ended", CLEANED]


def test_without_any_table_nothing_is_cleaned(router: Router) -> None:
    router.tables.write_text("")
    router.start()
    router.initd("stop")
    wait(lambda: "daemon ended" in router.calls())
    assert router.calls("dmsfw clean") == []


def test_status_is_the_state_what_it_means_and_what_to_do(router: Router) -> None:
    (router.state / "said").write_text("dmsfw 1.0 (pid 7): degraded\n  no uplink is up\n    uci x\n\nUplinks\n  wan\n")
    (router.state / "code").write_text("1")
    done = router.initd("status")
    assert done.stdout == "dmsfw 1.0 (pid 7): degraded\n  no uplink is up\n    uci x\n"
    assert done.returncode == 1


@pytest.mark.parametrize("command", ["plan", "check", "clean"])
def test_the_extra_commands_are_those_of_the_program_with_help(router: Router, command: str) -> None:
    router.initd(command)
    assert router.calls("dmsfw")[0].startswith(f"dmsfw {command}")
    assert f"\t{command}\t" in router.initd("help").stdout


def test_plan_says_by_its_exit_code_that_changes_are_due(router: Router) -> None:
    (router.state / "code").write_text("2")
    assert router.initd("plan").returncode == 2


def test_wake_starts_no_program(router: Router) -> None:
    router.start()
    router.initd("wake")
    wait(lambda: "daemon woken" in router.calls())
    assert router.calls("dmsfw") == []


def test_sourced_on_a_build_machine_it_does_nothing(router: Router) -> None:
    """An image builder runs `enable` with the root of the image to be, and without any router around."""
    done = router.initd("enable", IPKG_INSTROOT="/nowhere")
    assert (done.returncode, done.stderr) == (0, "")
    assert router.calls() == ["enable"]
