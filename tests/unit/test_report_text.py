"""Foreign names are made fit to be shown."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dmsfw.report.text import clean, display_width, is_clean, pad

ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=300)


@pytest.mark.parametrize(
    ("foreign", "shown"),
    [
        ("evil\n\x1b[31m", "evil\\n\\x1b[31m"),
        ("tab\there\r", "tab\\there\\r"),
        ("a\u202eb\u200bc", "a\\u202eb\\u200bc"),
        ("del\x7f csi\x9b", "del\\x7f csi\\x9b"),
        ("half\ud800", "half\\ud800"),
        ("blank\u3164\ufe0f", "blank\\u3164\\ufe0f"),
        ("line\u2028end\u00a0", "line\\u2028end\\xa0"),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("邮件服务", "邮件服务"),
        ("", '""'),
        (None, "None"),
        (465, "465"),
    ],
)
def test_what_cannot_be_seen_becomes_an_escape(foreign: object, shown: str) -> None:
    assert clean(foreign) == shown


@given(ANY_TEXT, st.integers(1, 150))
@example("\n" * 200, 7)
def test_no_control_character_passes_and_the_limit_holds(text: str, limit: int) -> None:
    shown = clean(text, limit)
    assert 0 < len(shown) <= max(limit, 2)
    assert not [
        one for one in shown if unicodedata.category(one)[0] == "C" or unicodedata.category(one) in {"Zl", "Zp"}
    ]
    assert len(shown.splitlines()) == 1
    shown.encode()


@given(ANY_TEXT, st.integers(2, 150))
def test_cleaning_twice_changes_nothing(text: str, limit: int) -> None:
    assert clean(clean(text, limit), limit) == clean(text, limit)


@given(st.text(st.characters(categories=["L", "N"], max_codepoint=0x7F), min_size=1, max_size=120))
def test_an_ordinary_name_stays_as_it_is(text: str) -> None:
    assert clean(text) == text


def test_a_long_name_is_cut_with_an_ellipsis_and_never_through_an_escape() -> None:
    assert clean("x" * 121) == "x" * 119 + "\u2026"
    assert clean("x" * 120) == "x" * 120
    assert clean("ab\x1b\x1bcd", 8) == "ab\\x1b\u2026"


def test_an_object_that_cannot_be_written_gives_its_types_name() -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError

    assert clean(Broken()) == "<Broken>"


def test_is_clean_knows_blank_letters() -> None:
    assert is_clean("dms-network")
    assert not is_clean("dms\u115fnetwork")


@pytest.mark.parametrize(("text", "columns"), [("wan", 3), ("邮件a", 5), ("e\u0301", 1), ("\uff21", 2), ("é", 1)])
def test_wide_characters_take_two_columns(text: str, columns: int) -> None:
    assert display_width(text) == columns
    assert display_width(pad(text, 8)) == 8
