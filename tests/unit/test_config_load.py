"""The whole file: what it becomes, and that every problem in it is told at once."""

from __future__ import annotations

import os
import shutil
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dmsfw.config import files, load
from dmsfw.config.options import OPTIONS
from dmsfw.errors import SettingsError
from dmsfw.model import Policy, PortRange, Settings
from tests.unit.config_support import CASES, MAIN, SMTPS, egress, loaded, problems


def policy(folder: Path, *lines: str) -> Policy:
    (only,) = loaded(folder, egress(*lines)).settings.policies
    return only


def test_a_whole_file_becomes_settings(tmp_path: Path) -> None:
    shutil.copy(CASES / "whole", tmp_path / "dmsfw")
    read = load(tmp_path / "dmsfw")
    assert read.warnings == ()
    assert read.settings == Settings(
        enabled=False,
        log_level="debug",
        log_format="json",
        docker_url="unix:///run/docker.sock",
        uplinks=("wan", "wan6"),
        uplink_devices=("eth0", "pppoe-wan"),
        resync_s=300,
        policies=(
            Policy(
                name="@egress[0]",
                labels=(("com.docker.compose.project", "mail"), ("mail", None), ("note", "Bob's PC")),
                networks=("dms-*", "b"),
                protos=("tcp", "udp"),
                ports=(PortRange(465, 465), PortRange(1000, 2000)),
                destinations=(ip_network("220.197.33.0/24"), ip_network("2001:db8::/32")),
                uplinks=("vpn",),
                dns=True,
                masq=False,
                enabled=False,
            ),
            Policy(name="ping", networks=("a",), protos=("icmp",), family="ipv4"),
            Policy(name="all", networks=("a",), protos=("all",), family="ipv6"),
        ),
    )


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    """The golden list: each line names section, option, value and what is allowed."""
    expected = (CASES / "bad.expected").read_text().splitlines()
    assert list(problems(tmp_path, (CASES / "bad").read_bytes())) == expected


def test_a_wrong_port_reads_as_promised(tmp_path: Path) -> None:
    assert problems(tmp_path, MAIN + SMTPS.replace("465", "99999")) == (
        "egress 'smtps': dest_port '99999' is not allowed: a port 1-65535, a list 465,587, a range 1000-2000, or 'any'",
    )


def test_an_empty_file_is_the_defaults_and_a_warning(tmp_path: Path) -> None:
    read = loaded(tmp_path, "")
    assert read.settings == Settings()
    assert read.warnings == ("dmsfw 'main' is missing: defaults are used",)


def test_a_list_may_be_one_option_with_spaces(tmp_path: Path) -> None:
    one = policy(tmp_path, "option dest_port '465  587'", "option proto 'tcp\tudp'", "option uplink 'wan wan6'")
    many = policy(
        tmp_path, "list dest_port 465", "list dest_port 587", "list proto tcp", "list proto udp", "list uplink wan",
        "list uplink wan6",
    )  # fmt: skip
    assert one == many
    assert one.ports == (PortRange(465, 465), PortRange(587, 587))


def test_a_list_line_keeps_its_spaces(tmp_path: Path) -> None:
    assert policy(tmp_path, "list label 'note=two words'", "option dest_port any").labels == (("note", "two words"),)


def test_repeated_values_count_once(tmp_path: Path) -> None:
    read = policy(tmp_path, "list network a", "list dest_ip 1.2.3.4", "list dest_ip 1.2.3.4/32", "option dest_port 1")
    assert read.networks == ("a",)
    assert read.destinations == (ip_network("1.2.3.4/32"),)


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ((), "dest_port is missing: a port 1-65535, a list 465,587, a range 1000-2000, or 'any'"),
        (("option dest_port ''",), "dest_port is missing: a port 1-65535, a list 465,587, a range 1000-2000, or 'any'"),
        (("option proto all",), "dest_port is missing: say 'any'"),
        (("option proto all", "option dest_port 465"), "dest_port '465' is not allowed: with proto 'all' only 'any'"),
        (("option proto icmp", "option dest_port any"),
         "dest_port 'any' is not allowed: proto 'icmp' has no ports: take the line out"),
        (("option proto 'tcp icmp'", "option dest_port 465"),
         "proto 'tcp icmp' is not allowed: icmp stands alone: give it a section of its own"),
        (("option proto 'all udp'", "option dest_port any"),
         "proto 'all udp' is not allowed: all stands alone: give it a section of its own"),
        (("option proto icpm",), "proto 'icpm' is not allowed: tcp, udp, sctp, icmp or all"),
        (("option dest_port '465 any'",), "dest_port '465 any' is not allowed: 'any' alone, or ports"),
        (("option dest_port 1", "option family ipv4", "option dest_ip 2001:db8::1"),
         "dest_ip '2001:db8::1/128' is not allowed: family is ipv4"),
        (("option dest_port 1", "option family ipv6", "option dest_ip 10.0.0.0/8"),
         "dest_ip '10.0.0.0/8' is not allowed: family is ipv6"),
        (("option dest_port 1", "option dest_ip ''"),
         ("dest_ip '' is not allowed: an IPv4 or IPv6 address, alone or with a prefix length: 220.197.33.0/24;"
         " without one, take the line out")),
        (("option dest_port 1", "option uplink ' '"),
         ("uplink ' ' is not allowed: an interface's name as in /etc/config/network: 1 to 64 of A-Z a-z 0-9 _ . -;"
         " without one, take the line out")),
        (("option dest_port 1", "list masq 1", "list masq 0"), "masq has 2 values: one is allowed"),
        (("option dest_port 1", "option enabled 0", "option masq maybe"),
         "masq 'maybe' is not allowed: 1 or 0 (or yes no, on off, true false, enabled disabled)"),
    ],
)  # fmt: skip
def test_a_section_that_does_not_make_sense_is_refused(tmp_path: Path, lines: tuple[str, ...], problem: str) -> None:
    assert problems(tmp_path, egress(*lines)) == (f"egress 'x': {problem}",)


