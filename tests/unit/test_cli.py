"""The command line as a user meets it: exit codes, one line for each error, and what `status` says."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dmsfw import __version__, cli, commands
from dmsfw.enforce import Iptables
from dmsfw.errors import TableRefused
from dmsfw.instance import LOCK_NAME
from dmsfw.report.status import NetworkStatus, SourceStatus, Status, to_json
from tests.unit.daemon_support import BROKEN, GOOD, SMTPS, Firewall, only_iptables

NOBODY = 65534
COMMANDS = ("run", "apply", "plan", "status", "clean", "check", "allow", "deny", "explain", "doctor", "list")
HERE = Path(__file__).parents[2]

IN_SYNC = Status(
    version="0.1.0",
    pid=7,
    state="in sync",
    networks=(NetworkStatus("mail", "br-mail", ("172.18.0.0/16",), ("mail may reach tcp 465",), ("0123456789ab",)),),
    sources=(SourceStatus("docker", 1.0),),
)

AS_NOBODY = f"""
import os, sys
import dmsfw.commands, dmsfw.questions  # loaded when they are needed; a clone may be root's alone
from dmsfw.cli import main
os.setgroups([])
os.setgid({NOBODY})
os.setuid({NOBODY})
sys.exit(main(sys.argv[1:]))
"""


def dmsfw(*argv: object) -> int:
    return cli.main([str(word) for word in argv])


def ran(
    *argv: object, script: str = "import sys; from dmsfw.cli import main; sys.exit(main(sys.argv[1:]))", **given: Any
) -> subprocess.CompletedProcess[str]:
    """Run it in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(HERE / "daemon"), **given.pop("env", {})}
    given.setdefault("stdout", subprocess.PIPE)
    command = [sys.executable, "-c", script, *map(str, argv)]
    return subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, check=False, timeout=60, **given)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "dmsfw"
    path.write_text(GOOD)
    return path


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    path = tmp_path / "run"
    path.mkdir()
    return path


@pytest.fixture(autouse=True)
def firewall(monkeypatch: pytest.MonkeyPatch) -> Firewall:
    """No command of these tests sees the machine's own tables."""
    made = Firewall()
    monkeypatch.setattr(commands.Backend, "of_this_host", lambda *_, **__: only_iptables(Iptables(made)))
    return made


@contextmanager
def locked(run_dir: Path) -> Iterator[None]:
    """As long as a daemon runs."""
    with (run_dir / LOCK_NAME).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def wrote(run_dir: Path, status: Status = IN_SYNC, *, age_s: float = 0) -> None:
    (run_dir / "status.json").write_text(to_json(replace(status, written_at=time.time() - age_s)))


# Usage.


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert dmsfw(command, "--help") == 0
    told = capsys.readouterr()
    assert told.out.startswith(f"usage: dmsfw {command}")
    assert "exit codes" in told.out or command == "check"
    assert told.err == ""


def test_the_whole_explains_itself_and_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert dmsfw("--help") == 0
    told = capsys.readouterr().out
    assert all(f"    {command} " in told for command in COMMANDS)
    assert "/etc/config/dmsfw" in told
    assert "/var/run/dmsfw" in told


def test_the_help_of_check_has_the_table_of_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert dmsfw("check", "--help") == 0
    assert "resync_interval" in capsys.readouterr().out


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert dmsfw("--version") == 0
    assert capsys.readouterr().out == f"dmsfw {__version__}\n"


