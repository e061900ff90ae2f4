"""What is told: each thing once when it becomes so. And the status file, in each state."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from dmsfw import __version__
from dmsfw.bulletin import STATUS_NAME
from dmsfw.chronicle import Chronicle
from dmsfw.config import Loaded
from dmsfw.errors import EnforceError, NeverRead, SettingsError
from dmsfw.model import Change, Detour, Plan, Policy, PortRange, Settings, Uplink, Uplinks
from dmsfw.reconciler import Outcome
from dmsfw.report import files
from dmsfw.report.status import Status
from tests.unit.daemon_support import (
    DOCKER_AWAY,
    HEALTHY,
    MAIL,
    MAIL_2,
    SMTPS_POLICY,
    WAN,
    WEB,
    WrittenWorld,
    events,
    of,
    outcome,
    settings,
    status_in,
    with_subnet,
)

WRITTEN = Plan(
    (Change("+", "ipv4 filter", "-A x"), Change("+", "ipv4 nat", "-A y"), Change("-", "ipv4 nat", "-D z")), 3
)
NOWHERE = Uplinks(missing=("wan",), default_devices=("br-lan",), others=(Uplink("lan", "br-lan"),))
NAS = Policy("nas", networks=("web",), ports=(PortRange(445, 445),), uplinks=("lan",))


class Teller:
    """A chronicle, and what it logged since one last asked."""

    def __init__(self, folder: Path, logs: list[Any]) -> None:
        self.folder, self.logs = folder, logs
        self.chronicle = Chronicle(folder)
        self.last: Outcome | None = None
        self.world = WrittenWorld(Settings(), lambda _: None)

    def passes(self, seen: Outcome, *triggers: str) -> list[Any]:
        """Let a pass be done; return what was logged."""
        self.logs.clear()
        named = frozenset(triggers or ("docker",))
        self.chronicle.passed(self.last, seen, named)
        self.last = seen
        self._write(seen.snapshot.settings, named, done=True)
        return list(self.logs)

    def fails(self, error: Any, given: Settings | None = None, *, stopping: bool = False) -> list[Any]:
        """Let a pass fail; return what was logged."""
        self.logs.clear()
        self.chronicle.failed(error, stopping=stopping)
        self._write(given or settings(), frozenset({"retry"}), done=False)
        return list(self.logs)

    def loads(self, given: Settings, *warnings: str, changed: bool = True) -> list[Any]:
        self.logs.clear()
        self.chronicle.config_taken(Loaded(given, warnings), changed=changed)
        return list(self.logs)

    def breaks(self, *problems: str) -> list[Any]:
        self.logs.clear()
        self.chronicle.config_broken(SettingsError(problems))
        return list(self.logs)

    def _write(self, given: Settings, triggers: frozenset[str], *, done: bool) -> None:
        self.chronicle.write_status(self.last, given, self.world, triggers=triggers, duration_s=0.00123, done=done)

    @property
    def status(self) -> Status:
        return status_in(self.folder)


@pytest.fixture
def teller(tmp_path: Path) -> Iterator[Teller]:
    with capture_logs() as logs:
        yield Teller(tmp_path, logs)


# What passes tell.


def test_the_start_is_one_line_and_one_for_each_network_that_it_opened(teller: Teller) -> None:
    first, second = teller.passes(outcome(MAIL, WEB, plan=WRITTEN))
    assert first == {
        "event": "started",
        "version": __version__,
        "uplinks": ["wan(pppoe-wan)"],
        "networks": 2,
        "selected": 1,
        "rules": 3,
        "log_level": "info",
    }
    assert second == {
        "event": "network opened",
        "network": "mail",
        "bridge": "br-mail",
        "subnet": "172.18.0.0/16",
        "ports": "tcp/465",
        "uplink": "pppoe-wan",
        "rules": 1,
        "log_level": "info",
    }


def test_a_start_that_adopts_what_is_there_is_one_line(teller: Teller) -> None:
    assert events(teller.passes(outcome(MAIL))) == ["started"]


def test_a_start_that_only_removes_says_so(teller: Teller) -> None:
    switched_off = settings(enabled=False)
    assert events(teller.passes(outcome(MAIL, settings=switched_off, plan=WRITTEN))) == ["started", "rules repaired"]


def test_a_second_pass_like_the_first_logs_nothing(teller: Teller) -> None:
    seen = outcome(MAIL, WEB, replace(MAIL_2, internal=True), settings=settings(SMTPS_POLICY, Policy("idle")))
    teller.loads(seen.snapshot.settings, "odd")
    assert len(teller.passes(seen)) == 3
    assert teller.passes(seen) == []
    assert teller.loads(seen.snapshot.settings, "odd", changed=False) == []


def test_networks_that_come_go_and_change_are_a_line_each(teller: Teller) -> None:
    teller.passes(outcome(MAIL))
    other = with_subnet(MAIL, "172.30.0.0/16")
    logs = teller.passes(outcome(other, MAIL_2, plan=WRITTEN))
    assert [(entry["event"], entry["network"], entry["subnet"]) for entry in logs] == [
        ("network opened", "mail-2", "172.19.0.0/16"),
        ("network changed", "mail", "172.30.0.0/16"),
    ]
    logs = teller.passes(outcome(replace(other, device="br-new"), plan=WRITTEN))
    assert [(entry["event"], entry["bridge"]) for entry in logs] == [
        ("network closed", "br-mail"),
        ("network closed", "br-mail2"),
        ("network opened", "br-new"),
    ]


def test_a_network_is_told_though_an_earlier_try_had_written_its_rules(teller: Teller) -> None:
    teller.passes(outcome(MAIL))
    teller.fails(EnforceError("lost the race"))
    assert events(teller.passes(outcome(MAIL, MAIL_2, plan=Plan(rules=6)))) == ["pass works again", "network opened"]


def test_rules_that_somebody_removed_are_repaired_and_their_trigger_is_told(teller: Teller) -> None:
    teller.passes(outcome(MAIL))
    (entry,) = teller.passes(outcome(MAIL, plan=WRITTEN), "tables", "firewall")
    assert entry == {
        "event": "rules repaired",
        "trigger": ["firewall", "tables"],
        "added": 2,
        "removed": 1,
        "log_level": "info",
    }


def test_another_name_for_a_policy_is_no_repair(teller: Teller) -> None:
    teller.passes(outcome(MAIL))
    renamed = settings(replace(SMTPS_POLICY, name="mail"))
    (entry,) = teller.passes(outcome(MAIL, settings=renamed, plan=WRITTEN), "config")
    assert (entry["event"], entry["trigger"], entry["added"]) == ("rules renamed", ["config"], 2)
    assert events(teller.passes(outcome(MAIL, settings=renamed, plan=WRITTEN), "tables")) == ["rules repaired"]


def test_a_policy_that_selects_nothing_is_told_once_and_again_when_the_networks_change(teller: Teller) -> None:
    idle = settings(Policy("smtps", networks=("mial",)))
    (_, entry) = teller.passes(outcome(MAIL, replace(WEB, driver="overlay"), settings=idle))
    assert entry == {
        "event": "policy selects no network",
        "policy": "smtps",
        "networks": ("mail",),
        "log_level": "warning",
    }
    assert teller.passes(outcome(MAIL, settings=idle)) == []
    assert events(teller.passes(outcome(MAIL, MAIL_2, settings=idle))) == ["policy selects no network"]
    assert teller.passes(outcome(MAIL, MAIL_2)) != []
    assert "policy selects no network" in events(teller.passes(outcome(MAIL, MAIL_2, settings=idle)))


@pytest.mark.parametrize("meanwhile", [settings(), settings(SMTPS_POLICY, enabled=False)], ids=["gone", "switched off"])
def test_an_idle_policy_that_was_away_is_told_when_it_is_back(teller: Teller, meanwhile: Settings) -> None:
    idle = settings(SMTPS_POLICY, Policy("idle", networks=("none",)))
    assert of(teller.passes(outcome(MAIL, settings=idle)), "policy selects no network")
    teller.passes(outcome(MAIL, settings=meanwhile))
    (entry,) = of(teller.passes(outcome(MAIL, settings=idle)), "policy selects no network")
    assert entry["policy"] == "idle"


def test_each_skipped_network_is_told_once(teller: Teller) -> None:
    first, second = replace(MAIL, internal=True), replace(MAIL_2, problem="its bridge has a hostile name")
    (entry,) = of(teller.passes(outcome(first, WEB)), "network skipped")
    assert entry["reason"] == "it is internal: Docker promises that it has no way out"
    (entry,) = of(teller.passes(outcome(first, second)), "network skipped")
    assert (entry["network"], entry["reason"]) == ("mail-2", "its bridge has a hostile name")
    assert of(teller.passes(outcome(second)), "network skipped") == []
    assert [entry["network"] for entry in of(teller.passes(outcome(first, second)), "network skipped")] == ["mail"]
    (entry,) = of(teller.passes(outcome(first, replace(second, problem="other"))), "network skipped")
    assert entry["reason"] == "other"


def test_no_uplink_is_told_once_and_so_is_the_next_one_up(teller: Teller) -> None:
    teller.passes(outcome(MAIL))
    (_, entry) = teller.passes(outcome(MAIL, uplinks=NOWHERE))
    assert entry == {
        "event": "no uplink is up",
        "policies": ["smtps"],
        "default_devices": ("br-lan",),
        "missing": ("wan",),
        "log_level": "warning",
    }
    assert teller.passes(outcome(MAIL, uplinks=NOWHERE)) == []
    again = Uplinks(chosen=(Uplink("wan", "ppp1"), Uplink("wan6", "ppp2", up=False)), others=(Uplink("lan", "br-lan"),))
    (_, entry) = teller.passes(outcome(MAIL, uplinks=again))
    assert (entry["event"], entry["uplinks"]) == ("uplink is up again", ["ppp1"])
    assert teller.passes(outcome(MAIL, uplinks=again)) == []


def test_an_uplink_that_is_down_from_the_start_is_told(teller: Teller) -> None:
    down = Uplinks(chosen=(replace(WAN, up=False),))
    assert events(teller.passes(outcome(MAIL, uplinks=down))) == ["started", "no uplink is up"]


def test_switched_off_no_uplink_and_no_policy_is_missed(teller: Teller) -> None:
    seen = outcome(WEB, settings=settings(enabled=False), uplinks=NOWHERE)
    assert events(teller.passes(seen)) == ["started"]


# What failures tell.


def test_a_failure_is_told_once_and_again_when_it_is_another_and_when_it_is_over(teller: Teller) -> None:
    teller.passes(outcome(MAIL))
    assert teller.fails(EnforceError("no")) == [{"event": "pass failed", "error": "no", "log_level": "error"}]
    assert teller.fails(EnforceError("no")) == []
    assert events(teller.fails(EnforceError("never"))) == ["pass failed"]
    assert teller.passes(outcome(MAIL)) == [{"event": "pass works again", "after": "never", "log_level": "info"}]
    assert teller.passes(outcome(MAIL)) == []
    assert events(teller.fails(EnforceError("never"))) == ["pass failed"]


def test_to_wait_for_a_source_and_to_be_stopped_is_no_failure(teller: Teller) -> None:
    assert teller.fails(NeverRead("docker", "not read yet")) == []
    assert teller.fails(EnforceError("gave up waiting"), stopping=True) == []
    assert teller.status.last_error == ""


def test_a_traceback_is_told_once(teller: Teller) -> None:
    error = KeyError("x")
    teller.chronicle.crashed(error)
    teller.chronicle.crashed(KeyError("x"))
    teller.chronicle.crashed(KeyError("y"))
    assert events(teller.logs) == ["unexpected error"] * 2
    assert teller.logs[0]["exc_info"] is error


def test_a_broken_configuration_is_told_whole_once_for_each_content(teller: Teller) -> None:
    assert [entry["problem"] for entry in teller.breaks("a", "b")] == ["a", "b"]
    assert teller.breaks("a", "b") == []
    assert [entry["problem"] for entry in teller.breaks("a")] == ["a"]
    assert events(teller.loads(settings(), changed=False)) == ["configuration loaded"]
    assert [entry["problem"] for entry in teller.breaks("a")] == ["a"]


def test_warnings_of_a_configuration_are_told_when_they_change(teller: Teller) -> None:
    assert [entry["warning"] for entry in teller.loads(settings(), "a", "b", changed=False)] == ["a", "b"]
    assert teller.loads(settings(), "a", "b", changed=False) == []
    assert [entry["warning"] for entry in teller.loads(settings(), "b", changed=False)] == ["b"]
    assert teller.loads(settings(), changed=False) == []
    assert [entry["warning"] for entry in teller.loads(settings(), "b", changed=False)] == ["b"]


# The status file, in each state.


def test_a_status_before_the_first_pass_says_what_is_waited_for(teller: Teller) -> None:
    teller.fails(NeverRead("docker", "not read yet"))
    assert teller.status.state == "starting"
    assert teller.status.reasons == ("waiting for the first reading of docker",)
    assert teller.status.last_pass is None
    teller.world.sources = DOCKER_AWAY
    teller.fails(NeverRead("docker", "Docker is not running"))
    assert teller.status.state == "starting"
    assert teller.status.reasons == ("docker does not answer: Docker is not running",)


def test_a_status_in_sync_tells_all_that_is_known(teller: Teller) -> None:
    teller.world.astray = (Detour("c", "mail", "web"), Detour("d", "web", "mail"), Detour("e", "mail", "mail-2"))
    seen = outcome(MAIL, MAIL_2, WEB, replace(MAIL, name="mail-in", internal=True), plan=replace(WRITTEN, ahead=("x",)))
    teller.passes(seen, "docker", "uplinks")
    status = teller.status
    assert (status.state, status.reasons, status.remedies) == ("in sync", (), ())
    assert (status.version, status.pid) == (__version__, os.getpid())
    assert [one.sentences for one in status.networks] == [
        ("mail (br-mail, 172.18.0.0/16) may reach tcp 465 via pppoe-wan",),
        ("mail-2 (br-mail2, 172.19.0.0/16) may reach tcp 465 via pppoe-wan",),
    ]
    assert [one.name for one in status.unselected] == ["web"]
    assert [one.name for one in status.skipped] == ["mail-in"]
    assert status.detours == (Detour("c", "mail", "web"),)
    assert status.uplinks == (WAN,)
    assert status.ahead == ("x",)
    assert [(one.name, one.age_s, one.error) for one in status.sources] == [("docker", 0.5, ""), ("uplinks", 1.0, "")]
    assert (status.rules, status.passes, status.last_error) == (3, 1, "")
    assert status.last_pass is not None
    assert (status.last_pass.trigger, status.last_pass.changes, status.last_pass.duration_ms) == (
        "docker+uplinks",
        3,
        1.23,
    )
    assert status.last_pass.at[10] == "T"


def test_a_status_with_an_idle_policy_has_the_lines_to_paste(teller: Teller) -> None:
    teller.passes(outcome(WEB))
    assert teller.status.state == "idle"
    assert [one.name for one in teller.status.idle_policies] == ["smtps"]
    assert teller.status.unselected[0].commands == ("uci add_list dmsfw.smtps.network='web'; uci commit dmsfw",)


def test_a_status_without_any_active_policy_is_idle_also_without_an_uplink(teller: Teller) -> None:
    none = Settings(policies=(replace(SMTPS_POLICY, enabled=False),))
    teller.passes(outcome(MAIL, settings=none, uplinks=NOWHERE))
    assert (teller.status.state, teller.status.reasons) == ("idle", ("no policy is switched on",))


@pytest.mark.parametrize("sources", [HEALTHY, DOCKER_AWAY])
def test_a_status_switched_off_is_disabled_whatever_the_sources_do(teller: Teller, sources: Any) -> None:
    teller.world.sources = sources
    teller.passes(outcome(settings=settings(enabled=False), uplinks=Uplinks()))
    assert teller.status.state == "disabled"


def source_away(teller: Teller) -> None:
    teller.world.sources = DOCKER_AWAY
    teller.passes(outcome(MAIL))


def pass_failed(teller: Teller) -> None:
    teller.passes(outcome(MAIL))
    teller.fails(EnforceError("table filter: no memory"))


def config_broken(teller: Teller) -> None:
    teller.breaks("egress 'smtps': dest_port is missing", "another")
    teller.passes(outcome(MAIL))


def never_read_after_switching_on(teller: Teller) -> None:
    teller.passes(outcome(settings=settings(enabled=False)))
    teller.fails(NeverRead("docker", "not read yet"))


def uplink_down(teller: Teller) -> None:
    teller.passes(outcome(MAIL, uplinks=Uplinks(chosen=(replace(WAN, up=False),))))


def no_uplink(teller: Teller) -> None:
    teller.passes(outcome(MAIL, uplinks=NOWHERE))


def no_uplink_for_one(teller: Teller) -> None:
    teller.passes(outcome(MAIL, WEB, settings=settings(SMTPS_POLICY, NAS), uplinks=NOWHERE))


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (source_away, "docker does not answer: Docker is not running"),
        (pass_failed, "the last pass failed: table filter: no memory"),
        (
            config_broken,
            "the configuration is broken and the last good one is used: egress 'smtps': dest_port is missing",
        ),
        (never_read_after_switching_on, "waiting for the first reading of docker"),
        (uplink_down, "no uplink is up"),
        (no_uplink, "no uplink is up; the default route uses br-lan"),
        (no_uplink_for_one, "no uplink is up for smtps; the default route uses br-lan"),
    ],
)
def test_a_status_with_a_fault_is_degraded_and_says_why(
    teller: Teller, fault: Callable[[Teller], None], reason: str
) -> None:
    fault(teller)
    assert (teller.status.state, teller.status.reasons) == ("degraded", (reason,))
    assert teller.last is not None


def test_without_an_uplink_the_line_that_would_name_one_is_given(teller: Teller) -> None:
    no_uplink(teller)
    assert teller.status.remedies == ("uci add_list dmsfw.main.uplink='lan'; uci commit dmsfw",)


def test_a_policy_with_an_uplink_of_its_own_needs_no_other(teller: Teller) -> None:
    logs = teller.passes(outcome(WEB, settings=settings(NAS), uplinks=NOWHERE))
    assert events(logs) == ["started"]
    assert teller.status.state == "in sync"


def test_a_failed_pass_leaves_the_last_one_in_the_status(teller: Teller) -> None:
    teller.passes(outcome(MAIL), "docker")
    teller.fails(EnforceError("no"))
    assert teller.status.last_pass is not None
    assert teller.status.last_pass.trigger == "docker"
    assert (teller.status.passes, teller.status.last_error) == (1, "no")
    assert [one.name for one in teller.status.networks] == ["mail"]


def test_all_that_is_wrong_is_said_together(teller: Teller) -> None:
    teller.breaks("broken")
    teller.world.sources = DOCKER_AWAY
    teller.passes(outcome(WEB, uplinks=NOWHERE))
    teller.fails(EnforceError("no"))
    assert len(teller.status.reasons) == 5
    teller.loads(settings(), changed=False)
    teller.world.sources = HEALTHY
    teller.passes(outcome(MAIL))
    assert teller.status.state == "in sync"


# A status file that cannot be written.


def remove_folder(folder: Path, _: pytest.MonkeyPatch) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def fill_the_disk(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = os.open

    def on_a_full_disk(path: Any, flags: int, mode: int = 0o777, **given: Any) -> int:
        os.close(opened(path, flags, mode, **given))
        return opened("/dev/full", os.O_WRONLY)

    monkeypatch.setattr(files.os, "open", on_a_full_disk)


def make_read_only(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For root no mode is: the kernel's word for a file system that is."""

    def refuse(*_: object, **__: object) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(files.os, "open", refuse)


