"""What the commands do to the tables, which are in memory here, and what they print."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from dmsfw import cli, commands, instance
from dmsfw.enforce import Iptables
from dmsfw.errors import ObserveError
from dmsfw.model import Network, Settings, Snapshot, Uplinks
from dmsfw.report import log
from tests.contract.fake import foreign_entry
from tests.unit.daemon_support import (
    BROKEN,
    FILTER,
    GOOD,
    MAIL,
    MAIL_2,
    NAT,
    SWITCHED_OFF,
    WAN,
    Firewall,
    WrittenWorld,
    bridges,
    only_iptables,
    status_in,
)


class Host:
    """The machine: its tables, its networks, and what was asked of it."""

    def __init__(self, folder: Path) -> None:
        self.config, self.run_dir = folder / "dmsfw", folder / "run"
        self.config.write_text(GOOD)
        self.firewall = Firewall()
        self.networks: tuple[Network, ...] = (MAIL,)
        self.fault: ObserveError | None = None
        self.obstacles: tuple[str, ...] = ()
        self.slow: Callable[[float], None] = lambda _: None
        self.stop: Callable[[], bool] = lambda: False
        self.during_snapshot: Callable[[], object] = lambda: os.kill(os.getpid(), signal.SIGTERM)

    def read_once(self, settings: Settings) -> Snapshot:
        if self.fault is not None:
            raise self.fault
        return Snapshot(settings, self.networks, Uplinks(chosen=(WAN,)))

    def enforcer(self, slow: Callable[[float], None] = lambda _: None, stop: Callable[[], bool] = bool) -> Iptables:
        self.slow, self.stop = slow, stop
        return Iptables(self.firewall)

    def world(self, settings: Settings, wake: Callable[[str], None], **given: Path) -> WrittenWorld:
        assert given["config"] == self.config
        return WrittenWorld(settings, wake, self.networks, during_snapshot=self.during_snapshot)

    def runs(self, *argv: str) -> int:
        return cli.main(["--config", str(self.config), "--run-dir", str(self.run_dir), *argv])

    def hold_lock(self) -> Any:
        self.run_dir.mkdir()
        file = (self.run_dir / instance.LOCK_NAME).open("w")
        fcntl.flock(file, fcntl.LOCK_EX)
        return file


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    made = Host(tmp_path)
    monkeypatch.setattr(instance, "ABSTRACT_NAME", f"\0dmsfw-test-{secrets.token_hex(8)}")
    monkeypatch.setattr(commands.Backend, "of_this_host", lambda _=None, **given: only_iptables(made.enforcer(**given)))
    monkeypatch.setattr(commands.World, "read_once", made.read_once)
    monkeypatch.setattr(commands, "obstacles", lambda: made.obstacles)
    caught = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = [signal.getsignal(number) for number in caught]
    yield made
    for number, handler in zip(caught, before, strict=True):
        signal.signal(number, handler)


@pytest.fixture
def served(host: Host, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """A host on which `run` finds a world that ends it in its first pass, and logs to stderr."""
    configure = log.configure

    def to_stderr(level: Any, form: Any) -> None:
        configure(level, form, stream=sys.stderr, dev_log="")

    monkeypatch.setattr(commands.log, "configure", to_stderr)
    monkeypatch.setattr(commands, "World", host.world)
    yield host
    structlog.reset_defaults()


# apply


def test_apply_opens_and_prints_what_it_wrote(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    assert host.runs("apply") == 0
    assert bridges(host.firewall) == {"br-mail"}
    told = capsys.readouterr()
    assert "-i br-mail -o pppoe-wan" in told.out
    assert told.err == ""
    assert host.runs("apply") == 0
    assert capsys.readouterr().out == "nothing to change: 3 rules are in place\n"


def test_apply_needs_what_cannot_be_read(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    host.fault = ObserveError("docker", "Docker is not running")
    assert host.runs("apply") == 1
    assert capsys.readouterr().err == "dmsfw: docker: Docker is not running\n"
    assert host.firewall.tables == {}


def test_apply_while_switched_off_removes_and_reads_nothing(host: Host) -> None:
    host.runs("apply")
    host.config.write_text(SWITCHED_OFF)
    host.fault = ObserveError("docker", "Docker is not running")
    assert host.runs("apply") == 0
    assert bridges(host.firewall) == set()


@pytest.mark.parametrize("command", ["apply", "clean", "run"])
def test_a_daemon_that_runs_keeps_others_out(
    host: Host, command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "RUN_WAIT_S", 0.0)
    monkeypatch.setattr(commands.log, "configure", lambda *_: None)
    with host.hold_lock():
        assert host.runs(command) == 1
    assert "another dmsfw holds this network namespace: stop it first, or wait with --wait" in capsys.readouterr().err
    assert host.firewall.tables == {}


@pytest.mark.parametrize("command", ["apply", "clean"])
def test_a_daemon_that_ends_is_waited_for(host: Host, command: str) -> None:
    lock = host.hold_lock()
    ending = threading.Timer(0.05, lock.close)
    ending.start()
    assert host.runs(command, "--wait", "60") == 0
    ending.join()


@pytest.mark.parametrize("command", ["apply", "clean"])
def test_a_wait_for_the_xtables_lock_is_said(host: Host, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    host.runs(command)
    capsys.readouterr()
    host.slow(2.0)
    assert capsys.readouterr().err == "dmsfw: waiting for the xtables lock, which another process holds\n"


@pytest.mark.parametrize("command", ["apply", "clean", "run"])
def test_a_run_dir_that_others_may_write_to_is_refused(
    served: Host, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    served.run_dir.mkdir()
    served.run_dir.chmod(0o777)
    assert served.runs(command) == 1
    assert "is refused: others may write to it" in capsys.readouterr().err
    assert served.firewall.tables == {}


@pytest.mark.parametrize("command", ["run", "apply", "plan", "clean"])
def test_nobody_but_root_gets_near_the_tables(
    host: Host, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(commands.os, "geteuid", lambda: 1000)
    assert host.runs(command) == 1
    assert capsys.readouterr().err == "dmsfw: only root may change the firewall: run dmsfw as root\n"
    assert host.firewall.tables == {}


# plan


def test_plan_says_what_would_change_and_changes_nothing(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    assert host.runs("plan") == 2
    assert "+ iptables -t filter -N DMSFW-FORWARD" in capsys.readouterr().out
    assert host.firewall.tables == {}
    assert not host.run_dir.exists()
    host.runs("apply")
    capsys.readouterr()
    assert host.runs("plan") == 0
    assert capsys.readouterr().out == "nothing to change: 3 rules are in place\n"


def test_plan_for_programs_is_json_and_nothing_else(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    assert host.runs("plan", "--json") == 2
    document = json.loads(capsys.readouterr().out)
    assert document["rules"] == 3
    assert {change["sign"] for change in document["changes"]} == {"+"}
    host.runs("apply")
    capsys.readouterr()
    assert host.runs("plan", "--json") == 0
    assert json.loads(capsys.readouterr().out)["changes"] == []


def test_plan_does_not_mind_a_daemon(host: Host) -> None:
    with host.hold_lock():
        assert host.runs("plan") == 2


# clean


def test_clean_leaves_what_is_not_ours(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    host.firewall.insert(FILTER, "FORWARD", 0, foreign_entry("-s 10.0.0.0/8 -j DROP"))
    before = {key: dict(chains) for key, chains in host.firewall.tables.items()}
    host.runs("apply")
    capsys.readouterr()
    assert host.runs("clean") == 0
    assert host.firewall.tables[FILTER] == before[FILTER]
    assert all(entries == () for entries in host.firewall.tables[NAT].values())
    assert capsys.readouterr().out.endswith("rules and chains removed\n")
    assert host.runs("clean") == 0
    assert capsys.readouterr().out == "nothing to remove\n"


def test_clean_needs_no_configuration_and_no_docker(host: Host) -> None:
    host.runs("apply")
    host.config.write_text(BROKEN)
    host.fault = ObserveError("docker", "Docker is not running")
    assert host.runs("clean") == 0
    assert bridges(host.firewall) == set()


# run


def test_run_serves_until_it_is_told_to_end(served: Host, capsys: pytest.CaptureFixture[str]) -> None:
    assert served.runs("run") == 0
    assert bridges(served.firewall) == {"br-mail"}
    assert status_in(served.run_dir).state == "in sync"
    assert not instance.is_running(served.run_dir)
    told = capsys.readouterr()
    assert told.out == ""
    assert [line.split()[2:][0] for line in told.err.splitlines()] == ["firewall", "started", "network", "stopped"]


def test_run_holds_the_lock_while_it_serves(served: Host) -> None:
    seen = []

    def look() -> None:
        seen.append(instance.is_running(served.run_dir))
        os.kill(os.getpid(), signal.SIGTERM)

    served.during_snapshot = look
    served.runs("run")
    assert seen == [True]


def test_run_says_aloud_what_is_in_the_way(served: Host, capsys: pytest.CaptureFixture[str]) -> None:
    served.obstacles = ("firewall4 manages this router", "nftables drops")
    served.runs("run")
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if "another firewall is in the way" in line] == lines[:2]
    assert "firewall4 manages this router" in lines[0]


def test_run_tells_the_warnings_of_its_configuration_once(served: Host, capsys: pytest.CaptureFixture[str]) -> None:
    served.config.write_text(f"{GOOD}\toption mask '1'\n")
    served.runs("run")
    assert capsys.readouterr().err.count("configuration warning") == 1


def test_run_does_not_start_with_a_broken_configuration(served: Host, capsys: pytest.CaptureFixture[str]) -> None:
    served.config.write_text(BROKEN)
    assert served.runs("run") == 1
    assert "carrier-pigeon" in capsys.readouterr().err
    assert not served.run_dir.exists()


def test_run_follows_its_log_settings(served: Host, capsys: pytest.CaptureFixture[str]) -> None:
    served.config.write_text(GOOD.replace("'main'\n", "'main'\n\toption log_format 'json'\n"))
    served.runs("run")
    events = [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()]
    assert events == ["firewall chosen", "started", "network opened", "stopped"]


def test_run_says_that_it_waits_for_the_xtables_lock_and_can_be_stopped(
    served: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    stops = []

    def look() -> None:
        stops.append(served.stop())
        served.slow(2.04)
        os.kill(os.getpid(), signal.SIGTERM)
        stops.append(served.stop())

    served.during_snapshot = look
    served.runs("run")
    assert stops == [False, True]
    assert "waiting for the xtables lock waited_s=2.0" in capsys.readouterr().err


def test_two_networks_are_served_by_one_run(served: Host) -> None:
    served.networks = (MAIL, MAIL_2)
    served.runs("run")
    assert bridges(served.firewall) == {"br-mail", "br-mail2"}
