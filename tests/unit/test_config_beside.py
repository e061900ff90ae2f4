"""The foreign files beside ours: the zone `wan`, and the names of interfaces."""

from __future__ import annotations

from pathlib import Path

import pytest

from dmsfw.config import load
from dmsfw.model import Zone
from tests.unit.config_support import MAIN, OPENWRT, SMTPS, loaded

FIREWALL = (OPENWRT / "config.firewall").read_text()
FIREWALL4 = (OPENWRT / "config.firewall4").read_text()
NETWORK = (OPENWRT / "config.network").read_text()


def zone(folder: Path, firewall: str) -> tuple[Zone, tuple[str, ...]]:
    read = loaded(folder, MAIN, firewall=firewall)
    return read.settings.wan_zone, read.warnings


@pytest.mark.parametrize("recorded", [FIREWALL, FIREWALL4])
def test_the_recorded_files_name_the_members_of_wan(tmp_path: Path, recorded: str) -> None:
    assert zone(tmp_path, recorded) == (Zone(interfaces=("wan", "wan6")), ())


@pytest.mark.parametrize(
    "lines",
    ["option network 'wan wan6'", "list network 'wan'\nlist network 'wan6'", "list network 'wan wan6'",
     "option network wan\nlist network wan6"],
)  # fmt: skip
def test_members_are_a_list_or_one_option_with_spaces(tmp_path: Path, lines: str) -> None:
    assert zone(tmp_path, f"config zone\noption name wan\n{lines}\n")[0].interfaces == ("wan", "wan6")


def test_devices_of_the_zone_are_members_too(tmp_path: Path) -> None:
    text = "config zone\noption name 'wan'\nlist device 'pppoe-wan'\nlist device 'eth+'\nlist network 'a b\x1b'\n"
    read, warnings = zone(tmp_path, text)
    assert read == Zone(interfaces=("a",), devices=("pppoe-wan",))
    assert warnings == (
        "firewall: zone 'wan': network 'b\\x1b' is skipped: no name dmsfw uses",
        "firewall: zone 'wan': device 'eth+' is skipped: no name dmsfw uses",
    )


@pytest.mark.parametrize("lines", ["option name lan", "option name 'wan2'", "", "option name wan\noption enabled 0"])
def test_other_zones_do_not_count(tmp_path: Path, lines: str) -> None:
    assert zone(tmp_path, f"config zone 'wan'\n{lines}\nlist network x\n") == (Zone(), ())


def test_a_name_as_luci_writes_it_costs_nothing(tmp_path: Path) -> None:
    text = FIREWALL.replace("Allow-Ping", "'Bob'\\''s PC'")
    assert zone(tmp_path, text) == (Zone(interfaces=("wan", "wan6")), ())


def test_a_broken_line_elsewhere_costs_a_warning_only(tmp_path: Path) -> None:
    text = FIREWALL.replace("option name\t\tAllow-Ping", "option name 'Bob's PC'", 1)
    read, warnings = zone(tmp_path, text)
    assert read == Zone(interfaces=("wan", "wan6"))
    assert warnings == ("firewall: line 43, rule '@rule[1]': a quote ' is not closed; its section is skipped",)


def test_a_broken_line_in_the_zone_costs_the_zone(tmp_path: Path) -> None:
    read, warnings = zone(tmp_path, FIREWALL.replace("list   network\t\t'wan6'", "list   network\t\t'wan6", 1))
    assert read == Zone()
    assert warnings == ("firewall: line 20, zone '@zone[1]': a quote ' is not closed; its section is skipped",)


def test_no_firewall_file_is_an_empty_zone_without_a_word(tmp_path: Path) -> None:
    read = loaded(tmp_path, MAIN)
    assert (read.settings.wan_zone, read.warnings) == (Zone(), ())


def test_a_firewall_file_that_cannot_be_read_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "firewall").mkdir()
    read = loaded(tmp_path, MAIN)
    assert read.settings.wan_zone == Zone()
    assert [warning.split(":")[0] for warning in read.warnings] == ["firewall"]


@pytest.mark.parametrize(
    "text", [None, "", "config defaults\n\toption input 'ACCEPT'\n", "config zone\n\toption name 'lan'\n"]
)
def test_a_zone_that_cannot_be_read_any_more_stays_as_it_was_and_that_is_said(tmp_path: Path, text: str | None) -> None:
    last = Zone(interfaces=("wan",), devices=("tun0",))
    (tmp_path / "dmsfw").write_text(MAIN)
    if text is not None:
        (tmp_path / "firewall").write_text(text)
    read = load(tmp_path / "dmsfw", last)
    assert read.settings.wan_zone == last
    assert read.warnings == ("firewall: no zone 'wan' can be read: its members stay as they were read last",)


def test_a_zone_that_is_there_and_has_no_members_has_none(tmp_path: Path) -> None:
    (tmp_path / "dmsfw").write_text(MAIN)
    (tmp_path / "firewall").write_text("config zone\n\toption name 'wan'\n")
    assert load(tmp_path / "dmsfw", Zone(interfaces=("wan",))).settings.wan_zone == Zone()


def test_a_firewall_file_in_another_encoding_is_read(tmp_path: Path) -> None:
    text = "config rule\noption name '\udcd3\udcca'\n" + FIREWALL
    assert zone(tmp_path, text) == (Zone(interfaces=("wan", "wan6")), ())


def test_an_uplink_that_is_no_interface_is_named_with_the_nearest(tmp_path: Path) -> None:
    text = MAIN + "list uplink 'wan'\nlist uplink 'wna'\n" + SMTPS + "list uplink 'lann'\n"
    assert loaded(tmp_path, text, network=NETWORK).warnings == (
        "dmsfw 'main': uplink 'wna' is no interface of /etc/config/network, did you mean 'wan'?",
        "egress 'smtps': uplink 'lann' is no interface of /etc/config/network, did you mean 'lan'?",
    )


def test_a_dynamic_interface_is_known_by_its_parent(tmp_path: Path) -> None:
    assert loaded(tmp_path, MAIN + "option uplink 'wan_6'\n", network=NETWORK).warnings == ()


def test_without_a_network_file_no_uplink_is_strange(tmp_path: Path) -> None:
    assert loaded(tmp_path, MAIN + "option uplink 'vpn'\n").warnings == ()


def test_a_message_about_a_large_network_file_stays_short(tmp_path: Path) -> None:
    many = "".join(f"config interface 'i{number}'\n" for number in range(5000))
    (warning,) = loaded(tmp_path, MAIN + "option uplink 'zzz'\n", network=many).warnings
    assert len(warning) < 300