@pytest.mark.parametrize(
    "argv",
    [
        (),
        ("fly",),
        ("--colour", "status"),
        ("status", "--wait", "3"),
        ("status", "extra"),
        ("check", "one\ntwo\x1b[31m"),
        ("check\n",),
        ("--config",),
        ("apply", "--wait"),
        ("apply", "--wait", "soon"),
        ("apply", "--wait", "nan"),
        ("apply", "--wait", "inf"),
        ("clean", "--wait", "-1"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_64(argv: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert dmsfw(*argv) == 64
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("dmsfw")
    assert told.err.endswith("--help\n")
    assert told.err.count("\n") == 1
    assert told.err.rstrip("\n").isprintable()


def test_the_process_exits_with_the_commands_code(tmp_path: Path) -> None:
    script = f"import runpy, sys; sys.argv[0] = 'dmsfw'; sys.path.insert(0, {str(HERE / 'daemon')!r}); "
    done = ran("--run-dir", tmp_path, "status", script=script + "runpy.run_module('dmsfw', run_name='__main__')")
    assert (done.returncode, done.stderr) == (3, "")


WHAT_THE_DAEMON_LOADS = """
import sys
from dmsfw import cli, commands
commands.run = lambda _: 0
cli.main(["run"])
print(*(name for name in sys.modules if name.startswith("dmsfw.")), sep="\\n")
"""


def test_the_daemon_has_nothing_of_the_commands_that_answer_or_write_in_memory() -> None:
    loaded = ran(script=WHAT_THE_DAEMON_LOADS).stdout.splitlines()
    assert "dmsfw.daemon" in loaded
    parts = ("doctor", "trace", "edit", "questions", "diagnosis", "editing", "effect")
    assert [name for name in loaded if name.split(".")[1] in parts] == []


# Errors.


def test_a_configuration_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dmsfw("--config", tmp_path / "absent", "check") == 1
    told = capsys.readouterr()
    assert told.err.startswith(f"dmsfw: '{tmp_path}/absent' does not exist: install the package's file there")
    assert told.err.count("\n") == 1
    assert told.out == ""


@pytest.mark.parametrize("command", COMMANDS[:3])
def test_a_broken_configuration_ends_every_command_that_needs_it(
    config: Path, run_dir: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(BROKEN)
    assert dmsfw("--config", config, "--run-dir", run_dir, command) == 1
    assert "carrier-pigeon" in capsys.readouterr().err


def test_check_tells_every_problem_one_line_each(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text(f"{BROKEN}\toption family 'ipx'\n\toption mask '1'\n")
    assert dmsfw("--config", config, "check") == 1
    told = capsys.readouterr()
    assert told.out == ""
    lines = told.err.splitlines()
    assert all(line.startswith("dmsfw: ") for line in lines)
    assert [word for word in ("carrier-pigeon", "ipx", "mask") if word in told.err] == ["carrier-pigeon", "ipx", "mask"]


def test_check_is_content_with_a_good_file_and_warns_of_what_it_allows(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(f"{GOOD}\toption mask '1'\n" + SMTPS.replace("mail*", "*").replace("smtps", "all"))
    assert dmsfw("--config", config, "check") == 0
    *warnings, last = capsys.readouterr().out.splitlines()
    assert all(line.startswith("warning: ") for line in warnings)
    assert any("LOOK OUT" in line for line in warnings)
    assert any("mask" in line for line in warnings)
    assert last == f"{config} is valid: 2 of 2 policies are switched on"


@pytest.mark.parametrize("command", ["run", "apply", "plan", "clean"])
def test_only_root_may_touch_the_firewall(command: str) -> None:
    done = ran(command, script=AS_NOBODY)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "dmsfw: only root may change the firewall: run dmsfw as root\n"


def test_a_configuration_that_may_not_be_read_says_as_whom_to_run(config: Path) -> None:
    config.parent.chmod(0o700)
    done = ran("--config", config, "check", script=AS_NOBODY)
    assert done.returncode == 1
    assert "run this as root" in done.stderr
    assert done.stderr.count("\n") == 1


def test_anybody_may_see_the_status() -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        folder.chmod(0o755)
        wrote(folder)
        with locked(folder):
            done = ran("--run-dir", folder, "status", script=AS_NOBODY)
    assert (done.returncode, done.stderr) == (0, "")
    assert "mail may reach tcp 465" in done.stdout


@contextmanager
def gone() -> Iterator[int]:
    """A pipe whose reader has gone."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


@pytest.mark.parametrize(
    ("argv", "code"), [(("check", "--help"), 0), (("--help",), 0), (("--version",), 0), (("status",), 3)]
)
def test_a_reader_that_has_gone_is_no_error_and_the_answer_stays_what_it_is(argv: tuple[str, ...], code: int) -> None:
    with gone() as writer:
        done = ran(*argv, stdout=writer, env={"PYTHONUNBUFFERED": ""})
    assert (done.returncode, done.stderr) == (code, "")


CUT_OFF = """\
import sys
from dmsfw import cli, commands
def chatty(_):
    for _ in range(100_000):
        print("a line")
    return 2
commands.status = chatty
sys.exit(cli.main(["status"]))
"""


def test_what_is_cut_off_before_there_is_an_answer_ends_as_sigpipe_ends_others() -> None:
    with gone() as writer:
        done = ran(script=CUT_OFF, stdout=writer)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize(("words", "code"), [(("check",), 1), (("explain", "nobody", "192.0.2.1:465"), 2)])
def test_nobody_has_to_hear_why_it_failed(tmp_path: Path, words: tuple[str, ...], code: int) -> None:
    """`dmsfw check 2>&1 | head -0`, without a configuration, and a question without Docker."""
    file = tmp_path / "dmsfw"
    file.write_text("config dmsfw 'main'\n\toption docker_url 'unix:///nowhere'\n")
    config = file if code == 2 else tmp_path / "nowhere"
    command = [sys.executable, "-m", "dmsfw", "--config", str(config), *words]
    environment = {**os.environ, "PYTHONPATH": str(HERE / "daemon")}
    with gone() as writer:
        done = subprocess.run(command, env=environment, stdout=writer, stderr=writer, check=False, timeout=60)
    assert done.returncode == code


def test_a_full_disk_behind_the_output_is_one_line(run_dir: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = ran("--run-dir", run_dir, "status", stdout=full)
    assert done.returncode == 1
    assert done.stderr == "dmsfw: it cannot be done: [Errno 28] No space left on device\n"


@pytest.mark.parametrize(("target", "code"), [("pipe", 0), ("/dev/full", 1)])
def test_output_that_cannot_be_written_is_dropped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], target: str, code: int
) -> None:
    if target == "pipe":
        reader, writer = os.pipe()
        os.close(reader)
    else:
        writer = os.open(target, os.O_WRONLY)
    with os.fdopen(writer, "w") as output:
        monkeypatch.setattr(sys, "stdout", output)
        assert dmsfw("--version") == code
        monkeypatch.undo()
    assert capsys.readouterr().err.count("\n") == code


def test_an_output_that_is_no_file_serves_as_well(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Output:
        text = ""

        def write(self, text: str) -> None:
            self.text += text

        def flush(self) -> None:
            """There is nothing to do."""

        def isatty(self) -> bool:
            return False

    output = Output()
    monkeypatch.setattr(sys, "stdout", output)
    assert dmsfw("--run-dir", tmp_path, "status") == 3
    assert "stopped" in output.text


def test_letters_that_the_locale_has_not_are_escaped(run_dir: Path, config: Path) -> None:
    wrote(run_dir, replace(IN_SYNC, networks=(NetworkStatus("邮件", "br-mail", (), ("邮件 may reach tcp 465",)),)))
    with locked(run_dir):
        done = ran("--run-dir", run_dir, "status", env={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0
    assert "\\u90ae\\u4ef6 may reach tcp 465" in done.stdout
    odd = config.with_name("odd\udcff")
    odd.write_text(GOOD)
    done = ran("--config", os.fsdecode(os.fsencode(odd)), "check")
    assert (done.returncode, done.stderr) == (0, "")


def test_an_interrupt_ends_a_command_quietly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "check", interrupted)
    assert dmsfw("check") == 130
    assert capsys.readouterr().err == ""


# Status.


@pytest.mark.parametrize(
    ("state", "code"), [("in sync", 0), ("idle", 1), ("degraded", 1), ("disabled", 1), ("starting", 1)]
)
def test_the_state_of_what_runs_is_the_exit_code(
    run_dir: Path, state: Any, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    wrote(run_dir, replace(IN_SYNC, state=state))
    with locked(run_dir):
        assert dmsfw("--run-dir", run_dir, "status") == code
    assert state in capsys.readouterr().out.splitlines()[0]


def stopped_in_order(run_dir: Path) -> None:
    wrote(run_dir)


def stopped_long_ago(run_dir: Path) -> None:
    wrote(run_dir, age_s=1e6)


def never_started(run_dir: Path) -> None:
    run_dir.rmdir()


def killed_before_its_first_pass(run_dir: Path) -> None:
    (run_dir / LOCK_NAME).touch()


def damaged(run_dir: Path) -> None:
    (run_dir / "status.json").write_text("{")


@pytest.mark.parametrize(
    "left", [stopped_in_order, stopped_long_ago, never_started, killed_before_its_first_pass, damaged]
)
def test_without_a_lock_nothing_runs_whatever_the_file_says(
    run_dir: Path, left: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    left(run_dir)
    assert dmsfw("--run-dir", run_dir, "status") == 3
    assert "stopped" in capsys.readouterr().out.splitlines()[0]
    assert dmsfw("--run-dir", run_dir, "status", "--json") == 3
    assert json.loads(capsys.readouterr().out)["state"] == "stopped"


def test_what_runs_and_has_not_passed_yet_is_starting(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with locked(run_dir):
        assert dmsfw("--run-dir", run_dir, "status", "--json") == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["state"], document["reasons"]) == ("starting", ["it has not passed yet"])


@pytest.mark.parametrize("text", ["{", "", "[]", '{"format": 99}', '{"format": 1}', "\0" * 10])
def test_a_damaged_file_of_what_runs_is_an_error_that_says_what_to_do(
    run_dir: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (run_dir / "status.json").write_text(text)
    with locked(run_dir):
        assert dmsfw("--run-dir", run_dir, "status") == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "/etc/init.d/dmsfw restart" in told.err
    assert told.err.count("\n") == 1


@pytest.mark.parametrize(("age_s", "code"), [(59, 0), (61, 1)])
def test_a_file_older_than_two_passes_take_is_degraded(
    run_dir: Path, age_s: float, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    wrote(run_dir, age_s=age_s)
    with locked(run_dir):
        assert dmsfw("--run-dir", run_dir, "status", "--json") == code
    document = json.loads(capsys.readouterr().out)
    assert document["state"] == ("degraded" if code else "in sync")
    assert document["sources"][0]["age_s"] == pytest.approx(1 + age_s, abs=30)


def test_a_folder_in_the_files_place_is_an_error(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run_dir / "status.json").mkdir()
    assert dmsfw("--run-dir", run_dir, "status") == 1
    assert "is no regular file: remove it" in capsys.readouterr().err


def test_a_file_that_cannot_be_read_is_an_error(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_: Path) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(commands.files, "read", refuse)
    assert dmsfw("--run-dir", run_dir, "status") == 1
    assert capsys.readouterr().err == f"dmsfw: {run_dir}/status.json cannot be read: Permission denied\n"


def test_a_run_dir_that_is_no_folder_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert dmsfw("--run-dir", tmp_path / "file", "status") == 1
    assert "Not a directory" in capsys.readouterr().err


def test_the_status_has_the_kernels_counters(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Iptables, "packets", lambda _: {"0123456789ab": 17})
    wrote(run_dir)
    with locked(run_dir):
        assert dmsfw("--run-dir", run_dir, "status", "--json") == 0
    assert json.loads(capsys.readouterr().out)["networks"][0]["packets"] == 17


def test_counters_that_cannot_be_read_are_left_out(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_: Iptables) -> None:
        raise TableRefused("not permitted")

    monkeypatch.setattr(Iptables, "packets", refuse)
    wrote(run_dir)
    with locked(run_dir):
        assert dmsfw("--run-dir", run_dir, "status") == 0
    assert "packet" not in capsys.readouterr().out
