"""Commands to paste do what they say, in a shell, whatever a network is called."""

import fnmatch
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dmsfw.model import Network, Policy, Settings, Uplink, Uplinks
from dmsfw.report.hints import commands_to_name_the_uplink, commands_to_select

SMTPS, NAS = Policy("smtps", networks=("dms-network",)), Policy("nas", networks=("nas",))


def bridge(name: str) -> Network:
    return Network("1", name, device="br-1")


def test_an_idle_policy_is_extended_before_another() -> None:
    both = Settings(policies=(SMTPS, NAS))
    assert commands_to_select(both, bridge("backend"), ["nas"]) == (
        "uci add_list dmsfw.nas.network='backend'; uci commit dmsfw",
    )
    assert commands_to_select(both, bridge("backend")) == (
        "uci add_list dmsfw.smtps.network='backend'; uci commit dmsfw",
    )


def test_an_anonymous_section_is_quoted_against_the_shells_globs() -> None:
    anonymous = Settings(policies=(Policy("@egress[0]", networks=("x",)),))
    assert commands_to_select(anonymous, bridge("backend"), ["@egress[0]"]) == (
        "uci add_list 'dmsfw.@egress[0].network'='backend'; uci commit dmsfw",
    )


@pytest.mark.parametrize(
    ("policies", "section"),
    [((), "smtps"), ((Policy("smtps", enabled=False),), "smtps2"), ((Policy("everything", enabled=False),), "smtps")],
)
def test_without_an_active_policy_a_whole_new_one_is_written(policies: tuple[Policy, ...], section: str) -> None:
    assert commands_to_select(Settings(policies=policies), bridge("backend")) == (
        f"uci set dmsfw.{section}=egress",
        f"uci add_list dmsfw.{section}.network='backend'",
        f"uci add_list dmsfw.{section}.proto='tcp'",
        f"uci add_list dmsfw.{section}.dest_port='465'",
        "uci commit dmsfw",
    )


@pytest.mark.parametrize("name", ["", "evil\nname", "\x1b[31m", "a\u202eb", " padded", "x" * 256, "half\ud800"])
def test_a_name_that_cannot_be_written_gives_no_command(name: str) -> None:
    assert commands_to_select(Settings(policies=(SMTPS,)), bridge(name)) == ()


def test_a_section_that_uci_cannot_have_gives_no_command() -> None:
    assert commands_to_select(Settings(policies=(Policy("x; reboot", networks=("a",)),)), bridge("backend")) == ()


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=40)


@settings(max_examples=40, deadline=None)
@given(
    NAMES
    | st.sampled_from(["Bob's PC", "$(reboot)", "`id`", '";id;"', "*", "a[b]?", "-x", "!!", "back\\slash", "~root"])
)
def test_a_shell_hands_over_exactly_the_name_and_nothing_else(name: str) -> None:
    lines = commands_to_select(Settings(policies=(SMTPS,)), bridge(name))
    if not lines:
        return
    script = 'uci() { printf "%s\\0" "$@"; }\n' + "\n".join(lines)
    said = subprocess.run(["sh", "-c", script], capture_output=True, check=True, cwd="/").stdout.decode().split("\0")
    assert said[0] == "add_list"
    assert said[2:] == ["commit", "dmsfw", ""]
    option, _, value = said[1].partition("=")
    assert option == "dmsfw.smtps.network"
    assert fnmatch.fnmatchcase(name, value)
    assert name == "x" or not fnmatch.fnmatchcase("x", value)


def test_an_anonymous_sections_command_is_the_same_in_a_folder_full_of_traps(tmp_path: Path) -> None:
    (tmp_path / "dmsfw.@egress0.network=x").write_text("")
    [line] = commands_to_select(Settings(policies=(Policy("@egress[0]"),)), bridge("x"))
    script = f'uci() {{ echo "$2"; }}; {line}'
    said = subprocess.run(["sh", "-c", script], capture_output=True, check=True, cwd=tmp_path).stdout.decode()
    assert said.splitlines()[0] == "dmsfw.@egress[0].network=x"


def test_the_way_out_is_named_by_its_interface_else_by_its_device() -> None:
    uplinks = Uplinks(others=(Uplink("lan", "br-lan"),), default_devices=("br-lan", "eth0", "bad;name"))
    assert commands_to_name_the_uplink(uplinks) == (
        "uci add_list dmsfw.main.uplink='lan'; uci commit dmsfw",
        "uci add_list dmsfw.main.uplink_device='eth0'; uci commit dmsfw",
    )