def test_a_section_that_selects_by_nothing_is_refused(tmp_path: Path) -> None:
    text = MAIN + "config egress\n\toption label ''\n\toption dest_port 1\n"
    assert problems(tmp_path, text) == (
        "egress '@egress[0]': has neither label nor network: name one, or it selects nothing",
    )


def test_an_empty_label_list_selects_nothing(tmp_path: Path) -> None:
    assert policy(tmp_path, "option label ''", "option dest_port 1").labels == ()


def test_a_list_line_without_a_value_is_refused_where_it_would_widen(tmp_path: Path) -> None:
    text = egress("option dest_port 1", "list dest_ip ''", "list uplink ''", "list label ''")
    assert [line.split(" is ")[0] for line in sorted(problems(tmp_path, text))] == [
        "egress 'x': dest_ip ''",
        "egress 'x': label ''",
        "egress 'x': uplink ''",
    ]


def test_a_name_too_long_for_a_comment_is_refused(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, MAIN + SMTPS.replace("smtps", "s" * 65))
    assert problem.endswith("the name has 65 characters: 64 are allowed")


def test_only_the_section_called_main_is_read(tmp_path: Path) -> None:
    assert problems(tmp_path, "config dmsfw\n\toption enabled 0\n") == (
        "dmsfw '@dmsfw[0]': only 'main' is read: write config dmsfw 'main'",
    )


def test_unknown_names_are_warnings_with_the_nearest_known_one(tmp_path: Path) -> None:
    text = egress("option dest_port 465", "option dest_prot udp", "option dest_pi 1.2.3.4", "option zzz 1")
    read = loaded(tmp_path, text + "config egres 'y'\nconfig zone\n")
    known = "known: dest_ip, dest_port, dns, enabled, family, label, masq, network, proto, uplink"
    assert read.warnings == (
        "egres 'y': section type 'egres' is unknown and ignored, did you mean 'egress'?",
        "zone '@zone[0]': section type 'zone' is unknown and ignored, known: dmsfw, egress",
        "egress 'x': option 'dest_prot' is unknown and ignored, did you mean 'dest_port'?",
        (
            "egress 'x': option 'dest_pi' is unknown and ignored, did you mean 'dest_ip'?"
            " Until it is mended this section allows more than you meant"
        ),
        f"egress 'x': option 'zzz' is unknown and ignored, {known}",
    )
    assert read.settings.policies[0].destinations == ()


def test_a_refused_file_tells_its_warnings_too(tmp_path: Path) -> None:
    """The misspelt option is the reason why the other one is missing."""
    assert problems(tmp_path, egress("option dest_prot 465")) == (
        "egress 'x': dest_port is missing: a port 1-65535, a list 465,587, a range 1000-2000, or 'any'",
        "warning: egress 'x': option 'dest_prot' is unknown and ignored, did you mean 'dest_port'?",
    )


def test_sections_of_one_name_are_one_and_the_last_option_wins(tmp_path: Path) -> None:
    read = loaded(tmp_path, MAIN + "option enabled 0\n" + MAIN + "option enabled 1\noption log_level debug\n")
    assert (read.settings.enabled, read.settings.log_level) == (True, "debug")
    assert read.warnings == (
        "line 3: dmsfw 'main' is there twice and is read as one section",
        "line 4, dmsfw 'main': option 'enabled' replaces what line 2 says",
    )


def test_an_address_with_host_bits_is_told_what_it_means(tmp_path: Path) -> None:
    read = loaded(tmp_path, egress("option dest_port 1", "option dest_ip 220.197.33.205/24"))
    assert read.warnings == ("egress 'x': dest_ip '220.197.33.205/24' means 220.197.33.0/24, all of it",)


