"""What `allow` writes: one network, the ports that were said, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dmsfw.config import settings_of
from dmsfw.edit import allow, deny
from dmsfw.edit.wish import Wish, ports_of_the_command, the_network
from dmsfw.errors import Refused, SettingsError
from dmsfw.model import Network, PortRange, Proto
from tests.unit.edit_support import ALL, FIELD, GLOB, MAIN, PLAIN, TEXT, WEB, network, passing, wish

BY_LABELS = "\tlist label 'com.docker.compose.project=web'\n\tlist label 'com.docker.compose.network=default'\n"
WEB_443 = f"{MAIN}\nconfig egress 'mine'\n{BY_LABELS}\tlist dest_port '443'\n"


def refusal(text: str, one: Wish) -> str:
    with pytest.raises(Refused) as refused:
        allow(text, one)
    return str(refused.value)


def test_a_network_of_composes_gets_a_section_that_selects_by_both_labels() -> None:
    change = allow(TEXT, wish(WEB, "465,587"))
    assert change.after == TEXT + (
        "\nconfig egress 'web_default'\n"
        "\tlist label 'com.docker.compose.project=web'\n"
        "\tlist label 'com.docker.compose.network=default'\n"
        "\tlist proto 'tcp'\n"
        "\tlist dest_port '465,587'\n"
    )
    opened = passing(change.after) - passing(TEXT)
    assert opened == {("br-2", "pppoe-wan", "tcp", port, "None") for port in (465, 587)}


def test_another_network_gets_one_by_its_name_whose_glob_characters_mean_themselves() -> None:
    change = allow(TEXT, wish(GLOB, "443", "udp"))
    assert "\tlist network 'it'\\''s [[]1][*]'\n\tlist proto 'udp'\n" in change.after
    others = (*ALL, network("it's 1x", number=5), network("it's [1]xyz", number=6))
    assert passing(change.after, others) - passing(TEXT, others) == {("br-4", "pppoe-wan", "udp", 443, "None")}


def test_what_is_allowed_already_is_refused_and_says_by_whom() -> None:
    assert refusal(TEXT, wish(FIELD, "465")) == ("dms-service_dms-network may reach tcp 465 already, by egress 'smtps'")
    once = allow(TEXT, wish(WEB, "465-470")).after
    assert "already, by egress 'web_default'" in refusal(once, wish(WEB, "466,468"))


def test_two_sections_that_together_allow_it_are_both_named() -> None:
    text = allow(allow(TEXT, wish(WEB, "465", name="one")).after, wish(WEB, "587", name="two")).after
    assert "by egress 'one' and egress 'two'" in refusal(text, wish(WEB, "465,587"))


@pytest.mark.parametrize(
    ("ports", "proto", "note"),
    [
        (
            "1-65535",
            "tcp",
            "this opens 65,535 ports of tcp, which is every one, to web_default, wherever it connects to",
        ),
        ("1-465,467-65535", "udp", "this opens 65,534 ports of udp, to web_default, wherever it connects to"),
        ("1000-2024", "tcp", "this opens 1,025 ports of tcp, to web_default, wherever it connects to"),
        ("1000-2023", "tcp", None),
    ],
)
def test_of_many_ports_it_is_said_how_many_they_are(ports: str, proto: Proto, note: str | None) -> None:
    assert allow(TEXT, wish(WEB, ports, proto)).notes == ((note,) if note else ())


def test_only_what_is_opened_anew_is_counted() -> None:
    most = allow(TEXT, wish(WEB, "1000-65535")).after
    assert allow(most, wish(WEB, "1-65535")).notes == ("tcp 1000-65535 is allowed already",)


def test_only_what_is_missing_is_written() -> None:
    change = allow(TEXT, wish(FIELD, "465,587"))
    assert "\tlist dest_port '587'\n" in change.after
    assert change.notes == ("tcp 465 is allowed already",)


def test_a_limited_policy_allows_nothing_plainly() -> None:
    for limit in ("list dest_ip '192.0.2.1'", "list uplink 'vpn'", "option family 'ipv6'", "option enabled '0'"):
        change = allow(f"{WEB_443}\t{limit}\n", wish(WEB, "443"))
        assert "config egress 'web_default'" in change.after


@pytest.mark.parametrize(
    ("line", "becomes"),
    [
        ("list dest_port '443' # https", "list dest_port '443' # https\n\tlist dest_port '465'"),
        ("option dest_port 443", "option dest_port '443,465'"),
        ("option dest_port '443 80-90' # old", "option dest_port '443 80-90,465' # old"),
        ("list dest_port '443'\n\tlist proto tcp", "list dest_port '443'\n\tlist dest_port '465'\n\tlist proto tcp"),
    ],
)
def test_a_section_for_this_network_alone_is_added_to(line: str, becomes: str) -> None:
    text = WEB_443.replace("list dest_port '443'", line) + "\n# the end\n"
    change = allow(text, wish(WEB, "465"))
    assert change.after == text.replace(line, becomes)
    assert passing(change.after) - passing(text) == {("br-2", "pppoe-wan", "tcp", 465, "None")}


@pytest.mark.parametrize(
    "line",
    [
        "list network 'other'",
        "list label 'reach=mail'",
        "list dest_ip '192.0.2.1'",
        "list uplink 'vpn'",
        "list proto 'udp'",
        "list proto 'tcp'\n\tlist proto 'udp'",
        "option family 'ipv4'",
        "option masq '0'",
        "option enabled '0'",
        "option dest_ips '192.0.2.1'",
    ],
)
def test_any_limit_or_wider_meaning_gets_a_section_beside_it(line: str) -> None:
    text = f"{WEB_443}\t{line}\n"
    change = allow(text, wish(WEB, "465"))
    assert change.after.startswith(text)
    assert "config egress 'web_default'" in change.after
    assert passing(change.after) - passing(text) == {("br-2", "pppoe-wan", "tcp", 465, "None")}
    assert "section 'mine' is there already and" in refusal(text, wish(WEB, "465", name="mine"))


def test_a_name_that_was_said_is_taken_for_the_section() -> None:
    assert "config egress 'mail'\n" in allow(TEXT, wish(WEB, "465", name="mail")).after
    extended = allow(WEB_443, wish(WEB, "465", name="mine")).after
    assert extended == WEB_443 + "\tlist dest_port '465'\n"
    assert "config egress 'more'" in allow(WEB_443, wish(WEB, "465", name="more")).after
    assert "section 'main' is there already and is no policy" in refusal(TEXT, wish(WEB, "465", name="main"))
    assert "is no name of a section" in refusal(TEXT, wish(WEB, "465", name="a-b"))


@pytest.mark.parametrize(
    ("name", "section"),
    [
        ("a.b/c", "a_b_c"),
        ("main", "main_2"),
        ("smtps", "smtps_2"),
        ("网络", "network"),
        ("-x-", "x"),
        ("y" * 90, "y" * 40),
    ],
)
def test_a_sections_name_is_made_of_the_networks(name: str, section: str) -> None:
    mine = network(name, number=5)
    assert f"\nconfig egress '{section}'\n" in allow(TEXT, wish(mine, "465", networks=(mine,))).after


@pytest.mark.parametrize(
    ("mine", "why"),
    [
        (replace(PLAIN, internal=True), "it is internal"),
        (replace(PLAIN, driver="macvlan", device=""), "its driver is macvlan"),
        (replace(PLAIN, problem="its id is odd"), "its id is odd"),
        (replace(PLAIN, name="evil\n"), "cannot be written"),
        (replace(PLAIN, name="\x1b[31m"), "cannot be written"),
        (replace(PLAIN, name="x" * 256), "cannot be written"),
        (replace(PLAIN, name="[" * 120), "cannot be written"),
        (replace(PLAIN, name="a\u115fb"), "cannot be written"),
    ],
)
def test_a_network_that_cannot_be_opened_or_written_is_refused(mine: Network, why: str) -> None:
    assert why in refusal(TEXT, wish(mine, "465", networks=(mine,)))


def test_labels_that_another_network_bears_too_are_no_selection_but_the_name_is() -> None:
    twin = replace(WEB, id="9" * 64, name="twin", device="br-9")
    change = allow(TEXT, wish(WEB, "465", networks=(WEB, twin)))
    assert "\tlist network 'web_default'\n" in change.after
    same = replace(twin, name=WEB.name)
    assert "two networks" in refusal(TEXT, wish(WEB, "465", networks=(WEB, same)))


def test_labels_with_odd_text_are_left_for_the_name() -> None:
    odd = network("odd", {"com.docker.compose.project": "a\nb", "com.docker.compose.network": "x"}, 5)
    assert "\tlist network 'odd'\n" in allow(TEXT, wish(odd, "465", networks=(odd,))).after


def test_a_section_by_name_that_a_second_network_shares_is_not_added_to() -> None:
    text = f"{MAIN}config egress 'a'\n\tlist network 'web_default'\n\tlist dest_port '443'\n"
    change = allow(text, wish(WEB, "465"))
    assert "config egress 'web_default'" in change.after


def test_a_broken_configuration_is_told_whole_and_not_touched() -> None:
    with pytest.raises(SettingsError, match="70000"):
        allow(TEXT.replace("'465'", "'70000'"), wish(WEB, "465"))


def test_while_dmsfw_is_switched_off_that_is_noted() -> None:
    off = TEXT.replace("option enabled '1'", "option enabled '0'", 1)
    assert any("dmsfw is switched off" in note for note in allow(off, wish(WEB, "465")).notes)


def test_a_section_that_says_the_same_and_is_off_is_left_off_and_noted() -> None:
    change = allow(f"{WEB_443}\toption enabled '0'\n", wish(WEB, "443"))
    assert change.notes == ("egress 'mine' would allow it too; it is switched off, and left so",)


def test_without_docker_the_name_is_taken_as_it_stands() -> None:
    change = allow(TEXT, Wish(Network("", "later*"), (PortRange(465, 465),), "tcp"))
    assert "\tlist network 'later[*]'\n" in change.after


def test_a_file_without_a_last_newline_or_with_a_blank_last_line_gets_one_blank_line() -> None:
    for text in (MAIN.rstrip(), MAIN, MAIN + "\n"):
        assert allow(text, wish(PLAIN, "465")).after.startswith(f"{MAIN}\nconfig egress 'plain'\n")
    crlf = allow(MAIN.replace("\n", "\r\n"), wish(PLAIN, "465")).after
    assert crlf.count("\n") == crlf.count("\r\n")


def test_what_shares_its_line_is_left_to_the_hand_that_wrote_it() -> None:
    text = f"{MAIN}config egress 'a'; list network 'plain'; list dest_port '443'\n"
    assert "line 2 of the configuration holds more than one command" in refusal(text, wish(PLAIN, "465"))
    with pytest.raises(Refused, match="more than one command"):
        deny(text, wish(PLAIN))


@pytest.mark.parametrize("end", ["\\", "\\\n", " # a remark", "\n# a remark", "\n\t", ";"])
def test_whatever_a_file_ends_with_does_not_swallow_what_comes_behind(end: str) -> None:
    text = f"{MAIN}config egress 'a'\n\tlist network b\n\tlist dest_port 1{end}"
    opened = passing(allow(text, wish(PLAIN, "465")).after) - passing(text)
    assert opened == {("br-3", "pppoe-wan", "tcp", 465, "None")}


def test_a_network_is_found_by_its_name_alone() -> None:
    assert the_network("plain", ALL) is PLAIN
    with pytest.raises(Refused, match=r"Docker has no network dms-service_dms-networ, did you mean 'dms-service_dms-n"):
        the_network("dms-service_dms-networ", ALL)
    with pytest.raises(Refused, match="2 networks of Docker are called plain"):
        the_network("plain", (*ALL, PLAIN))


@pytest.mark.parametrize("text", ["", "0", "65536", "465,", "a", "587-465", "any", " 465", "0465", "-1", "٤٦٥"])
def test_malformed_ports_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="port"):
        ports_of_the_command(text)


def test_the_settings_that_a_change_promises_are_those_of_its_text() -> None:
    change = allow(TEXT, wish(WEB, "465,587"))
    assert change.settings == settings_of(change.after)
    assert change.settings.policies[:-1] == settings_of(TEXT).policies


def test_a_diff_shows_foreign_text_harmlessly() -> None:
    text = TEXT + "# \x1b[31m\u202e\n"
    lines = allow(text, wish(WEB, "465")).diff("/etc/config/dmsfw")
    assert lines[:2] == ["--- /etc/config/dmsfw", "+++ /etc/config/dmsfw"]
    assert "+\tlist dest_port '465'" in lines
    assert all(line.replace("\t", "").isprintable() for line in lines)


def test_a_section_is_not_given_what_another_one_gives() -> None:
    text = f"{WEB_443}\nconfig egress 'all'\n\tlist network '*'\n\tlist dest_port '465'\n"
    change = allow(text, wish(WEB, "465,587"))
    assert change.after == text.replace("'443'\n", "'443'\n\tlist dest_port '587'\n")
