"""The UCI parser, held against what libuci's own `uci export` printed (tests/cases/config/libuci.json)."""

from __future__ import annotations

import json
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmsfw.config.commands import MAX_RUNAWAYS
from dmsfw.config.uci import Section, intact, parse
from tests.unit.config_support import CASES, OPENWRT

RECORDED = json.loads((CASES / "libuci.json").read_text())

FRAGMENTS = st.sampled_from(
    [
        "config",
        "option",
        "list",
        "package",
        " ",
        "\t",
        "\n",
        "'",
        '"',
        "\\",
        "#",
        ";",
        "\0",
        "\r\n",
        "a",
        "wan",
        "\udcff",
    ]
)


def quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def exported(sections: tuple[Section, ...]) -> str:
    """Write sections as `uci export` does."""
    lines = ["package t", ""]
    for section in sections:
        lines.append(f"config {section.type}" + ("" if section.name.startswith("@") else f" '{section.name}'"))
        for option in section.options.values():
            keyword = "list" if option.is_list else "option"
            given_values = [] if not option.is_list and option.values == [""] else option.values
            lines += [f"\t{keyword} {option.name} {quoted(value)}" for value in given_values]
        lines.append("")
    return "\n".join((*lines, ""))


@pytest.mark.parametrize("case", RECORDED, ids=range(len(RECORDED)))
def test_a_file_reads_as_libuci_reads_it(case: dict[str, str | None]) -> None:
    file = parse(case["file"] or "")
    assert bool(file.faults) == (case["export"] is None), file.faults
    if case["export"] is not None:
        assert exported(file.sections) == case["export"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("\n\nconfig egress 'x'\n\toption label 'open\n", "line 4, egress 'x': a quote ' is not closed"),
        ('config egress x\noption a "open', "line 2, egress 'x': a quote \" is not closed"),
        ("option a b\n", "line 1: option 'a' before any section"),
        ("confg egress 'x'\n", "line 1: 'confg' is no command: config, option or list"),
        ("config\n", "line 1: config has no type behind it"),
        ("config egress\noption\n", "line 2, egress '@egress[0]': option has no name behind it"),
        (
            "config egress x\noption dest-port 1\n",
            "line 2, egress 'x': the name 'dest-port' is not allowed: letters, digits and _",
        ),
        ("config egress 'my-net'\n", "line 1: the name 'my-net' is not allowed: letters, digits and _"),
        ("config r\u00e9gle\n", "line 1: the type 'r\u00e9gle' is not allowed: printable ASCII without spaces"),
        ("config a n\nconfig b n\n", "line 2: b 'n' has the name of a 'n', line 1"),
        ("config a n\noption x y z\n", "line 2, a 'n': too many words from 'z' on: quote a value that has spaces"),
        ("config a n\noption x 'y\0'\n", "line 2, a 'n': a NUL byte: the file is damaged, or is no text"),
        ("# \0\nconfig a n\n", "line 1: a NUL byte: the file is damaged, or is no text"),
        ("\ufeffconfig a\n", "line 1: '\\ufeffconfig' is no command: config, option or list"),
        ("\x1b[31m\n", "line 1: '\\x1b[31m' is no command: config, option or list"),
    ],
)
def test_a_fault_names_its_line_its_section_and_what_is_wrong(text: str, fault: str) -> None:
    assert parse(text).faults == (fault,)


def test_every_fault_of_a_file_is_found() -> None:
    text = "oops\nconfig egress x\n\toption a 'b\n\toption c d e\n\tlist ''\n\toption good yes\n"
    file = parse(text)
    assert [fault.split(":")[0] for fault in file.faults] == [
        "line 1",
        "line 3, egress 'x'",
        "line 4, egress 'x'",
        "line 5, egress 'x'",
    ]
    assert file.sections[0].options["good"].values == ["yes"]


def test_anonymous_sections_are_counted_with_the_named_ones() -> None:
    file = parse("config egress\nconfig egress 'n'\nconfig other\nconfig egress\n")
    assert [section.name for section in file.sections] == ["@egress[0]", "n", "@other[0]", "@egress[2]"]


def test_what_is_said_twice_is_told() -> None:
    text = "config a n\noption x 1\noption x 2\nlist x 3\nlist l 1\nlist l 2\noption x ''\nconfig a n\n"
    assert parse(text).repeats == (
        "line 3, a 'n': option 'x' replaces what line 2 says",
        "line 4, a 'n': list 'x' adds to what line 3 says",
        "line 7, a 'n': option 'x' does not change what line 3 says",
        "line 8: a 'n' is there twice and is read as one section",
    )


@pytest.mark.parametrize(
    "line",
    [
        "option name 'Bob's PC'",
        "option name Bob's",
        'option name "x',
        "nonsense",
        "option a-b c",
        "option x 'y\0'",
        "option a b c",
    ],
)
def test_a_foreign_line_that_cannot_be_read_costs_its_section_only(line: str) -> None:
    text = (OPENWRT / "config.firewall").read_text()
    broken = text.replace("option name\t\tAllow-Ping\n", f"{line}\n", 1)
    assert broken != text
    sections, warnings = intact(broken)
    before, _ = intact(text)
    assert len(warnings) == 1
    assert f"line {text[: text.index('Allow-Ping')].count(chr(10)) + 1}, rule '@rule[1]'" in warnings[0]
    assert warnings[0].endswith("; its section is skipped")
    assert [(s.name, s.options) for s in sections if s.type == "zone"] == [
        (s.name, s.options) for s in before if s.type == "zone"
    ]
    assert "@rule[1]" not in {section.name for section in sections}


def test_options_behind_an_unreadable_section_line_belong_to_nobody() -> None:
    sections, warnings = intact(
        "config zone 'z'\nconfig zone 'my-wan'\noption name wan\nconfig zone\noption name lan\n"
    )
    assert [section.options.get("name") is not None for section in sections] == [False, True]
    assert len(warnings) == 1


@given(st.text(alphabet=st.characters(exclude_characters="\0")))
def test_a_shell_quoted_value_comes_back_as_it_was(value: str) -> None:
    file = parse(f"config egress x\n\tlist label {shlex.quote(value)}\n\tlist label {quoted(value)}\n")
    assert file.faults == ()
    assert file.sections[0].options["label"].values == [value, value]


@given(st.text() | st.lists(FRAGMENTS, max_size=60).map("".join))
def test_any_text_is_parsed_or_faulted_and_messages_are_lines(text: str) -> None:
    file = parse(text)
    intact(text)
    assert all(line.isprintable() for line in (*file.faults, *file.repeats))


def test_after_some_runaway_quotes_a_quote_has_to_close_on_its_line() -> None:
    """Otherwise each odd quote of a large file would read to its end: hours for a megabyte."""
    runaways = "option a 'b c' d 'e\n" * MAX_RUNAWAYS
    spanning = "option x 'y\nz'\n"
    assert "line 2" not in "".join(parse(f"config s\n{spanning}").faults)
    file = parse(f"config s\n{runaways}{spanning}option good 1\n")
    assert f"line {MAX_RUNAWAYS + 2}, s '@s[0]': a quote ' is not closed" in file.faults
    assert file.sections[0].options["good"].values == ["1"]


@pytest.mark.parametrize(
    "line", ["o a '\"\n", "option Bob's\n", 'o a "\\\n', "l a b\n", "config a\n", "'", "\\", "\n", "#"]
)
def test_a_large_file_of_anything_is_read_to_its_end(line: str) -> None:
    file = parse("config a\n" + line * ((1 << 17) // len(line)))
    assert file.sections[0].type == "a"
