"""What `deny` takes away: what was said, from this network, and from no other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dmsfw.edit import allow, deny
from dmsfw.edit.wish import Wish
from dmsfw.errors import Refused
from dmsfw.model import Network
from tests.unit.edit_support import ALL, FIELD, GLOB, MAIN, PLAIN, TEXT, WEB, compose, network, passing, wish

PLAIN_SECTION = f"{MAIN}\nconfig egress 'mine'\n\tlist network 'plain'\n"


def refusal(text: str, one: Wish) -> str:
    with pytest.raises(Refused) as refused:
        deny(text, one)
    return str(refused.value)


@pytest.mark.parametrize("mine", ALL, ids=lambda one: one.name)
def test_what_allow_wrote_deny_takes_back_to_the_byte(mine: Network) -> None:
    after = allow(TEXT, wish(mine, "993,995")).after
    assert deny(after, wish(mine, "993,995")).after == TEXT
    assert deny(after.replace("config egress 'everything'", "# x\n\nconfig egress 'everything'"), wish(mine, "993-995"))


@pytest.mark.parametrize(
    ("line", "port", "becomes"),
    [
        ("list dest_port '465' # a\n\tlist dest_port '587' # b", "465", "list dest_port '587' # b"),
        ("list dest_port '465,587' # a", "465", "list dest_port '587' # a"),
        ("list dest_port '1000-1010'", "1003,1005-1007", "list dest_port '1000-1002,1004,1008-1010'"),
        ("option dest_port '465 587' # a", "465", "option dest_port '587' # a"),
        ("option dest_port '20-30 587'", "22", "option dest_port '20-21,23-30 587'"),
        ("list dest_port 465\n\tlist dest_port 465\n\tlist dest_port 22", "465", "list dest_port 22"),
        ("list dest_port 464-465\n\tlist dest_port 464-465", "465", "list dest_port '464'"),
        ("list dest_port 22\n\toption dns '1'", "53", "list dest_port 22"),
        ("list dest_port 22\n\tlist dest_port 53\n\toption dns '1'", "53", "list dest_port 22"),
    ],
)
def test_a_port_is_taken_out_and_the_rest_stays_as_it_is_written(line: str, port: str, becomes: str) -> None:
    text = f"{PLAIN_SECTION}\t{line}\n\n# the end\n"
    change = deny(text, wish(PLAIN, port, None))
    assert change.after == text.replace(line, becomes)
    first = int(port.partition(",")[0])
    assert {one[3] for one in passing(text) - passing(change.after)} >= {first}


def test_the_last_port_takes_the_section_and_its_own_comments_with_it() -> None:
    section = "config egress 'mine'\n\t# inside\n\tlist network 'plain'\n\tlist dest_port '465'\n\t# list dest_ip 'x'\n"
    other = "# of other\nconfig egress 'other'\n\tlist network 'a'\n\tlist dest_port '1'\n"
    text = f"# above\n{MAIN}\n# of mine?\n\n{section}\n{other}"
    assert deny(text, wish(PLAIN, "465")).after == text.replace(f"\n{section}", "")
    assert deny(text, wish(PLAIN)).after == text.replace(f"\n{section}", "")


def test_without_a_port_everything_goes_that_this_network_alone_was_given() -> None:
    text = PLAIN_SECTION + "\tlist proto 'icmp'\n\nconfig egress\n\tlist network 'plain'\n\tlist dest_port 'any'\n"
    text += "\nconfig egress\n\tlist network 'a'\n\tlist dest_port '1'\n"
    assert (
        deny(text, wish(PLAIN, "", None)).after == MAIN + "\nconfig egress\n\tlist network 'a'\n\tlist dest_port '1'\n"
    )


def test_a_section_that_was_opened_twice_goes_in_both_places() -> None:
    other = "\nconfig egress 'b'\n\tlist network 'x'\n\tlist dest_port '1'\n"
    text = f"{PLAIN_SECTION}{other}\nconfig egress 'mine'\n\tlist dest_port '2'\n"
    assert deny(text, wish(PLAIN)).after == MAIN + other


def test_more_labels_than_composes_own_still_mean_this_network_alone() -> None:
    text = (
        MAIN
        + "config egress 'm'\n"
        + "".join(
            f"\tlist label '{label}'\n"
            for label in ("com.docker.compose.project=web", "com.docker.compose.network=default", "a")
        )
    )
    mine = replace(WEB, labels=(*WEB.labels, ("a", "b")))
    assert deny(text + "\tlist dest_port '1'\n", wish(mine, "1", networks=(mine,))).after == MAIN


def test_the_shipped_policy_is_not_taken_from_one_network_and_its_switch_is_told() -> None:
    assert refusal(TEXT, wish(FIELD, "465")) == (
        "egress 'smtps' may select other networks as well: switch it off with "
        "`uci set 'dmsfw.smtps.enabled'='0'; uci commit dmsfw`"
    )


def test_a_name_among_others_is_told_how_to_be_taken_out() -> None:
    text = f"{MAIN}config egress 'a'\n\tlist network 'plain'\n\tlist network 'web_*'\n\tlist dest_port '465'\n"
    assert refusal(text, wish(PLAIN, "465")) == (
        "egress 'a' selects web_default as well: take this one out of it with "
        "`uci del_list 'dmsfw.a.network'='plain'; uci commit dmsfw`"
    )
    assert "narrow its labels or names" in refusal(text, wish(WEB, "465"))


def test_every_section_that_stands_in_the_way_has_its_line() -> None:
    text = TEXT.replace("option enabled '0'", "option enabled '1'") + PLAIN_SECTION + "\tlist dest_port '465'\n"
    lines = refusal(text.replace("\nconfig egress 'smtps'", "\nconfig egress"), wish(FIELD, "465")).splitlines()
    assert [line.partition(" ")[2].partition(" ")[0] for line in lines] == ["'@egress[0]'", "'everything'"]
    assert "selects it's [1]*, plain and web_default as well" in lines[1]


@pytest.mark.parametrize(
    ("lines", "port", "proto", "why"),
    [
        ("list dest_port '465'", "587", "tcp", "no policy lets plain reach tcp 587"),
        ("list dest_port '465'", "465", "udp", "no policy lets plain reach udp 465"),
        (
            "list dest_port '465'\n\toption enabled '0'",
            "465",
            None,
            "reach port 465; egress 'mine' would, and is switched off",
        ),
        ("list dest_port '465'\n\toption enabled '0'", "", None, "reach anything; egress 'mine' would"),
        ("list dest_port 'any'", "465", "tcp", "egress 'mine' allows every port"),
        ("list proto all\n\tlist dest_port any", "465", None, "egress 'mine' allows every port"),
        ("list proto all\n\tlist dest_port any", "465", "tcp", "is for all together"),
        (
            "list proto 'tcp udp'\n\tlist dest_port '465'".replace("list proto", "option proto"),
            "465",
            "udp",
            "tcp and udp together",
        ),
        ("list dest_port '53'\n\toption dns 1", "53", "tcp", "tcp and DNS together"),
        ("list dest_port '465'\n\toption dns 1", "465", None, "has no other port, and allows DNS too"),
        ("list dest_port '465'\n\toption dns 1", "", "tcp", "tcp and DNS together"),
    ],
)
def test_what_would_close_more_or_nothing_is_refused(lines: str, port: str, proto: str | None, why: str) -> None:
    assert why in refusal(f"{PLAIN_SECTION}\t{lines}\n", wish(PLAIN, port, proto))  # type: ignore[arg-type]


def test_sections_without_a_name_keep_their_meaning_when_one_before_them_goes() -> None:
    text = MAIN + "".join(
        f"config egress\n\tlist network '{one}'\n\tlist dest_port '1'\n" for one in ("plain", "a", "plain", "b")
    )
    change = deny(text, wish(PLAIN))
    assert [policy.name for policy in change.settings.policies] == ["@egress[0]", "@egress[1]"]
    assert [policy.networks for policy in change.settings.policies] == [("a",), ("b",)]
    assert change.calls("dmsfw") == (("delete", "dmsfw.@egress[2]"), ("delete", "dmsfw.@egress[0]"))


def test_a_network_of_the_same_labels_is_not_robbed() -> None:
    twin = replace(compose("web", "default", 5), name="twin")
    text = allow(MAIN, wish(WEB, "465", networks=(WEB,))).after
    assert "egress 'web_default' selects twin as well" in refusal(text, wish(WEB, "465", networks=(WEB, twin)))


def test_a_name_with_glob_characters_is_meant_as_it_is_written() -> None:
    text = f"{MAIN}config egress 'a'\n\tlist network \"it's [1]*\"\n\tlist dest_port '465'\n"
    one = network("it's 1", number=6)
    assert "may select other networks" in refusal(text, wish(one, "465", networks=(GLOB, one)))
    assert "no policy lets" in refusal(text, wish(GLOB, "465"))


def test_a_section_whose_lines_undo_each_other_is_left_alone() -> None:
    ports = "\tlist dest_port '22'\n\toption dest_port '465'\n\tlist dest_port '587'\n"
    assert "this cannot change safely: edit it by hand" in refusal(PLAIN_SECTION + ports, wish(PLAIN, "465"))


def test_dns_goes_by_uci_as_well() -> None:
    text = f"{PLAIN_SECTION}\tlist dest_port '465'\n\toption dns '1'\n"
    assert deny(text, wish(PLAIN, "53", None)).calls("dmsfw") == (("delete", "dmsfw.mine.dns"),)


def test_a_whole_project_is_more_than_one_of_its_networks() -> None:
    text = f"{MAIN}config egress 'p'\n\tlist label 'com.docker.compose.project=web'\n\tlist dest_port '465'\n"
    assert "egress 'p' may select other networks as well" in refusal(text, wish(WEB, "465"))
