"""`dmsfw explain`: what it asks for, what it prints, its exit codes."""

from __future__ import annotations

import json
import socket

import pytest

from dmsfw import cli, questions
from dmsfw.trace import ThisHost
from tests.unit.trace_support import filter_, host

PACKET = ("--in", "br-a", "--src", "10.1.0.2", "--dst", "192.0.2.25", "--dport", "465")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The rules of a host in which root asks; what is put in is the table filter's."""
    rules: list[str] = []

    def this_host() -> ThisHost:
        return host(filter_(*rules))

    monkeypatch.setattr(questions, "ThisHost", this_host)
    monkeypatch.setattr(questions.os, "geteuid", lambda: 0)
    monkeypatch.setattr(socket, "if_nameindex", lambda: [(1, "lo"), (2, "br-a"), (3, "wan0")])
    return rules


@pytest.mark.parametrize(
    ("rules", "code", "sentence"),
    [
        ([], 0, "It passes: the policy of FORWARD accepts it, and it leaves by wan0."),
        (["FORWARD -m comment --comment !fw3 -j REJECT"], 1, "It does not pass: rule FORWARD #1 (!fw3) refuses it."),
        (["FORWARD -m u32 --u32 0x0=0x1 -j DROP"], 2, "It is not known whether it passes: "),
    ],
)
def test_the_exit_code_is_the_answer(
    world: list[str], capsys: pytest.CaptureFixture[str], rules: list[str], code: int, sentence: str
) -> None:
    world += rules
    assert cli.main(["explain", *PACKET]) == code
    assert capsys.readouterr().out.splitlines()[-1].startswith(sentence)


@pytest.mark.usefixtures("world")
def test_programs_get_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", *PACKET, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "passes"


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize(
    ("more", "first"),
    [
        ((), "tcp 10.1.0.2 -> 192.0.2.25 port 465, in by br-a, NEW"),
        (("--proto", "UDP", "--sport", "53"), "udp 10.1.0.2 port 53 -> 192.0.2.25 port 465, in by br-a, NEW"),
        (
            ("--ctstate", "established", "--mark", "0x10", "--out", "wan0"),
            "tcp 10.1.0.2 -> 192.0.2.25 port 465, in by br-a, out by wan0, ESTABLISHED, mark 0x10",
        ),
    ],
)
def test_options_describe_the_packet(capsys: pytest.CaptureFixture[str], more: tuple[str, ...], first: str) -> None:
    cli.main(["explain", *PACKET, *more])
    assert capsys.readouterr().out.splitlines()[0] == first


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize(
    ("words", "first"),
    [
        ("--src 10.1.0.2 --dst 192.0.2.25 --proto icmp", "icmp echo-request 10.1.0.2 -> 192.0.2.25, in by br-a, NEW"),
        ("--src 10.1.0.2 --dst 192.0.2.25 --icmp-type 3/4", "icmp type 3/4 10.1.0.2 -> 192.0.2.25, in by br-a, NEW"),
        (
            "--src fd00:1::2 --dst 2001:db8::25 --proto icmp",
            "icmpv6 echo-request fd00:1::2 -> 2001:db8::25, in by br-a, NEW",
        ),
        ("--src 10.1.0.2 --dst 192.0.2.25 --proto 47", "gre 10.1.0.2 -> 192.0.2.25, in by br-a, NEW"),
    ],
)
def test_protocols_without_ports_need_none(capsys: pytest.CaptureFixture[str], words: str, first: str) -> None:
    assert cli.main(["explain", "--in", "br-a", *words.split()]) == 0
    assert capsys.readouterr().out.splitlines()[0] == first


