"""The commands `allow` and `deny` around the change: shown, asked for, waited for, told. No Docker, no kernel."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dmsfw import cli, editing, effect
from dmsfw.errors import EnforceError, ObserveError
from dmsfw.model import Grant, Network, Settings, Snapshot
from dmsfw.report.status import NetworkStatus, Status, to_json
from tests.unit.edit_support import ALL, MAIN, TEXT, UPLINKS, WEB


class Screen(io.StringIO):
    """Standard output as a terminal."""

    def isatty(self) -> bool:
        return True


@dataclass
class Host:
    """A router of the tests: its configuration, its Docker, its daemon, and what its tables do."""

    folder: Path
    networks: tuple[Network, ...] = ALL
    error: str = ""
    judge: list[tuple[str, str]] = field(default_factory=lambda: [("open", "")])
    snapshots: str = ""

    @property
    def file(self) -> Path:
        return self.folder / "dmsfw"

    def run(self, *arguments: str) -> int:
        return cli.main(["--config", str(self.file), "--run-dir", str(self.folder), *arguments])

    def read(self, settings: Settings) -> Snapshot:
        if self.snapshots:
            raise ObserveError("docker", self.snapshots)
        return Snapshot(settings, self.networks, UPLINKS)

    def serves(self, networks: tuple[NetworkStatus, ...], reasons: tuple[str, ...] = ()) -> None:
        status = Status(version="1", pid=1, state="in sync", reasons=reasons, networks=networks)
        (self.folder / "status.json").write_text(to_json(status))


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    one = Host(tmp_path)
    one.file.write_text(TEXT, "utf-8")

    class Reader:
        def __init__(self, url: object) -> None:
            assert callable(url)
            assert url() == "unix:///var/run/docker.sock"

        def networks(self) -> tuple[Network, ...]:
            if one.error:
                raise ObserveError("docker", one.error)
            return one.networks

        def close(self) -> None: ...

    def judged(_: Grant, __: int | None, ___: object) -> tuple[str, str]:
        if one.judge[0][0] == "raise":
            raise EnforceError(one.judge[0][1])
        return one.judge[0]

    monkeypatch.setattr(editing, "DockerReader", Reader)
    monkeypatch.setattr(effect.World, "read_once", staticmethod(one.read))
    monkeypatch.setattr(effect, "judged", judged)
    monkeypatch.setattr(effect, "WAIT_S", 0.0)
    monkeypatch.setenv("PATH", "/nonexistent")
    return one


@pytest.fixture
def daemon(host: Host, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A daemon that serves whatever is written at once."""
    monkeypatch.setattr(effect.instance, "is_running", lambda _: True)
    served = effect._served

    def at_once(path: Path, name: str) -> tuple[effect.Served | None, tuple[str, ...]]:
        if not path.exists():
            snapshot = host.read(editing.load(host.file).settings)
            found = [one for one in effect.grants(snapshot) if effect.clean(one.network) == name]
            host.serves(tuple(NetworkStatus(name, one.bridge, grants=(one.id,)) for one in found))
        return served(path, name)

    monkeypatch.setattr(effect, "_served", at_once)
    return host


def answers(monkeypatch: pytest.MonkeyPatch, said: str) -> Screen:
    keyboard, screen = Screen(said), Screen()
    monkeypatch.setattr("sys.stdin", keyboard)
    monkeypatch.setattr("sys.stdout", screen)
    return screen


def test_what_was_written_is_open_by_the_word_of_the_tables(daemon: Host, capsys: pytest.CaptureFixture[str]) -> None:
    assert daemon.run("allow", "web_default", "465", "--yes") == 0
    said = capsys.readouterr().out
    assert f"written to {daemon.file}\n" in said
    assert said.endswith("open now: web_default may reach tcp 465 via pppoe-wan\n")
    (daemon.folder / "status.json").unlink()
    daemon.judge[0] = ("refused", "rule FORWARD #8 (!fw3 reject) refuses it")
    assert daemon.run("deny", "web_default", "465", "--yes") == 0
    said = capsys.readouterr().out
    assert "shut now: web_default to tcp 465 via pppoe-wan: rule FORWARD #8 (!fw3 reject) refuses it\n" in said
    assert said.endswith("as dmsfw has it, web_default may reach nothing; what is connected stays so\n")
    assert daemon.file.read_text("utf-8") == TEXT


