"""The commands that ask about containers, as a user types them; how the answers look on a terminal and in a pipe."""

from __future__ import annotations

import argparse
import io
import json
import os
import pty
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dmsfw import cli, diagnosis
from dmsfw.doctor import tell
from dmsfw.doctor.containers import Networks
from dmsfw.doctor.everyone import Row
from dmsfw.doctor.examine import Examination
from dmsfw.doctor.findings import Findings, Question
from dmsfw.doctor.kernel import Bridge, Switches
from dmsfw.doctor.names import Asked, Lookup
from dmsfw.doctor.outcome import Verdict
from dmsfw.doctor.policies import Policies
from dmsfw.doctor.screen import Screen
from dmsfw.errors import CannotTell
from tests.initd.router import INITD
from tests.unit.doctor_support import NETWORK, OPEN, OTHER, SERVER, WAN, FakeHost, findings, followed, trial

LISTED = [
    {"Id": "ab" * 32, "Names": ["/mail-app-1"], "Labels": {"com.docker.compose.service": "app"}, "State": "running"},
    {"Id": "cd" * 32, "Names": ["/evil\n\x1b[31m"], "Labels": {}, "State": "running"},
    {"Id": "ef" * 32, "Names": ["/old"], "Labels": {}, "State": "exited"},
]
NETWORKS = [{"Id": "ab" * 32, "Name": "mail_default", "Driver": "bridge", "IPAM": {"Config": []}}]