def put_a_folder_in_its_place(folder: Path, _: pytest.MonkeyPatch) -> None:
    (folder / STATUS_NAME).unlink()
    (folder / STATUS_NAME).mkdir()


@pytest.mark.parametrize(
    ("harm", "error"),
    [
        (remove_folder, "No such file or directory"),
        (fill_the_disk, "No space left on device"),
        (make_read_only, "Read-only file system"),
        (put_a_folder_in_its_place, "Is a directory"),
    ],
)
def test_a_status_that_cannot_be_written_is_told_once_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: Callable[[Path, pytest.MonkeyPatch], None], error: str
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    with capture_logs() as logs, monkeypatch.context() as harmed:
        teller = Teller(folder, logs)
        teller.passes(outcome(MAIL))
        harm(folder, harmed)
        (entry,) = teller.passes(outcome(MAIL))
        assert (entry["event"], entry["error"]) == ("status cannot be written", error)
        assert entry["file"] == str(folder / STATUS_NAME)
        assert teller.passes(outcome(MAIL)) == []


def test_a_status_that_can_be_written_again_may_be_told_again(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with capture_logs() as logs:
        teller = Teller(folder, logs)
        assert "status cannot be written" in events(teller.passes(outcome(MAIL)))
        folder.mkdir()
        assert teller.passes(outcome(MAIL)) == []
        assert teller.status.passes == 2
        (folder / STATUS_NAME).unlink()
        folder.rmdir()
        assert events(teller.passes(outcome(MAIL))) == ["status cannot be written"]


# The metrics.


def measured(folder: Path, **sources: Any) -> Settings:
    return replace(settings(), metrics_file=str(folder / "dmsfw.prom"), **sources)


def seen_by(given: Settings, plan: Plan = WRITTEN) -> Outcome:
    before = outcome(MAIL, plan=plan)
    return replace(before, snapshot=replace(before.snapshot, settings=given))


def test_metrics_are_written_after_each_pass_where_they_are_asked_for(teller: Teller) -> None:
    given = measured(teller.folder)
    teller.world.reconnects = 4
    teller.passes(seen_by(given), "docker", "start")
    teller.passes(seen_by(given), "tables")
    written = (teller.folder / "dmsfw.prom").read_text().splitlines()
    assert {
        "dmsfw_passes_total 2",
        "dmsfw_changes_total 6",
        "dmsfw_repairs_total 1",
        'dmsfw_trigger_changes_total{trigger="tables"} 3',
        "dmsfw_docker_reconnects_total 4",
        f"dmsfw_rules {WRITTEN.rules}",
    } <= set(written)


def test_a_pass_that_failed_counts_as_none_and_shows_in_the_state(teller: Teller) -> None:
    given = measured(teller.folder)
    teller.passes(seen_by(given))
    teller.fails(EnforceError("no"), given)
    written = (teller.folder / "dmsfw.prom").read_text().splitlines()
    assert {"dmsfw_passes_total 1", 'dmsfw_state{state="degraded"} 1'} <= set(written)


def test_without_the_option_no_metrics_are_written(teller: Teller) -> None:
    teller.passes(outcome(MAIL))
    assert [path.name for path in teller.folder.iterdir()] == [STATUS_NAME]


def test_metrics_that_cannot_be_written_are_told_once_and_stop_nothing(teller: Teller) -> None:
    given = measured(teller.folder / "missing")
    entry = teller.passes(seen_by(given))[-1]
    assert (entry["event"], entry["error"]) == ("metrics cannot be written", "No such file or directory")
    assert entry["file"] == given.metrics_file
    assert events(teller.passes(seen_by(given, Plan()))) == []
    assert teller.status.passes == 2
    (teller.folder / "missing").mkdir()
    assert events(teller.passes(seen_by(given, Plan()))) == []
    assert Path(given.metrics_file).exists()


def test_another_firewall_in_the_way_is_a_fault_for_as_long_as_the_daemon_runs(teller: Teller) -> None:
    teller.chronicle = Chronicle(teller.folder, ("firewall4 manages this router",))
    teller.passes(outcome(MAIL))
    assert (teller.status.state, teller.status.reasons[0]) == ("degraded", "firewall4 manages this router")
