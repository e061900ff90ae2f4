"""All steps in their order, on this machine's loopback: what a container would do is done in this process."""

from __future__ import annotations

import io
import json
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from dmsfw import diagnosis
from dmsfw.cli import main
from dmsfw.doctor import examine, following, inside, names, policies
from dmsfw.doctor.examine import Examination, Inquiry
from dmsfw.doctor.names import Asked
from dmsfw.doctor.policies import Configured
from dmsfw.doctor.screen import Screen
from dmsfw.doctor.target import parse_target
from dmsfw.errors import CannotTell, ObserveError, TableRefused
from dmsfw.model import Settings, Snapshot
from dmsfw.trace import Verdict as Fate
from dmsfw.trace.nft.model import Nftables
from tests.unit.doctor_support import BRIDGE, FIRST_ZONE, NETWORK, UPLINKS, FakeHost

ID = "ab" * 32
LOOPBACK = replace(NETWORK, subnets=(ip_network("127.0.0.0/8"),))
RAW_NETWORK = {
    "Id": NETWORK.id,
    "Name": "dms",
    "Driver": "bridge",
    "Options": {"com.docker.network.bridge.name": BRIDGE},
    "IPAM": {"Config": [{"Subnet": "172.18.0.0/16"}]},
}
OPENED = FakeHost(extra={FIRST_ZONE: f"-A FORWARD -i {BRIDGE} -j ACCEPT"})


class FakeDocker:
    """One container on one network, whose address is this machine's loopback."""

    mode = "dms"
    state = "running"
    gone = False

    def __init__(self, _: object = None) -> None: ...

    def get(self, path: str) -> object:
        if self.gone:
            raise ObserveError("docker", "Docker is not running")
        if path == "/networks":
            return [RAW_NETWORK]
        if "all=1" in path:
            return [{"Id": ID, "Names": ["/mail"], "State": self.state}]
        endpoint = {"NetworkID": NETWORK.id, "IPAddress": "127.0.0.1", "IPPrefixLen": 8}
        return {
            "Name": "/mail",
            "State": {"Pid": os.getpid()},
            "HostConfig": {"NetworkMode": self.mode},
            "NetworkSettings": {"Networks": {"dms": endpoint}},
        }

    def close(self) -> None: ...


