"""netifd's dump, recorded and hostile, and a ubus that misbehaves."""

from __future__ import annotations

import json
import os
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmsfw.errors import ObserveError
from dmsfw.observe.netifd import OUTPUT_LIMIT, Interface, NoUbus, parse_dump, read_interfaces
from tests.unit.observe_support import until

if TYPE_CHECKING:
    from collections.abc import Callable

RECORDED = Path(__file__).parents[1] / "cases" / "openwrt"


def recorded(name: str) -> tuple[Interface, ...]:
    return parse_dump((RECORDED / name).read_text())


def test_the_recorded_dump_is_read() -> None:
    assert recorded("network.interface.dump.json") == (
        Interface("docker", up=False),
        Interface("lan", up=False),
        Interface("loopback", up=True, device="lo"),
        Interface("wan", up=True, device="pppoe-wan", default=True),
    )


def test_of_pppoe_the_layer_3_device_is_taken_and_a_dynamic_interface_names_its_zone() -> None:
    known = {interface.name: interface for interface in recorded("network.interface.dump.pppoe.json")}
    assert known["wan"] == Interface("wan", up=True, device="pppoe-wan", default=True)
    assert known["wan6"] == Interface("wan6", up=False)
    assert known["wan_6"] == Interface("wan_6", up=True, device="pppoe-wan", zone="wan", default=True)


@pytest.mark.parametrize("device", ["eth0; rm", "br+", "", None, 7, "..", "a" * 16])
def test_a_device_that_may_not_stand_in_a_rule_is_none(device: object) -> None:
    dump = {"interface": [{"interface": "wan", "up": True, "l3_device": device}]}
    assert parse_dump(json.dumps(dump)) == (Interface("wan", up=True),)


def test_up_must_be_plainly_true() -> None:
    dump = {"interface": [{"interface": "wan", "up": "no", "l3_device": "eth0"}]}
    assert parse_dump(json.dumps(dump)) == (Interface("wan", up=False),)


def test_of_two_interfaces_alike_the_first_counts() -> None:
    entries = [{"interface": "wan", "up": True, "l3_device": device} for device in ("eth0", "eth1")]
    assert parse_dump(json.dumps({"interface": entries})) == (Interface("wan", up=True, device="eth0"),)


@pytest.mark.parametrize(
    "text", ["", "{", "null", "[]", '{"interface": {}}', "Command failed", "[" * 100_000, "9" * 5000]
)
def test_nonsense_is_an_unreadable_source(text: str) -> None:
    with pytest.raises(ObserveError) as raised:
        parse_dump(text)
    assert not isinstance(raised.value, NoUbus)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=9)
    | st.sampled_from(["eth0", "0.0.0.0"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(["interface", "up", "l3_device", "data", "route", "zone", "target", "mask"])
ENTRY = st.dictionaries(KEYS, JSON | st.lists(st.dictionaries(KEYS, JSON, max_size=3), max_size=2), max_size=6)


@given(
    st.text() | st.builds(json.dumps, JSON | st.builds(lambda entries: {"interface": entries}, st.lists(ENTRY | JSON)))
)
def test_parsing_never_raises_anything_but_an_observe_error(text: str) -> None:
    try:
        parse_dump(text)
    except ObserveError as error:
        assert error.source == "ubus"  # noqa: PT017 - most texts raise nothing


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], list[str]]:
    def write(script: str) -> list[str]:
        path = tmp_path / "ubus"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return [str(path), "call"]

    return write


def test_a_host_without_the_program_has_no_ubus(tmp_path: Path) -> None:
    with pytest.raises(NoUbus):
        read_interfaces([str(tmp_path / "ubus")])


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("exit 4", "ended with 4"),
        ("echo nonsense", "no JSON"),
        ("exec sleep 60", "no answer"),
        ("sleep 60; true", "no answer"),
        ("exec >&-; exec sleep 60", "does not end"),
        ("exec yes", f"more than {OUTPUT_LIMIT}"),
        ("kill -9 $$", "ended with -9"),
        ("sleep 60 & exit 0", "no answer"),
    ],
)
def test_a_ubus_that_fails_hangs_or_prints_nonsense_is_unreadable(
    script: str, why: str, program: Callable[[str], list[str]]
) -> None:
    began = time.monotonic()
    with pytest.raises(ObserveError, match=why) as raised:
        read_interfaces(program(script), timeout_s=0.5)
    assert not isinstance(raised.value, NoUbus)
    assert time.monotonic() - began < 10


def test_a_program_that_may_not_be_started_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "ubus").write_text("")
    with pytest.raises(ObserveError, match="cannot be started") as raised:
        read_interfaces([str(tmp_path / "ubus")])
    assert not isinstance(raised.value, NoUbus)


def test_a_hanging_ubus_is_ended_with_its_children(tmp_path: Path, program: Callable[[str], list[str]]) -> None:
    with pytest.raises(ObserveError):
        read_interfaces(program(f"sleep 60 & echo $! > {tmp_path}/child; wait"), timeout_s=0.5)
    child = int((tmp_path / "child").read_text())
    until(lambda: _gone(child), "the end of the child")


def _gone(pid: int) -> bool:
    """Dead; whether anybody has collected it is the machine's affair."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (ProcessLookupError, FileNotFoundError):
        return True


def test_a_ubus_that_answers_is_read(program: Callable[[str], list[str]]) -> None:
    command = program(f"cat '{RECORDED}/network.interface.dump.pppoe.json'")
    assert read_interfaces(command) == recorded("network.interface.dump.pppoe.json")
