"""What lies on the router beside the service: hotplug scripts, rpcd's plugin and its rights, what an upgrade keeps."""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from dmsfw import commands
from dmsfw.report import status
from dmsfw.report.files import prepare_run_dir
from tests.initd.router import INITD, Router
from tests.lab import paths

FILES = INITD / "files"
SCRIPTS = ("dmsfw", "files/dmsfw.hotplug", "files/dmsfw.rpcd")


@pytest.fixture
def router(tmp_path: Path) -> Router:
    return Router(tmp_path)


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    prepare_run_dir(folder)
    return folder


def plugin(router: Router, run_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run rpcd's plugin as rpcd does, on another run-dir."""
    script = router.state / "plugin"
    script.write_text((FILES / "dmsfw.rpcd").read_text().replace("RUN_DIR=/var/run/dmsfw", f"RUN_DIR={run_dir}"))
    return router.ash(script, *arguments)


def answer(router: Router, run_dir: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(plugin(router, run_dir, "call", "status").stdout)
    return document


@pytest.mark.parametrize("script", SCRIPTS)
def test_shellcheck_is_content_with_each_script(script: str) -> None:
    shellcheck = next(paths.ROOT.glob(".venv/*/bin/shellcheck"))
    done = subprocess.run([shellcheck, INITD / script], capture_output=True, text=True, check=False)
    assert done.stdout == ""


@pytest.mark.parametrize("script", SCRIPTS)
def test_each_script_keeps_to_what_a_posix_shell_with_local_can(script: str) -> None:
    """Busybox takes `[[`, arrays it does not: dash takes neither."""
    done = subprocess.run(["dash", "-n", INITD / script], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert "[[" not in (INITD / script).read_text()


def test_a_hotplug_event_is_one_signal_sent_by_ubus(router: Router) -> None:
    script = f"ubus() {{ printf '%s\\n' \"$*\" >>'{router.state}/calls'; echo noise; echo noise >&2; return 4; }}\n"
    done = router.ash("-c", f"{script}(. '{FILES}/dmsfw.hotplug')", ACTION="ifup", INTERFACE="wan", DEVICE="pppoe-wan")
    (call,) = router.calls()
    assert json.loads(call.removeprefix("call service signal ")) == {"name": "dmsfw", "signal": 1}
    assert (done.stdout, done.stderr) == ("", "")


def test_a_sourced_script_leaves_its_caller_as_it_was(router: Router) -> None:
    """hotplug-call sources every script in a subshell, but not every caller does: no exit, no variable, no option."""
    done = router.ash("-c", f"ubus() {{ :; }}; . '{FILES}/dmsfw.hotplug'; echo on")
    assert done.stdout == "on\n"
    text = (FILES / "dmsfw.hotplug").read_text()
    assert not re.search(r"^\s*(exit|set|exec|export|[A-Za-z_]+=)", text, re.MULTILINE)


def test_the_plugin_lists_status_alone(router: Router, run_dir: Path) -> None:
    assert json.loads(plugin(router, run_dir, "list").stdout) == {"status": {}}
    for arguments in (("call", "clean"), ("call",), ("run",), ()):
        done = plugin(router, run_dir, *arguments)
        assert (done.returncode, done.stdout) == (1, "")


def test_the_plugin_answers_with_the_status_file_of_a_running_daemon(router: Router, run_dir: Path) -> None:
    text = status.to_json(status.Status(version="1", pid=7, state="in sync"))
    (run_dir / commands.STATUS_NAME).write_text(text)
    with (run_dir / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert answer(router, run_dir) == json.loads(text)


@pytest.mark.parametrize(("age_s", "state"), [(50, "in sync"), (600, "degraded")])
def test_the_file_of_a_daemon_that_hangs_is_not_believed(
    router: Router, run_dir: Path, age_s: float, state: str
) -> None:
    """As `dmsfw status` takes it."""
    now = time.time()
    seen = status.Status(version="1", pid=7, state="in sync", written_at=now - age_s)
    (run_dir / commands.STATUS_NAME).write_text(status.to_json(seen))
    os.utime(run_dir / commands.STATUS_NAME, (now - age_s, now - age_s))
    with (run_dir / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = answer(router, run_dir)
    assert found["state"] == state == status.as_seen(seen, running=True, now_s=now).state
    assert age_s < 60 or re.match(r"its last pass was 60\d s ago: see `logread -e dmsfw`$", found["reasons"][0])


def test_the_file_of_a_dead_daemon_is_not_believed(router: Router, run_dir: Path) -> None:
    (run_dir / commands.STATUS_NAME).write_text('{"state": "in sync"}')
    (run_dir / "lock").touch()
    assert answer(router, run_dir)["state"] == "stopped"


def test_before_any_start_the_plugin_says_stopped(router: Router, run_dir: Path) -> None:
    found = answer(router, run_dir)
    assert found["state"] == "stopped"
    assert found["format"] == status.FORMAT
    assert found["reasons"] == list(
        status.as_seen(status.Status(version="", pid=0, state="in sync"), running=False, now_s=0).reasons
    )


def test_before_the_first_pass_the_plugin_says_starting(router: Router, run_dir: Path) -> None:
    with (run_dir / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert answer(router, run_dir)["state"] == "starting"


def test_rights_are_for_reading_the_status_and_for_nobody_unauthenticated() -> None:
    rights = json.loads((FILES / "dmsfw.acl.json").read_text())
    assert list(rights) == ["dmsfw"]
    assert rights["dmsfw"].pop("description")
    assert rights["dmsfw"] == {"read": {"ubus": {"dmsfw": ["status"]}}}


def test_a_firmware_upgrade_keeps_the_configuration_and_nothing_else() -> None:
    assert (FILES / "dmsfw.keep").read_text().split() == ["/etc/config/dmsfw"]