@pytest.mark.parametrize("options", [("--yes",), ()])
def test_how_much_a_wide_range_opens_is_said_in_the_preview(
    daemon: Host, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    screen = answers(monkeypatch, "y\n")
    assert daemon.run("allow", "web_default", "1-65535", *options) == 0
    preview = screen.getvalue().partition("written to ")[0]
    assert (
        "\nnote: this opens 65,535 ports of tcp, which is every one, to web_default, wherever it connects to\n"
        in preview
    )


@pytest.mark.parametrize(
    ("judgement", "code", "word"),
    [
        (
            ("refused", "rule FORWARD #1 drops it"),
            1,
            "not open, although web_default may reach tcp 465 via pppoe-wan: rule",
        ),
        (("not known", "it hangs on a set"), 0, "it cannot be told whether web_default may reach tcp 465"),
        (
            ("raise", "no permission"),
            0,
            "it cannot be told whether web_default may reach tcp 465 via pppoe-wan: no permission",
        ),
    ],
)
def test_what_the_tables_do_otherwise_is_told_with_the_rule(
    daemon: Host, capsys: pytest.CaptureFixture[str], judgement: tuple[str, str], code: int, word: str
) -> None:
    daemon.judge[0] = judgement
    assert daemon.run("allow", "web_default", "465", "--yes") == code
    assert word in capsys.readouterr().out


def test_a_port_that_another_rule_lets_pass_is_said_to_be_open_still(
    daemon: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.run("allow", "web_default", "465", "--yes")
    (daemon.folder / "status.json").unlink()
    assert daemon.run("deny", "web_default", "--yes") == 0
    assert "still open: web_default to tcp 465 via pppoe-wan: a rule lets it pass" in capsys.readouterr().out


def test_only_the_port_that_went_is_asked_about(daemon: Host, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.run("allow", "web_default", "465,587", "--yes")
    (daemon.folder / "status.json").unlink()
    daemon.judge[0] = ("refused", "a rule")
    capsys.readouterr()
    assert daemon.run("deny", "web_default", "465", "--yes") == 0
    said = capsys.readouterr().out
    assert "shut now: web_default to tcp 465 via pppoe-wan: a rule\n" in said
    assert "587 via" not in said
    assert "as dmsfw has it, web_default may reach tcp/587; what is connected stays so" in said


def test_a_daemon_that_does_not_take_it_is_told_of(
    host: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(effect.instance, "is_running", lambda _: True)
    monkeypatch.setattr(effect.effect, "__defaults__", (0.0,))
    assert host.run("allow", "web_default", "465", "--yes") == 1
    assert "the daemon has not taken it within 10 s: " in capsys.readouterr().out
    host.serves((), ("docker: no answer",))
    assert host.run("deny", "web_default", "465", "--yes") == 0
    host.serves((NetworkStatus("web_default", "br-2", grants=("x",)),), ("docker: no answer",))
    assert host.run("allow", "web_default", "465", "--yes") == 1
    assert host.run("deny", "web_default", "465", "--yes") == 1
    assert "within 10 s: docker: no answer; see" in capsys.readouterr().out


def test_while_none_runs_it_is_written_all_the_same(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    assert host.run("allow", "web_default", "465", "--yes") == 0
    assert capsys.readouterr().out.endswith("takes effect when it starts, `/etc/init.d/dmsfw start`\n")
    assert host.run("deny", "web_default", "--yes") == 0
    assert capsys.readouterr().out.endswith("takes effect when it starts, `/etc/init.d/dmsfw start`\n")


def test_a_world_that_cannot_be_read_afterwards_is_told_of(daemon: Host, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.snapshots = "no answer"
    assert daemon.run("allow", "web_default", "465", "--yes") == 1
    assert "not open yet: docker: no answer" in capsys.readouterr().out


def test_while_dmsfw_is_off_it_is_noted_and_nothing_opens(daemon: Host, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.file.write_text(TEXT.replace("option enabled '1'", "option enabled '0'", 1))
    assert daemon.run("allow", "web_default", "465", "--yes") == 1
    said = capsys.readouterr().out
    assert "note: dmsfw is switched off" in said
    assert "not open yet: no uplink is up, or dmsfw is switched off" in said


@pytest.mark.parametrize(
    ("said", "written"), [("y\n", True), ("YES\n", True), ("n\n", False), ("\n", False), ("", False)]
)
def test_on_a_terminal_it_asks_and_takes_yes_for_yes_only(
    host: Host, monkeypatch: pytest.MonkeyPatch, said: str, *, written: bool
) -> None:
    screen = answers(monkeypatch, said)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert host.run("allow", "web_default", "465") == (0 if written else 1)
    assert (host.file.read_text("utf-8") != TEXT) is written
    assert ("nothing is written" in screen.getvalue()) is not written
    assert "\x1b[32m+config egress 'web_default'\x1b[0m" in screen.getvalue()


def test_without_a_terminal_the_diff_is_shown_and_yes_is_asked_for(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    assert host.run("allow", "web_default", "465") == 1
    said = capsys.readouterr()
    assert "+config egress 'web_default'\n" in said.out
    assert said.err == "dmsfw: nothing is written: there is no terminal to ask on, say --yes\n"
    assert host.file.read_text("utf-8") == TEXT


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("allow", "web_defalt", "465"), "Docker has no network web_defalt, did you mean 'web_default'?"),
        (("deny", "nobody", "465"), "Docker has no network nobody, "),
        (("allow", "evil\n\x1b[31m", "465"), "Docker has no network evil\\n\\x1b[31m"),
        (("deny", "plain"), "no policy lets plain reach anything"),
        (("deny", "plain", "1", "--proto", "udp"), "no policy lets plain reach udp 1"),
        (("allow", "\x1b[31m", "465", "--name-only"), "\\x1b[31m is no name of a network"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    host: Host, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], why: str
) -> None:
    assert host.run(*arguments, "--yes") == 1
    said = capsys.readouterr()
    assert (said.out, len(said.err.splitlines())) == ("", 1)
    assert said.err.startswith(f"dmsfw: {why}")
    assert host.file.read_text("utf-8") == TEXT


def test_a_docker_that_does_not_answer_can_be_done_without(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    host.error = "no answer"
    assert host.run("allow", "web_default", "465", "--yes") == 1
    assert "with --name-only Docker is not asked" in capsys.readouterr().err
    assert host.run("allow", "later", "465", "--yes", "--name-only") == 0
    assert "it opens when a network called later comes" in capsys.readouterr().out
    assert "\tlist network 'later'\n" in host.file.read_text("utf-8")
    assert host.run("deny", "later", "465", "--yes", "--name-only") == 0
    assert host.file.read_text("utf-8") == TEXT
    host.error, host.networks = "", ()
    assert host.run("allow", "later", "465", "--yes") == 1
    assert "Docker has no networks" in capsys.readouterr().err


def test_a_broken_or_missing_configuration_is_told_whole(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    host.file.write_text(MAIN + "config egress 'a'\n\tlist network 'x'\n\tlist dest_port '0'\n")
    assert host.run("allow", WEB.name, "465", "--yes") == 1
    assert "dest_port '0' is not allowed" in capsys.readouterr().err
    host.file.unlink()
    assert host.run("deny", WEB.name, "--yes") == 1
    assert "does not exist" in capsys.readouterr().err


@pytest.mark.parametrize("ports", ["0", "65536", "465,", "any", "x", "587-465", "\x1b[31m"])
def test_malformed_ports_are_wrong_usage(host: Host, capsys: pytest.CaptureFixture[str], ports: str) -> None:
    assert host.run("allow", "plain", ports, "--yes") == 64
    said = capsys.readouterr().err
    assert (len(said.splitlines()), "\x1b" in said) == (1, False)
    assert "is not allowed: " in said


def test_with_uci_it_is_said_what_uci_drops(
    host: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    uci = host.folder / "uci"
    uci.write_text("#!/bin/sh\necho 'uci: I/O error' >&2\nexit 1\n")
    uci.chmod(0o755)
    monkeypatch.setenv("PATH", str(host.folder))
    assert host.run("allow", "plain", "465", "--yes") == 1
    said = capsys.readouterr()
    assert "note: uci writes the file anew without its comments (" in said.out
    assert "uci: I/O error" in said.err
    assert host.run("allow", "plain", "465", "--yes", "--no-uci") == 0
    assert "by uci" not in capsys.readouterr().out