def test_a_forgotten_quote_is_a_problem_of_its_line_alone(tmp_path: Path) -> None:
    text = MAIN + "config egress 'x'\n\tlist network 'a\n\toption dest_port '465'\n" + SMTPS
    assert problems(tmp_path, text) == ("line 3, egress 'x': a quote ' is not closed",)


def test_a_value_with_a_newline_asks_for_its_quote(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, egress("option dest_port 1", "list label 'a\nb'"))
    assert problem.startswith("egress 'x': label 'a\\nb' is not allowed: key=value")
    assert problem.endswith("(is a quote missing?)")


def test_a_newline_does_not_separate_the_values_of_an_option(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, MAIN + "config egress 'x'\noption network 'a\nb c'\noption dest_port 1\n")
    assert problem.startswith("egress 'x': network 'a\\nb' is not allowed: a name or a shell glob")


def test_bytes_that_are_no_utf8_are_refused_in_values_and_allowed_in_comments(tmp_path: Path) -> None:
    good = b"# \xd3\xca\xbc\xfe\n" + (MAIN + SMTPS).encode()
    assert loaded(tmp_path, good).warnings == ()
    (problem,) = problems(tmp_path, good.replace(b"'a'", b"'\xd3\xca'"))
    assert problem.startswith(
        "egress 'smtps': network '\\udcd3\\udcca' is not allowed: a name or a shell glob; printable UTF-8"
    )


def test_a_file_with_windows_line_ends_reads_the_same(tmp_path: Path) -> None:
    text = MAIN + SMTPS
    assert loaded(tmp_path, text.replace("\n", "\r\n")) == loaded(tmp_path, text)


def test_messages_are_printable_and_short(tmp_path: Path) -> None:
    evil = "\x1b[31mevil\u202e" + "x" * 5000
    text = egress(f"list network '{evil}'", f"option dest_port '{evil}'", f"option log '{evil}'", f"option {evil} 1")
    for problem in problems(tmp_path, text + f"config '{evil}'\n"):
        assert problem.isprintable()
        assert len(problem) < 300


def test_very_many_problems_are_cut(tmp_path: Path) -> None:
    told = problems(tmp_path, MAIN + "config egress\n" * 5000)
    assert len(told) == 101
    assert told[-1] == "and more of them: mend these first"


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        SettingsError, match=r"nowhere' does not exist: install the package's file there, or name another by"
    ):
        load(tmp_path / "nowhere")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is a folder: name a file"):
        load(tmp_path)


def test_a_pipe_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "dmsfw")
    with pytest.raises(SettingsError, match="is no plain file"):
        load(tmp_path / "dmsfw")


def test_an_oversized_file_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "dmsfw").open("wb") as file:
        file.truncate(1 << 33)
    with pytest.raises(SettingsError, match="is larger than 1048576 bytes"):
        load(tmp_path / "dmsfw")


def test_a_file_that_may_not_be_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(files.os, "open", refuse)  # the tests run as root, who may read everything
    with pytest.raises(SettingsError, match=r"cannot be read \(Permission denied\): run this as root"):
        load(tmp_path / "dmsfw")


@pytest.mark.parametrize("name", ["a\0b", "x" * 300, "dmsfw/below"])
def test_a_path_that_cannot_be_opened_is_an_error_in_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "dmsfw").write_text("")
    with pytest.raises(SettingsError) as refused:
        load(tmp_path / name)
    assert len(refused.value.problems) == 1
    assert str(refused.value).isprintable()


LINES = st.one_of(
    st.sampled_from(["config dmsfw 'main'", "config egress", "config egress 'x'", "config zone", "# 'x"]),
    st.builds(
        "\t{} {} {}".format,
        st.sampled_from(["option", "list"]),
        st.sampled_from(sorted({option.name for option in OPTIONS} | {"name", "device", "other"})),
        st.one_of(
            st.sampled_from(
                ["'1'", "'any'", "465", "'tcp udp'", "icmp", "all", "wan", "''", "'1.2.3.4/8'", "::1", "'*'"]
            ),
            st.text(max_size=8).map(lambda text: "'" + text + "'"),
        ),
    ),
    st.text(max_size=12),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(own=st.lists(LINES, max_size=14).map("\n".join), foreign=st.lists(LINES, max_size=8).map("\n".join))
def test_any_file_loads_or_raises_a_settings_error(tmp_path: Path, own: str, foreign: str) -> None:
    own, foreign = (text.encode("utf-8", "replace").decode() for text in (own, foreign))
    try:
        told = loaded(tmp_path, own, firewall=foreign, network=foreign).warnings
    except SettingsError as refused:
        told = refused.problems
        assert told
    assert all(line.isprintable() for line in told)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=400))
def test_any_bytes_load_or_raise_a_settings_error(tmp_path: Path, content: bytes) -> None:
    for name in ("dmsfw", "firewall", "network"):
        (tmp_path / name).write_bytes(content)
    try:
        told = load(tmp_path / "dmsfw").warnings
    except SettingsError as refused:
        told = refused.problems
    assert all(line.isprintable() for line in told)
