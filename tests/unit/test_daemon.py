"""The daemon: wakes, passes, faults, timers and signals. The clock moves only while nobody is awake."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import ip_network
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from dmsfw import daemon as subject
from dmsfw.decide.pace import BURST, CEILING_S, LONG_S, RATE, SLOW_RATE, Pace
from dmsfw.decide.quarrel import FEW, SPACING_S
from dmsfw.enforce.lock import XtablesLock
from dmsfw.enforce.render import TableKey
from dmsfw.errors import NeverRead, TableRefused
from dmsfw.model import Settings, Uplink, Uplinks
from dmsfw.observe.backoff import CEILING_S as BACKOFF_CEILING_S
from dmsfw.observe.backoff import FIRST_S
from tests.contract.fake import foreign_entry
from tests.unit.daemon_support import (
    BROKEN,
    FILTER,
    GOOD,
    MAIL,
    MAIL_2,
    MAIN,
    NAT,
    SMTPS,
    SWITCHED_OFF,
    WAN,
    WEB,
    Rig,
    events,
    failing,
    lock_held,
    of,
    with_subnet,
)
from tests.unit.observe_support import until

ROOT = Path(__file__).parents[2]


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


@pytest.fixture
def handlers() -> Iterator[None]:
    """Put back what the daemon does to signals."""
    caught = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = [signal.getsignal(number) for number in caught]
    yield
    for number, handler in zip(caught, before, strict=True):
        signal.signal(number, handler)


def once(action: Callable[[], object]) -> Callable[[], None]:
    """Do it at the first call only."""
    left = [action]

    def call() -> None:
        if left:
            left.pop()()

    return call


def raising(error: Exception) -> Callable[..., Any]:
    def call(*_: object, **__: object) -> None:
        raise error

    return call


# Wakes and passes.


def test_the_first_pass_opens_what_the_policies_select(rig: Rig) -> None:
    rig.world.networks = (MAIL, WEB)
    rig.started()
    assert rig.served() == {"br-mail"}
    assert rig.status().state == "in sync"


def test_a_single_wake_is_served_at_once(rig: Rig) -> None:
    rig.started().world.networks = (MAIL, MAIL_2)
    rig.turn("docker")
    assert rig.served() == {"br-mail", "br-mail2"}
    assert rig.clock.now == 1000.0


def test_a_wake_during_a_pass_earns_another_pass(rig: Rig) -> None:
    def recreate() -> None:
        rig.world.networks = (with_subnet(replace(MAIL, device="br-new"), "172.30.0.0/16"),)
        rig.wake.set("docker")

    rig.started().world.during_snapshot = once(recreate)
    rig.turn("docker")
    assert rig.served() == {"br-mail"}
    rig.turn()
    assert rig.served() == {"br-new"}
    assert rig.clock.now == 1000.0


def test_wakes_that_come_together_are_one_pass_that_names_them_all(rig: Rig) -> None:
    rig.started()
    rig.turn("uplinks", "docker", "docker")
    assert rig.status().passes == 2
    assert rig.status().last_pass is not None
    assert rig.status().last_pass.trigger == "docker+uplinks"  # type: ignore[union-attr]


def test_a_second_pass_writes_nothing(rig: Rig) -> None:
    rig.started()
    before = len(rig.firewall.commits)
    rig.turn("docker")
    assert len(rig.firewall.commits) == before
    assert rig.status().last_pass.changes == 0  # type: ignore[union-attr]


def test_a_network_that_goes_takes_its_rules_along(rig: Rig) -> None:
    rig.started().world.networks = ()
    rig.turn("docker")
    assert rig.served() == set()
    assert FILTER.own not in rig.firewall.tables[FILTER]
    assert NAT.own not in rig.firewall.tables[NAT]


# Passes that fail.


def test_a_failed_pass_is_tried_again_ever_more_seldom(rig: Rig) -> None:
    rig.firewall.refusal = failing()
    rig.started()
    tries = []
    rig.world.during_snapshot = lambda: tries.append(rig.clock.now)
    rig.pass_for(60)
    gaps = [after - before for before, after in pairwise(tries)]
    assert gaps[0] < gaps[2] < gaps[4]
    assert max(gaps) == pytest.approx(BACKOFF_CEILING_S, abs=0.1)
    assert len(tries) < 20


def test_a_failed_pass_is_mended_by_its_retry_and_by_nothing_else(rig: Rig) -> None:
    rig.firewall.refusal = failing()
    rig.started()
    assert rig.status().state == "starting"
    rig.firewall.refusal = None
    assert rig.turns_until(rig.served) < 1
    assert rig.status().state == "in sync"
    assert rig.status().last_error == "iptables table filter: out of memory"


def test_a_wake_ends_the_backoff(rig: Rig) -> None:
    rig.firewall.refusal = failing()
    rig.started().pass_for(60)
    rig.firewall.refusal = None
    at = rig.clock.now
    rig.turn("docker")
    assert rig.served() == {"br-mail"}
    assert rig.clock.now == at


def test_the_backoff_begins_anew_after_a_pass_that_works(rig: Rig) -> None:
    rig.firewall.refusal = failing()
    rig.started().pass_for(60)
    rig.firewall.refusal = None
    rig.turn("docker")
    rig.firewall.refusal = failing()
    rig.world.networks = (MAIL, MAIL_2)
    rig.turn("docker")
    before = rig.world.snapshots
    assert rig.turns_until(lambda: rig.world.snapshots > before) < FIRST_S + 0.1


def test_a_retry_that_is_due_while_the_bucket_is_empty_does_not_spin(rig: Rig) -> None:
    rig.firewall.refusal = failing()
    rig.started()
    rig.daemon._pace = Pace(tokens=0.0, updated=rig.clock.now + FIRST_S - 0.01)
    rig.wake.waits.clear()  # type: ignore[attr-defined]
    rig.pass_for(5)
    assert all(wait > 0 for wait in rig.wake.waits)  # type: ignore[attr-defined]


def test_an_unexpected_error_is_told_with_its_traceback_once_and_outlived(rig: Rig) -> None:
    rig.started().world.fault = RuntimeError("dictionary changed size")
    with capture_logs() as logs:
        rig.turn("docker")
        rig.pass_for(120)
    assert len(of(logs, "unexpected error")) == 1
    assert of(logs, "unexpected error")[0]["exc_info"] is rig.world.fault
    assert len(of(logs, "pass failed")) == 1
    assert rig.status().state == "degraded"
    assert rig.status().reasons == ("the last pass failed: RuntimeError: dictionary changed size",)
    assert rig.served() == {"br-mail"}
    rig.world.fault, rig.world.networks = None, (MAIL_2,)
    rig.turns_until(lambda: rig.served() == {"br-mail2"})
    assert rig.status().state == "in sync"


@pytest.mark.parametrize("part", ["health", "detours", "poke_all", "reconfigure"])
def test_an_error_beside_the_pass_is_outlived_too(rig: Rig, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    rig.started()
    rig.write(GOOD.replace("465", "587"))
    monkeypatch.setattr(rig.world, part, raising(ZeroDivisionError("beside")))
    with capture_logs() as logs:
        rig.turn("config", "signal")
        rig.pass_for(300)
    assert len(of(logs, "unexpected error")) == 1
    assert len([wait for wait in rig.wake.waits if wait <= 0]) < 100  # type: ignore[attr-defined]
    monkeypatch.undo()
    rig.world.networks = (MAIL, MAIL_2)
    rig.turns_until(lambda: rig.served() == {"br-mail", "br-mail2"})
    assert rig.status().state == "in sync"


def test_an_error_in_a_look_loses_no_wake(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.started()
    rig.write(SWITCHED_OFF)
    monkeypatch.setattr(rig.daemon.enforcer, "changed", raising(ZeroDivisionError()))
    rig.clock.now += subject.LOOK_S
    with capture_logs() as logs:
        rig.turn("config")
        rig.turns_until(lambda: not rig.served())
    assert len(of(logs, "unexpected error")) == 1
    assert rig.status().state == "disabled"


# A world that is not known yet.


def test_a_source_that_was_never_read_is_waited_for_and_nothing_is_written(rig: Rig) -> None:
    rig.world.fault = NeverRead("docker", "Docker is not running")
    with capture_logs() as logs:
        rig.started().pass_for(300)
    assert rig.firewall.commits == []
    assert rig.firewall.tables == {}
    assert logs == []
    assert rig.status().state == "starting"
    assert rig.status().last_error == ""
    assert rig.world.snapshots < 30
    rig.world.fault = None
    rig.turn("docker")
    assert rig.served() == {"br-mail"}


def test_switched_off_the_rules_go_without_any_source_having_been_read(rig: Rig) -> None:
    rig.started()
    Path(rig.folder / "again").mkdir()
    again = Rig(rig.folder / "again", SWITCHED_OFF)
    again.firewall.tables = rig.firewall.tables
    again.world.fault = NeverRead("docker", "Docker is not running")
    again.started()
    assert again.served() == set()
    assert again.world.snapshots == 0
    assert again.status().state == "disabled"


# The configuration.


def test_a_changed_configuration_acts_at_its_wake(rig: Rig) -> None:
    rig.started()
    rig.write(GOOD.replace("mail*", "web").replace(MAIN, f"{MAIN}\toption log_level 'debug'\n"))
    rig.world.networks = (MAIL, WEB)
    with capture_logs() as logs:
        rig.turn("config")
    assert rig.served() == {"br-web"}
    assert [settings.log_level for settings in rig.settings_of_log] == ["debug"]
    assert of(logs, "configuration loaded") == [
        {"event": "configuration loaded", "policies": ["smtps"], "log_level": "info"}
    ]


def test_a_configuration_that_says_the_same_is_no_news(rig: Rig) -> None:
    rig.started()
    rig.write(GOOD + "\n# nothing\n")
    with capture_logs() as logs:
        rig.turn("config")
    assert logs == []
    assert rig.settings_of_log == []


def test_switching_off_and_on_is_live(rig: Rig) -> None:
    rig.started()
    rig.write(SWITCHED_OFF)
    rig.turn("config")
    assert rig.served() == set()
    assert rig.status().state == "disabled"
    rig.write(GOOD)
    rig.turn("config")
    assert rig.served() == {"br-mail"}
    assert rig.status().state == "in sync"


def test_a_broken_configuration_keeps_the_last_good_one_and_is_told_once(rig: Rig) -> None:
    rig.started()
    rig.write(BROKEN)
    rig.world.networks = (MAIL, MAIL_2)
    with capture_logs() as logs:
        rig.turn("config")
        rig.turn("config")
        rig.turn("signal")
    assert rig.served() == {"br-mail", "br-mail2"}
    assert len(of(logs, "configuration is broken, the last good one is used")) == 1
    assert rig.status().state == "degraded"
    assert "carrier-pigeon" in rig.status().reasons[0]


def test_a_configuration_that_is_broken_otherwise_is_told_again_and_its_mending_too(rig: Rig) -> None:
    rig.started()
    rig.write(BROKEN)
    rig.turn("config")
    with capture_logs() as logs:
        rig.write(BROKEN.replace("pigeon", "dove"))
        rig.turn("config")
        rig.config.unlink()
        rig.turn("config")
        rig.write(GOOD)
        rig.turn("config")
        rig.turn("config")
    assert events(logs) == ["configuration is broken, the last good one is used"] * 2 + ["configuration loaded"]
    assert rig.status().state == "in sync"


def test_a_configuration_that_changed_before_it_was_watched_is_read_at_the_start(rig: Rig) -> None:
    rig.write(SWITCHED_OFF)
    rig.started()
    assert rig.status().state == "disabled"


def test_a_configuration_whose_change_nobody_told_is_read_at_the_next_resync(rig: Rig) -> None:
    rig.started()
    rig.write(SWITCHED_OFF)
    assert rig.turns_until(lambda: not rig.served()) == pytest.approx(60, abs=1)


def test_a_shorter_resync_interval_acts_from_now_on(rig: Rig) -> None:
    rig.started()
    rig.write(GOOD.replace(MAIN, f"{MAIN}\toption resync_interval '10'\n"))
    rig.turn("config")
    before = rig.world.readings
    assert rig.turns_until(lambda: rig.world.readings > before) == pytest.approx(10, abs=0.1)


# Timers.


def test_what_somebody_wrote_is_seen_within_a_second_and_only_then_is_passed(rig: Rig) -> None:
    rig.started().pass_for(20)
    assert rig.world.snapshots == 1
    rig.firewall.flush()
    assert rig.turns_until(rig.served) <= subject.LOOK_S + 0.1
    assert rig.status().last_pass.trigger == "tables"  # type: ignore[union-attr]
    rig.pass_for(5)
    assert rig.world.snapshots == 2


def test_a_foreign_rule_is_looked_at_once_and_left_alone(rig: Rig) -> None:
    rig.started()
    rig.firewall.insert(FILTER, "FORWARD", 0, foreign_entry("-s 10.0.0.0/8 -j DROP"))
    rig.pass_for(10)
    assert rig.world.snapshots == 2
    assert "-s 10.0.0.0/8 -j DROP" in [entry.text for entry in rig.firewall.tables[FILTER]["FORWARD"]]


def test_tables_that_cannot_be_looked_at_earn_a_pass_that_says_so(rig: Rig) -> None:
    rig.started()
    rig.firewall.before_read = raising(TableRefused("iptables table filter: no memory"))
    with capture_logs() as logs:
        rig.pass_for(60)
    assert [entry["error"] for entry in of(logs, "pass failed")] == ["iptables table filter: no memory"]
    assert rig.status().state == "degraded"
    assert rig.world.snapshots < 20


def test_without_any_event_the_whole_is_compared_every_half_minute(rig: Rig) -> None:
    rig.started()
    passed_at = rig.turns_until(lambda: rig.world.snapshots == 2)
    assert passed_at == pytest.approx(subject.COMPARE_S, abs=0.1)
    assert rig.status().last_pass.trigger == "timer"  # type: ignore[union-attr]


def test_every_source_is_read_again_at_each_resync(rig: Rig) -> None:
    rig.started().pass_for(59)
    assert rig.world.readings == 0
    rig.pass_for(182)
    assert rig.world.readings == 4


def test_a_pass_that_works_keeps_the_status_young(rig: Rig) -> None:
    rig.started()
    before = rig.status()
    rig.pass_for(subject.COMPARE_S + 1)
    assert rig.status().passes == before.passes + 1
    assert rig.status().written_at >= before.written_at


def test_a_storm_is_paced_and_its_last_change_is_served(rig: Rig) -> None:
    rig.started()
    ends_at = rig.clock.now + 30
    number = 0
    while rig.clock.now < ends_at:
        number += 1
        rig.world.networks = (replace(MAIL, device=f"br{number}"),)
        rig.clock.now += 0.001
        rig.turn("docker")
    assert rig.world.snapshots < BURST + 10 * 20 + 20 * 5 + 20
    assert rig.turns_until(lambda: rig.served() == {f"br{number}"}) <= CEILING_S + 0.01


def test_a_storm_never_waits_longer_than_the_ceiling_for_a_pass(rig: Rig) -> None:
    rig.started()
    passes = []
    rig.world.during_snapshot = lambda: passes.append(rig.clock.now)
    for _ in range(20_000):
        rig.clock.now += 0.001
        rig.turn("docker")
    assert max(after - before for before, after in pairwise(passes)) <= CEILING_S + 0.01


# Signals.


def test_a_hangup_reads_everything_again_and_comes_to_rest(rig: Rig) -> None:
    rig.started()
    rig.turn("signal")
    rig.pass_for(20)
    assert rig.world.readings == 1
    assert rig.world.snapshots <= 3


def test_a_hangup_reads_the_sources_again_though_the_configuration_is_broken(rig: Rig) -> None:
    rig.started()
    rig.write(BROKEN)
    rig.turn("signal")
    assert rig.world.readings == 1


def test_a_stop_before_the_first_turn_writes_nothing(rig: Rig, handlers: None) -> None:
    del handlers
    rig.world.at_start = rig.daemon.stop
    with capture_logs() as logs:
        rig.daemon.run()
    assert rig.firewall.tables == {}
    assert events(logs) == ["stopped"]
    assert not rig.world.observing


def test_a_stop_while_a_turn_waits_begins_no_pass(rig: Rig) -> None:
    rig.started()
    rig.wake.set("docker")
    rig.daemon.stop()
    rig.turn()
    assert rig.world.snapshots == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_run_after_its_pass_and_leaves_the_rules(
    rig: Rig, handlers: None, number: signal.Signals
) -> None:
    del handlers
    rig.world.during_snapshot = once(lambda: os.kill(os.getpid(), number))
    rig.daemon.run()
    assert rig.served() == {"br-mail"}
    assert rig.status().state == "in sync"
    assert not rig.world.observing


def test_a_hangup_by_signal_is_a_wake(rig: Rig, handlers: None) -> None:
    del handlers
    rig.world.during_snapshot = once(lambda: os.kill(os.getpid(), signal.SIGHUP))
    original = rig.world.poke_all

    def poke_and_stop(trigger: str) -> None:
        original(trigger)
        rig.daemon.stop()

    rig.world.poke_all = poke_and_stop  # type: ignore[method-assign]
    rig.daemon.run()
    assert rig.world.readings == 1


def test_every_hangup_by_signal_is_a_wake_not_only_the_first(rig: Rig, handlers: None) -> None:
    del handlers
    woken: list[str] = []
    original = rig.wake.set

    def wake(trigger: str) -> None:
        woken.append(trigger)
        original(trigger)

    def hang_up_thrice_then_stop() -> None:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGHUP)
        rig.daemon.stop()

    rig.wake.set = wake  # type: ignore[method-assign]
    rig.world.during_snapshot = hang_up_thrice_then_stop
    rig.daemon.run()
    assert woken.count("signal") == 3


def test_a_run_that_is_broken_off_stops_observing(rig: Rig, handlers: None) -> None:
    del handlers
    rig.wake.wait = raising(KeyboardInterrupt())  # type: ignore[method-assign, arg-type]
    with pytest.raises(KeyboardInterrupt):
        rig.daemon.run()
    assert not rig.world.observing


def test_a_stop_ends_the_wait_for_the_xtables_lock_and_is_no_failure(rig: Rig) -> None:
    path = rig.folder / "xtables.lock"
    rig.firewall.lock = XtablesLock(path, stop=lambda: rig.daemon.stopping)
    rig.started()
    rig.firewall.flush()
    waiting = threading.Event()
    rig.world.during_snapshot = waiting.set

    def stop_soon() -> None:
        waiting.wait()
        rig.daemon.stop()

    stopper = threading.Thread(target=stop_soon)
    stopper.start()
    with capture_logs() as logs, lock_held(path):
        rig.turn("docker")
    stopper.join()
    assert logs == []
    assert rig.served() == set()


@pytest.fixture
def child(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A daemon in a process of its own, with a real clock."""
    (tmp_path / "dmsfw").write_text(GOOD)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'daemon'}:{ROOT}"}
    command = [sys.executable, "-m", "tests.unit.daemon_support", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def queues_for_a_lock(pid: int) -> bool:
    return any(f" {pid} " in line for line in Path("/proc/locks").read_text().splitlines() if "->" in line)


def status_says(folder: Path, text: str) -> bool:
    path = folder / "status.json"
    return path.exists() and text in path.read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_ends_within_a_second_of_its_signal(
    tmp_path: Path, child: subprocess.Popen[str], number: signal.Signals
) -> None:
    until(lambda: status_says(tmp_path, "in sync"))
    child.send_signal(number)
    assert child.wait(10) == 0
    assert child.stderr is not None
    assert "stopped" in child.stderr.read()


def test_a_process_that_waits_for_the_xtables_lock_ends_at_its_signal(
    tmp_path: Path, child: subprocess.Popen[str]
) -> None:
    until(lambda: status_says(tmp_path, "in sync"))
    (tmp_path / "dmsfw").write_text(SWITCHED_OFF)
    with lock_held(tmp_path / "xtables.lock"):
        child.send_signal(signal.SIGHUP)
        until(lambda: queues_for_a_lock(child.pid))
        child.send_signal(signal.SIGTERM)
        assert child.wait(10) == 0


def test_a_process_reads_its_configuration_again_at_a_hangup(tmp_path: Path, child: subprocess.Popen[str]) -> None:
    until(lambda: status_says(tmp_path, "in sync"))
    (tmp_path / "dmsfw").write_text(SWITCHED_OFF)
    child.send_signal(signal.SIGHUP)
    until(lambda: status_says(tmp_path, "disabled"))


def test_the_defaults_of_a_daemon_are_the_real_ones(rig: Rig) -> None:
    plain = subject.Daemon(rig.config, Settings(), rig.world, rig.daemon.enforcer, rig.wake, rig.daemon.chronicle)
    plain.apply_log_settings(Settings())
    assert plain.clock is time.monotonic
    assert not plain.stopping


def test_an_uplink_that_comes_under_another_name_is_served(rig: Rig) -> None:
    rig.started().world.uplinks = Uplinks(chosen=(Uplink("wan", "ppp1"),))
    rig.turn("uplinks")
    texts = [entry.text for entry in rig.firewall.tables[FILTER][FILTER.own]]
    assert any("-o ppp1" in text for text in texts)
    assert not any(WAN.device in text for text in texts)


def test_a_retry_that_works_is_the_last_one(rig: Rig) -> None:
    rig.firewall.refusal = failing()
    rig.started().pass_for(3)
    rig.firewall.refusal = None
    rig.pass_for(20)
    assert rig.status().passes == 1
    assert rig.status().last_pass.trigger == "retry"  # type: ignore[union-attr]


def test_policies_switched_off_are_not_loaded_ones(rig: Rig) -> None:
    rig.started()
    rig.write(GOOD + SMTPS.replace("smtps", "other") + "\toption enabled '0'\n")
    with capture_logs() as logs:
        rig.turn("config")
    assert of(logs, "configuration loaded")[0]["policies"] == ["smtps"]


# Somebody who keeps undoing the rules.


def undone(rig: Rig, times: int) -> None:
    """Have the rules removed so often, each time they are back."""
    for _ in range(times):
        rig.firewall.flush()
        rig.turn("xtables")
        rig.turns_until(rig.served)


def test_somebody_who_keeps_undoing_the_rules_is_answered_once_a_second_and_told_of_once(rig: Rig) -> None:
    rig.started()
    with capture_logs() as logs:
        undone(rig, FEW + 1)
        began = rig.clock.now
        undone(rig, 10)
    assert rig.clock.now - began >= 9 * SPACING_S
    warned = [entry for entry in logs if entry["event"].startswith("somebody keeps undoing")]
    assert len(warned) == 1
    assert warned[0]["rule"].startswith("iptables -t ")
    assert len([entry for entry in of(logs, "rules repaired") if entry["log_level"] == "info"]) <= FEW + 1
    assert rig.status().state == "degraded"


def test_a_network_that_comes_in_a_quarrel_is_served_at_once(rig: Rig) -> None:
    rig.started()
    undone(rig, FEW + 2)
    rig.clock.now += 60 / 20  # the bucket is full again; the quarrel goes on
    rig.firewall.flush()
    began = rig.clock.now
    rig.turn("xtables", "docker")
    rig.turns_until(rig.served)
    assert rig.clock.now - began < SPACING_S / 2


def test_a_quarrel_that_is_over_is_said_once_and_the_state_is_in_sync_again(rig: Rig) -> None:
    rig.started()
    undone(rig, FEW + 2)
    with capture_logs() as logs:
        rig.pass_for(60)
    assert [entry["event"] for entry in logs].count("nobody undoes the rules any more") == 1
    assert rig.status().state == "in sync"


# A table that cannot be had.


def test_a_refused_table_is_a_fault_beside_what_works_and_is_tried_again(rig: Rig) -> None:
    def refuse(key: object) -> None:
        if key == TableKey(6, "nat"):
            raise TableRefused("no such table")

    rig.firewall.before_commit = refuse
    rig.world.networks = (MAIL, with_subnet(WEB, "fd00:6::/64"))
    rig.write(
        GOOD.replace(
            "config egress",
            "config egress 'six'\n\tlist network 'web'\n\tlist proto 'tcp'\n\tlist dest_port '465'\n\nconfig egress",
            1,
        )
    )
    with capture_logs() as logs:
        rig.started()
    assert "started" in events(logs)
    assert "network opened" in events(logs)
    assert of(logs, "pass failed")[0]["error"] == "no such table"
    status = rig.status()
    assert (status.state, status.passes) == ("degraded", 1)
    assert [network.name for network in status.networks] == [MAIL.name, WEB.name]
    rig.firewall.before_commit = lambda _: None
    rig.turns_until(lambda: rig.status().state == "in sync")


def test_a_firewall_file_that_is_gone_closes_nothing(rig: Rig) -> None:
    """The zone `wan` names the ways out; what can no longer be read stays as it was read."""
    beside = rig.config.with_name("firewall")
    beside.write_text("config zone\n\toption name 'wan'\n\tlist device 'pppoe-wan'\n")
    rig.started()
    rig.turn("config")
    assert rig.daemon.settings.wan_zone.devices == ("pppoe-wan",)
    beside.unlink()
    with capture_logs() as logs:
        rig.turn("config")
    assert rig.daemon.settings.wan_zone.devices == ("pppoe-wan",)
    assert "no zone 'wan' can be read" in str(logs)


def test_a_lock_that_is_used_all_the_time_keeps_no_network_waiting(rig: Rig) -> None:
    """Each container that starts has Docker run iptables in its own namespace, which takes the same lock."""
    rig.started()
    before = rig.status().passes
    for _ in range(600):
        rig.turn("xtables")
        rig.clock.now += 0.05
    assert rig.status().passes - before <= 600 * 0.05 / subject.COMPARE_S + 1
    began = rig.clock.now
    for number in range(BURST - 1):
        rig.world.networks = (replace(MAIL, device=f"br{number}"),)
        rig.turn("docker")
        rig.turns_until(lambda number=number: rig.served() == {f"br{number}"})
    assert rig.clock.now == began


def test_the_use_of_the_lock_earns_a_pass_when_a_table_was_touched(rig: Rig) -> None:
    rig.started()
    before = rig.status().passes
    rig.firewall.insert(TableKey(4, "filter"), "INPUT", 0, foreign_entry("-A INPUT -j ACCEPT"))
    rig.turn("xtables")
    assert rig.status().passes == before + 1
    rig.turn("xtables")
    assert rig.status().passes == before + 1


@pytest.mark.parametrize("is_there", [False, True])
def test_a_table_that_waits_for_another_costs_no_pass_at_each_use_of_the_lock(rig: Rig, *, is_there: bool) -> None:
    """A router without kmod-ipt-nat6: what filter would accept waits for the table nat, for as long as it takes."""
    if is_there:
        rig.firewall.insert(TableKey(6, "nat"), "OUTPUT", 0, foreign_entry("-A OUTPUT -j ACCEPT"))
    rig.world.networks = (replace(MAIL, subnets=(*MAIL.subnets, ip_network("fd00:18::/64"))),)
    rig.firewall.before_read = failing_read_of(TableKey(6, "nat"))
    rig.started()
    assert rig.served() == {"br-mail"}
    assert rig.status().state == "degraded"
    before = rig.status().passes
    for _ in range(BURST):
        rig.turn("xtables")
    assert rig.status().passes == before


def test_a_retry_is_not_forgotten_over_a_use_of_the_lock(rig: Rig) -> None:
    rig.firewall.before_commit = failing_read_of(FILTER)
    rig.started()
    rig.turn("xtables")
    rig.firewall.before_commit = lambda _: None
    assert rig.turns_until(rig.served) <= BACKOFF_CEILING_S


def test_a_lock_that_is_used_all_the_time_is_looked_after_no_more_often_than_passes_are_made(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []
    rig.started()
    monkeypatch.setattr(rig.daemon.enforcer, "touched", lambda: looks.append(rig.clock.now))
    for _ in range(6000):
        rig.turn("xtables")
        rig.clock.now += 0.01
    assert len(looks) == pytest.approx(BURST + RATE * LONG_S + SLOW_RATE * (60 - LONG_S), rel=0.1)


def test_what_was_refused_is_tried_again_when_somebody_wrote_to_that_table(rig: Rig) -> None:
    rig.firewall.before_commit = failing_read_of(FILTER)
    rig.started()
    rig.pass_for(45)
    rig.firewall.before_commit = lambda _: None
    rig.firewall.insert(FILTER, "INPUT", 0, foreign_entry("-A INPUT -j ACCEPT"))
    rig.turn("xtables")
    assert rig.served() == {"br-mail"}


def test_a_table_that_cannot_be_looked_at_earns_a_pass_that_says_so(rig: Rig) -> None:
    rig.started()
    rig.firewall.before_read = failing_read
    rig.turn("xtables")
    assert rig.status().state == "degraded"


def failing_read(_: TableKey) -> None:
    raise TableRefused("no such table")


def failing_read_of(table: TableKey) -> Callable[[TableKey], None]:
    def read(key: TableKey) -> None:
        if key == table:
            failing_read(key)

    return read


def test_a_transaction_of_nftables_is_served_only_if_somebody_else_wrote(rig: Rig) -> None:
    rig.started()
    before = rig.world.snapshots
    rig.turn("nftables")
    assert rig.world.snapshots == before
    rig.firewall.flush()
    rig.turn("nftables")
    rig.turns_until(rig.served)
    assert rig.world.snapshots > before