@pytest.mark.usefixtures("world")
def test_a_packet_of_the_routers_own_comes_in_by_no_device(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", "--own", "--src", "192.0.2.1", "--dst", "192.0.2.25", "--dport", "465"]) == 0
    first, *steps = capsys.readouterr().out.splitlines()
    assert first == "tcp 192.0.2.1 -> 192.0.2.25 port 465, NEW"
    assert "OUTPUT" in steps
    assert "FORWARD" not in steps


FORMS = "CONTAINER HOST:PORT, by a packet, or by --all-networks: one of them"
BAD: list[tuple[str, str]] = [
    ("", "explain needs --in, --src, --dst: which packet is it? see dmsfw explain --help"),
    ("--in br-a --dst 192.0.2.25", "explain needs --src: which packet is it? see dmsfw explain --help"),
    ("--in br-a --src 10.1.0.2 --dst 192.0.2.25", "explain needs --dport with tcp"),
    ("--in br-a --src x --dst 192.0.2.25 --dport 5", "--src x: an IPv4 or IPv6 address"),
    (
        "--in br-a --src 10.1.0.2 --dst smtp.163.com --dport 5",
        "--dst smtp.163.com: an IPv4 or IPv6 address, not a name",
    ),
    ("--in br-a --src 10.1.0.2 --dst 192.0.2.25 --dport x", "--dport x: a number"),
    (
        "--in br-a --src 10.1.0.2 --dst 192.0.2.25 --dport 70000",
        "port '70000' is not allowed: 0 to 65535, and none with tcp",
    ),
    ("--in br-a --src 10.1.0.2 --dst 192.0.2.25 --dport 5 --mark=-1", "mark '-1' is not allowed: 0 to 0xffffffff"),
    (
        "--in br-a --src 10.1.0.2 --dst 192.0.2.25 --dport 5 --mark 0x1ffffffff",
        "mark '8589934591' is not allowed: 0 to 0xffffffff",
    ),
    (
        "--in br-a --src 10.1.0.2 --dst 192.0.2.25 --dport 5 --proto what",
        "--proto what: tcp, udp, icmp, icmpv6, sctp, or a number",
    ),
    ("--in br-a --src 10.1.0.2 --dst 192.0.2.25 --icmp-type x", "--icmp-type x: a type, as 8 or 3/4"),
    (
        "--in br-a --src 10.1.0.2 --dst 192.0.2.25 --dport 5 --icmp-type 8",
        "port '5' is not allowed: 0 to 65535, and none with icmp",
    ),
    (
        "--in br-a --src 10.1.0.2 --dst 192.0.2.25 --dport 5 --ctstate odd",
        "--ctstate odd: one of NEW, ESTABLISHED, RELATED, INVALID, UNTRACKED",
    ),
    (
        "--in br-a --src 10.1.0.2 --dst 2001:db8::25 --dport 5",
        "destination '2001:db8::25' is not allowed: an IPv4 address, as the source is",
    ),
    ("--in br/a --src 10.1.0.2 --dst 192.0.2.25 --dport 5", "device 'br/a' is not allowed: "),
    ("--own --in br-a --src 10.1.0.2 --dst 192.0.2.25 --dport 5", "explain: --own is a packet that comes in by no dev"),
    ("--own --dst 192.0.2.25 --dport 5", "explain needs --src: which packet is it? see dmsfw explain --help"),
    ("mail smtp.163.com:465 --own", f"explain is asked by {FORMS}"),
    ("mail", "explain CONTAINER needs a HOST:PORT too"),
    ("mail smtp.163.com:465 --in br-a", f"explain is asked by {FORMS}"),
    ("--all-networks mail", f"explain is asked by {FORMS}"),
]


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize(("words", "line"), BAD)
def test_wrong_usage_is_one_line_and_64(capsys: pytest.CaptureFixture[str], words: str, line: str) -> None:
    assert cli.main(["explain", *words.split()]) == 64
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert line in said[0]


@pytest.mark.usefixtures("world")
def test_a_device_that_is_not_there_leaves_it_unanswered(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", *PACKET, "--out", "ppp9"]) == 2
    assert capsys.readouterr().err == "dmsfw: there is no device ppp9 here: see ip link\n"


@pytest.mark.usefixtures("world")
def test_only_root_may_ask(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions.os, "geteuid", lambda: 1000)
    assert cli.main(["explain", *PACKET]) == 2
    assert capsys.readouterr().err == "dmsfw: only root may read the firewall: run dmsfw as root\n"


@pytest.mark.usefixtures("world")
def test_colour_is_for_terminals(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "colour_wanted", lambda: True)
    cli.main(["explain", *PACKET])
    assert "\x1b" not in capsys.readouterr().out
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    cli.main(["explain", *PACKET])
    assert capsys.readouterr().out.splitlines()[-1].startswith("\x1b[32mIt passes")


def test_help_has_the_field_case(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", "--help"]) == 0
    assert "explain --in br-4e4eb4db3fbd --src 172.18.0.2 --dst 220.197.33.205" in capsys.readouterr().out