def here_and_now(work: Callable[[], object], *, pid: int | None, limit_s: float, tick: inside.Tick) -> object:
    assert limit_s > 0
    assert pid in {None, os.getpid()}
    tick(1.0)
    return json.loads(json.dumps(work()))


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A listener; nothing is forked, and the world is that of the support."""
    monkeypatch.setattr(inside, "do", here_and_now)
    monkeypatch.setattr(policies, "snapshot", lambda settings: Snapshot(settings, (LOOPBACK,), UPLINKS))
    monkeypatch.setattr(examine, "obstacles", lambda: ("nftables is there",))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def examined(target: str, host: FakeHost = OPENED, **given: Any) -> tuple[Examination, io.StringIO]:
    stream = io.StringIO()
    inquiry = Inquiry("mail", parse_target(target), 1.0, **given)
    docker: Any = FakeDocker()
    return Examination(inquiry, docker, Configured(Settings(), "no configuration"), host, Screen(stream)), stream


def test_where_nftables_is_followed_it_is_no_obstacle_besides(port: int) -> None:
    examination, _ = examined(f"127.0.0.1:{port}", replace(OPENED, nft=Nftables()))
    assert examination.run().obstacles == ()


def test_all_steps_are_gone_and_told_in_their_order(port: int) -> None:
    examination, stream = examined(f"127.0.0.1:{port}")
    found = examination.run()
    (trial,) = found.trials
    assert trial.host is not None
    assert trial.inside is not None
    assert (trial.host.outcome, trial.inside.outcome) == ("connects", "connects")
    assert trial.leaving is not None
    assert (str(trial.leaving.source), trial.leaving.network) == ("127.0.0.1", examination.networks.known[0])
    assert trial.ways is not None
    assert trial.policies is not None
    assert found.obstacles == ("nftables is there",)
    titles = [line for line in stream.getvalue().splitlines() if line[:1].isdigit()]
    assert titles == [
        "1. The host",
        "2. The container, from inside its network",
        "3. What that says",
        "4. The container's network",
        "5. The packet's way through the tables",
    ]


def test_a_name_is_resolved_by_both_and_each_address_is_tried_once(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "_by_libc", lambda _: ["127.0.0.1", "127.0.0.9", "127.0.0.8"])
    found = {"addresses": ["127.0.0.9", "127.0.0.2", "127.0.0.3"], "source": "192.0.2.53", "asked": [], "failure": ""}
    monkeypatch.setattr(names, "_as_contained", lambda *_: found)
    examination, _ = examined(f"mail.example.com:{port}")
    trials = examination.run().trials
    assert [str(trial.address) for trial in trials] == ["127.0.0.9", "127.0.0.2"]
    assert all(trial.host and trial.inside for trial in trials)


def test_a_name_server_of_the_host_that_hangs_does_not_end_the_investigation(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hangs(_: str) -> None:
        raise CannotTell("there was no answer within 6 s")

    monkeypatch.setattr(names, "_by_libc", hangs)
    answer = {"addresses": ["127.0.0.1"], "source": "127.0.0.11", "asked": [], "failure": ""}
    monkeypatch.setattr(names, "_as_contained", lambda *_: answer)
    examination, stream = examined(f"x.example.com:{port}")
    found = examination.run()
    assert (found.here and found.here.failure, [str(one.address) for one in found.trials]) == (
        "there was no answer within 6 s",
        ["127.0.0.1"],
    )
    assert "there was no answer within 6 s" in stream.getvalue()


@pytest.mark.parametrize(
    ("state", "more"), [("running", ""), ("paused", "; container mail is paused: docker unpause it first")]
)
@pytest.mark.parametrize("ask", [Examination.run, Examination.followed])
def test_of_a_container_that_does_not_answer_it_is_said_that_it_is_paused(
    state: str, more: str, ask: Callable[[Examination], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def hangs(*_: object, **__: object) -> None:
        raise CannotTell("there was no answer")

    monkeypatch.setattr(inside, "do", hangs)
    monkeypatch.setattr(FakeDocker, "state", state)
    examination, _ = examined("127.0.0.1:465")
    with pytest.raises(CannotTell) as raised:
        ask(examination)
    assert str(raised.value) == f"there was no answer{more}"


def test_questions_that_are_not_answered_are_followed(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "_by_libc", lambda _: ["127.0.0.1"])
    asked = [{"server": "127.0.0.11", "result": "timeout", "addresses": []}]
    found = {"addresses": [], "source": "", "asked": asked, "failure": "timeout"}
    monkeypatch.setattr(names, "_as_contained", lambda *_: found)
    monkeypatch.setattr(names, "upstreams", lambda *_: ("192.0.2.53", "127.0.0.1"))
    monkeypatch.setattr(examine.leaving, "_source", lambda _: "127.0.0.1")
    examination, stream = examined(f"mail.example.com:{port}", FakeHost())
    result = examination.run()
    assert result.there is not None
    assert result.there.asked == (
        Asked("127.0.0.11", (("192.0.2.53", "outside"), ("127.0.0.1", "dockerd")), "timeout"),
    )
    assert [(one.server, one.ways.there.verdict) for one in result.questions] == [("192.0.2.53", Fate.REJECTED)]
    assert "the container's questions to 192.0.2.53 (udp 53)" in stream.getvalue()


def test_only_wanted_families_are_tried(port: int) -> None:
    examination, stream = examined(f"127.0.0.1:{port}", families=(6,))
    assert examination.run().trials == ()
    assert "there was nothing to try" in stream.getvalue()


@pytest.mark.parametrize("mode", ["host", "none"])
def test_without_a_bridge_the_host_is_all_there_is_to_ask(
    port: int, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setattr(FakeDocker, "mode", mode)
    examination, _ = examined(f"127.0.0.1:{port}")
    (trial,) = examination.run().trials
    assert (trial.host is not None, trial.inside) == (True, None)
    with pytest.raises(CannotTell, match=f"network_mode: {mode}"):
        examined(f"127.0.0.1:{port}")[0].followed()


def test_a_way_that_cannot_be_followed_is_told(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise TableRefused("no table")

    monkeypatch.setattr(following, "ways", refuse)
    examination, stream = examined(f"127.0.0.1:{port}")
    (trial,) = examination.run().trials
    assert (trial.ways, trial.fault) == (None, "no table")
    assert "its way cannot be followed: no table" in stream.getvalue()


@pytest.mark.parametrize(("sees", "local", "followed"), [(False, (), 0), (True, (), 1), (False, ("172.18.0.3",), 1)])
def test_no_rule_is_blamed_for_what_stays_within_the_bridge(
    port: int, monkeypatch: pytest.MonkeyPatch, *, sees: bool, local: tuple[str, ...], followed: int
) -> None:
    monkeypatch.setattr(FakeHost, "sees_bridge_ports", lambda *_: sees)
    monkeypatch.setattr(examine.leaving, "_source", lambda _: "127.0.0.1")
    examination, _ = examined(f"172.18.0.3:{port}", FakeHost(local=local))
    (trial,) = examination.followed()
    assert [trial.ways is None, "no rule of this router sees it" in trial.fault] == [not followed] * 2


def test_without_uplinks_the_policies_are_not_known(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policies, "snapshot", lambda _: None)
    (trial,) = examined(f"127.0.0.1:{port}")[0].run().trials
    assert (trial.policies, trial.ways is not None) == (None, True)


@pytest.fixture
def typed(port: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
    """`dmsfw explain`, with Docker and the tables in values."""
    monkeypatch.setattr(diagnosis, "DockerReader", FakeDocker)
    monkeypatch.setattr(diagnosis, "ThisHost", lambda: OPENED)
    monkeypatch.setattr(diagnosis.os, "geteuid", lambda: 0)
    monkeypatch.setattr(diagnosis.World, "read_once", lambda settings: Snapshot(settings, (NETWORK,), UPLINKS))
    config = tmp_path / "dmsfw"
    config.write_text("config egress 'smtps'\n\tlist network 'dms'\n\tlist dest_port '465'\n")
    assert port
    return lambda *argv: main(["--config", str(config), "explain", *argv])


def test_explain_prints_the_way_there_and_back(typed: Callable[..., int], capsys: Any) -> None:
    assert typed("mail", "127.0.0.1:465") == 0
    said = capsys.readouterr().out
    assert said.count("It passes: ") == 2
    assert typed("--json", "mail", "127.0.0.1:465") == 0
    assert json.loads(capsys.readouterr().out)[0]["ways"]["there"]["verdict"] == "passes"


def test_explain_without_any_way_to_follow_is_not_known(
    typed: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(examine.leaving, "_source", lambda _: "")
    assert typed("mail", "[2001:db8::1]:465") == 2
    assert capsys.readouterr().err == "dmsfw: the container has no route there\n"
    assert typed("mail", "127.0.0.1:465", "-6") == 2


def test_explain_takes_a_name_from_the_host_where_the_container_has_none(
    typed: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    nothing = {"addresses": [], "source": "", "asked": [], "failure": "timeout"}
    monkeypatch.setattr(names, "_as_contained", lambda *_: nothing)
    monkeypatch.setattr(names, "_by_libc", lambda _: ["127.0.0.1"])
    assert typed("mail", "x.example.com:465") == 0
    monkeypatch.setattr(names, "_by_libc", lambda _: "unknown")
    assert typed("mail", "x.example.com:465") == 2
    assert "x.example.com does not resolve, neither in the container nor on the host" in capsys.readouterr().err


def test_explain_shows_all_networks(typed: Callable[..., int], capsys: Any) -> None:
    assert typed("--all-networks") == 0
    assert capsys.readouterr().out == "dms  tcp 465  pppoe-wan  open\n"
    assert typed("--all-networks", "--json") == 0
    assert json.loads(capsys.readouterr().out)["networks"][0]["state"] == "open"


def test_a_broken_configuration_is_no_reason_to_say_that_all_is_well(
    typed: Callable[..., int], capsys: Any, tmp_path: Path
) -> None:
    (tmp_path / "dmsfw").write_text("config egress 'smtps\n")
    assert typed("--all-networks") == 2
    said = capsys.readouterr()
    assert (said.out, "the configuration cannot be used" in said.err) == ("", True)


def test_a_docker_that_is_away_is_one_line_and_2(
    typed: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(FakeDocker, "gone", True)
    assert typed("mail", "127.0.0.1:465") == 2
    assert capsys.readouterr().err == "dmsfw: docker: Docker is not running\n"