class FakeDocker:
    def __init__(self, url: Any) -> None:
        assert url() == "unix:///var/run/docker.sock"

    def get(self, path: str) -> object:
        return LISTED if path.startswith("/containers/json") else NETWORKS

    def close(self) -> None:
        pass


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Run a command with Docker and the investigation in values."""
    monkeypatch.setattr(diagnosis, "DockerReader", FakeDocker)
    monkeypatch.setattr(diagnosis.os, "geteuid", lambda: 0)
    monkeypatch.setattr(diagnosis, "SERVICE_SCRIPT", tmp_path / "init")

    def run(*argv: str, found: Findings | Exception | None = None) -> int:
        def investigate(self: Examination) -> Findings:
            self.screen.say("looking")
            if isinstance(found, Exception):
                raise found
            assert found is not None
            return found

        monkeypatch.setattr(Examination, "run", investigate)
        return cli.main(["--config", str(tmp_path / "dmsfw"), "--run-dir", str(tmp_path / "run"), *argv])

    return run


@pytest.mark.parametrize(
    ("argv", "part"),
    [
        (("doctor",), "the following arguments are required: CONTAINER, HOST:PORT"),
        (("doctor", "app"), "the following arguments are required: HOST:PORT"),
        (("doctor", "app", "smtp.example.com"), "HOST:PORT is meant"),
        (("doctor", "app", "x:0"), "port 0 is not one of 1 to 65535"),
        (("doctor", "app", "x:1", "--timeout", "0"), "'0' is no number of seconds from 0.2 to 60"),
        (("doctor", "app", "x:1", "--timeout", "nan"), "'nan' is no number of seconds"),
        (("doctor", "app", "x:1", "-4", "-6"), "not allowed with argument"),
        (("list", "images"), "invalid choice"),
        (("explain", "app"), "explain CONTAINER needs a HOST:PORT too"),
        (("explain", "--all-networks", "app", "x:1"), "one of them"),
        (("explain", "app", "x:1", "--src", "192.0.2.1"), "one of them"),
        (("explain", "app", "x:1", "--ctstate", "ESTABLISHED"), "one of them"),
        (("explain", "app", "x:1", "--mark", "0"), "one of them"),
        (("explain", "--all-networks", "--dport", "465"), "one of them"),
    ],
)
def test_wrong_usage_is_one_line_and_64(asked: Any, capsys: Any, argv: tuple[str, ...], part: str) -> None:
    assert asked(*argv) == 64
    said = capsys.readouterr()
    assert (said.out, len(said.err.splitlines())) == ("", 1)
    assert part in said.err


def test_the_help_has_the_field_case_as_its_example(capsys: Any) -> None:
    assert cli.main(["doctor", "--help"]) == 0
    assert "dmsfw doctor dms-service-app-1 smtp.example.com:465" in capsys.readouterr().out


def test_the_verdict_gives_the_exit_code_and_the_lines(asked: Any, capsys: Any, tmp_path: Path) -> None:
    assert asked("doctor", "mail", "x:465", found=findings(trial())) == 1
    said = capsys.readouterr().out
    assert "firewall rule FORWARD #6 (!fw3 reject) refuses it" in said
    assert said.endswith("dmsfw apply\n")
    (tmp_path / "init").touch()
    asked("doctor", "mail", "x:465", found=findings(trial()))
    assert capsys.readouterr().out.endswith(f"{tmp_path}/init enable\n{tmp_path}/init start\n")
    assert asked("doctor", "mail", "x:465", found=findings(trial("connects"))) == 0


def test_json_is_all_that_is_printed(asked: Any, capsys: Any) -> None:
    assert asked("doctor", "--json", "mail", "x:465", found=findings(trial())) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["exit_code"], document["addresses"][0]["address"]) == (1, str(SERVER))


def test_what_cannot_be_told_is_2(asked: Any, capsys: Any) -> None:
    assert asked("doctor", "mail", "x:465", found=CannotTell("no container is called mail")) == 2
    assert capsys.readouterr().err == "dmsfw: no container is called mail\n"


@pytest.mark.parametrize("argv", [("doctor", "a", "x:1"), ("explain", "a", "x:1"), ("explain", "--all-networks")])
def test_nobody_but_root_is_answered(
    asked: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any, argv: tuple[str, ...]
) -> None:
    monkeypatch.setattr(diagnosis.os, "geteuid", lambda: 65534)
    assert asked(*argv) == 2
    line = "dmsfw: only root may look into a container's network and read the firewall: run dmsfw as root\n"
    assert capsys.readouterr().err == line


def test_names_to_choose_from_are_one_a_line_and_visible(asked: Any, capsys: Any) -> None:
    assert asked("list", "containers") == 0
    assert capsys.readouterr().out == "app\nmail-app-1\n"
    assert asked("list", "networks") == 0
    assert capsys.readouterr().out == "mail_default\n"


# How it looks


@contextmanager
def on_a_terminal(monkeypatch: pytest.MonkeyPatch, **environment: str) -> Iterator[tuple[Screen, Callable[[str], str]]]:
    """A screen on a terminal, and what reads from that until a text has come."""
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    outer, inner = pty.openpty()

    def read(until: str) -> str:
        seen = ""
        while not seen.endswith(until):
            seen += os.read(outer, 9999).decode()
        return seen

    with os.fdopen(inner, "w") as stream:
        yield Screen(stream), read
    os.close(outer)


def test_on_a_terminal_there_is_colour_and_a_line_that_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    with on_a_terminal(monkeypatch, TERM="xterm") as (screen, read):
        tick = screen.waits("waiting for it")
        tick(0.2)
        tick(3.0)
        screen.say("there", "32")
        assert read("\r\n") == "\r\x1b[K   waiting for it ... 3 s\r\x1b[K\x1b[32m   there\x1b[0m\r\n"
        tick(4.0)
        screen.close()
        assert read("4 s\r\x1b[K") == "\r\x1b[K   waiting for it ... 4 s\r\x1b[K"


@pytest.mark.parametrize("columns", [80, 20])
def test_the_line_that_counts_stays_one_line(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    with on_a_terminal(monkeypatch, TERM="xterm", COLUMNS=str(columns)) as (screen, read):
        screen.waits("the container connects to smtp.example.com:465 (at most 5 s for each step)")(12.0)
        line = read(" ... 12 s").removeprefix("\r\x1b[K")
        assert len(line) == columns - 1
        assert line.startswith("   the ")


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1", "TERM": "xterm"}, {"TERM": "dumb"}])
def test_a_terminal_without_colour_is_respected(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    with on_a_terminal(monkeypatch, **environment) as (screen, read):
        screen.title("title")
        screen.paste(["one"])
        assert read("one\r\n") == "\r\ntitle\r\none\r\n"


def test_in_a_pipe_nothing_counts_and_nothing_is_hidden() -> None:
    stream = io.StringIO()
    screen = Screen(stream)
    screen.waits("it")(9.0)
    screen.say("evil\n\x1b[31m name")
    screen.paste(["\tlist network 'x'", "a\x1bb"])
    assert stream.getvalue() == "   evil\\n\\x1b[31m name\n\tlist network 'x'\na\\x1bb\n"


def told(step: Any, *arguments: Any) -> str:
    stream = io.StringIO()
    step(Screen(stream), *arguments)
    return " ".join(stream.getvalue().split())


def test_each_step_says_what_was_found() -> None:
    lookup = Lookup(("198.18.0.7",), "127.0.0.11", (Asked("127.0.0.11", (("127.0.0.1", "dockerd"),), "answer"),))
    found = findings(trial(), there=lookup, remark="no configuration")
    assert told(tell.question, found).endswith("Does container mail reach tcp smtp.example.com:465? no configuration")
    said = told(tell.there, found)
    assert "smtp.example.com is 198.18.0.7 to the container (from 127.0.0.11)" in said
    assert "these are other addresses than the host has" in said
    assert "198.18.0.7 is a fake-ip" in said
    direct = Lookup((), "", (Asked("192.0.2.53", (("192.0.2.53", "outside"),), "timeout"),), "timeout")
    said = told(tell.there, findings(trial(), there=direct))
    assert "it asks 192.0.2.53 from inside the container: udp and tcp 53 pass FORWARD and need a rule (timeout)" in said
    assert told(tell.meanings, findings()).endswith("there was nothing to try")
    assert told(tell.meanings, findings(trial("connects"))).endswith("both get there: nothing is in the way")


FORWARDED = "the bridge is up, and the kernel forwards IPv4 that comes in by it"


def test_the_networks_are_told_with_the_one_that_it_leaves_by() -> None:
    known = Networks((NETWORK, OTHER), {NETWORK.id: {"com.docker.network.bridge.enable_ip_masquerade": "false"}})
    said = told(tell.networks, findings(trial()), known)
    what = (
        "network dms: driver bridge, bridge br-4e4eb4db3fbd, 172.18.0.0/16, gateway 172.18.0.1, masquerade option off"
    )
    assert what in said
    assert FORWARDED in said
    assert "masquerade option on" in told(tell.networks, findings(trial()), Networks((NETWORK,)))


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ({"bridge": Bridge("br-x", exists=True)}, "the bridge br-x is down"),
        ({"bridge": Bridge("br-x")}, "the bridge br-x does not exist"),
        ({"switches": Switches(4, forwards=False)}, "the kernel forwards no IPv4 that comes in by the bridge"),
        ({"switches": Switches(4)}, "it leaves from 172.18.0.2 by dms"),
        ({"bridge": None}, "it leaves from 172.18.0.2 by dms"),
    ],
)
def test_a_bridge_that_passes_nothing_on_is_not_said_to(fault: dict[str, Any], says: str) -> None:
    said = told(tell.networks, findings(trial(**fault)), Networks((NETWORK,)))
    assert said.endswith(says)
    assert "to 220.197.33.205 it leaves from 172.18.0.2 by dms" in said


def test_the_way_is_told_without_the_rules_that_change_nothing() -> None:
    said = told(tell.ways, findings(trial()))
    assert "=> rejected by FORWARD #6 (!fw3 reject)" in said
    assert "no policy of dmsfw selects the network" in said
    assert "prerouting_rule" not in said
    assert "PREROUTING policy" not in said
    foreign = trial(kernel=FakeHost(device="wg0", extra=OPEN), policies=Policies(("p",), uplinks=(WAN,)))
    said = told(tell.ways, findings(foreign, obstacles=("nftables is there",)))
    assert "the route leads by wg0, which is no uplink of dmsfw (pppoe-wan): a VPN or a proxy" in said
    assert "policy p selects the network, and allows no tcp 465 this way" in said
    assert said.endswith("nftables is there")
    allowed = trial(kernel=FakeHost(extra=OPEN), policies=Policies(("p",), ("p",), uplinks=(WAN,), installed=True))
    assert "policy p allows tcp 465; its rules are in the kernel" in told(tell.ways, findings(allowed))
    asking = Question("192.0.2.53", followed(FakeHost(), findings().target))
    assert "questions to 192.0.2.53 (udp 53)" in told(tell.questions, findings(trial(), questions=(asking,)))


def test_a_table_is_aligned_also_for_wide_names() -> None:
    rows = (Row("邮件", "tcp 465", WAN, "open"), Row("b", "", "", "-", "no policy selects it"))
    stream = io.StringIO()
    tell.table(Screen(stream), rows)
    assert stream.getvalue() == (
        "邮件  tcp 465  pppoe-wan  open\n"
        "b     -        -          -     no policy selects it\n"
    )  # fmt: skip


def test_lines_to_paste_are_told_as_such() -> None:
    said = told(tell.verdict, Verdict(1, "it does not", ("one", "two"), ("mind",)))
    assert said == "6. Verdict it does not mind Paste this into a root shell of the router, then ask again: one two"


# Completion


def completed(tmp_path: Path, *words: str) -> list[str]:
    """What bash offers for the last word."""
    stand_in = tmp_path / "dmsfw"
    stand_in.write_text(
        "#!/bin/sh\ncase $* in\n"
        "'list containers') printf 'app\\nmail app\\n' ;;\n'list networks') echo mail_default ;;\n"
        "'doctor --help') echo '  --timeout S  x'; echo '  -4, --json' ;;\nesac\n"
    )
    stand_in.chmod(0o755)
    quoted = " ".join(f"'{word}'" for word in words)
    script = (
        f'source "{INITD}/files/dmsfw.completion"; COMP_WORDS=(dmsfw {quoted}); COMP_CWORD={len(words)}; '
        f'_dmsfw dmsfw "{words[-1]}" ""; printf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split("\n")[:-1]


def test_bash_completes_commands_containers_networks_and_options(tmp_path: Path) -> None:
    assert completed(tmp_path, "do") == ["doctor"]
    assert completed(tmp_path, "doctor", "") == ["app", "mail\\ app"]
    assert completed(tmp_path, "--config", "/x", "doctor", "--timeout", "3", "m") == ["mail\\ app"]
    assert completed(tmp_path, "allow", "") == ["mail_default"]
    assert completed(tmp_path, "deny", "--name", "x", "m") == ["mail_default"]
    assert completed(tmp_path, "doctor", "--") == ["--json", "--timeout"]
    assert completed(tmp_path, "doctor", "app", "x") == [""]
    assert completed(tmp_path, "list", "n") == ["networks"]


def test_bash_knows_every_command() -> None:
    actions = [action for action in cli._parser()._actions if isinstance(action, argparse._SubParsersAction)]
    (commands,) = [set(action.choices) for action in actions]
    text = (INITD / "files" / "dmsfw.completion").read_text()
    (known,) = [line for line in text.splitlines() if "run apply plan" in line]
    assert set(known.partition('"')[2].partition('"')[0].split()) == commands
