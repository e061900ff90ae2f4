"""The kernel's routing tables, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmsfw.errors import ObserveError
from dmsfw.observe.detours import parse_gateway
from dmsfw.observe.routes import default_devices, devices, parse_routes4, parse_routes6

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
ZERO = "0" * 32


def four(device: str, *, to: str = "00000000", mask: str = "00000000", flags: str = "0003", metric: str = "0") -> str:
    return f"{device}\t{to}\t010012AC\t{flags}\t0\t0\t{metric}\t{mask}\t0\t0\t0\n"


def six(device: str, *, to: str = ZERO, length: str = "00", flags: str = "00000003", metric: str = "00000400") -> str:
    return f"{to} {length} {ZERO} 00 fe80{'0' * 28} {metric} 00000001 00000000 {flags} {device:>8}\n"


def test_only_default_routes_that_are_up_count() -> None:
    table = HEAD + four("eth1", metric="20") + four("pppoe-wan") + four("br-lan", to="0001A8C0", mask="00FFFFFF")
    table += four("half", mask="00000080") + four("down", flags="0002") + four("*", flags="0201") + four("lo")
    assert set(parse_routes4(table)) == {(20, "eth1"), (0, "pppoe-wan")}


def test_the_sixth_version_has_its_own_columns() -> None:
    table = six("eth1") + six("lo", flags="00200200", metric="ffffffff") + six("lan", to="2001" + "0" * 28, length="40")
    table += six("half", length="01") + six("dead", flags="00000201")
    assert parse_routes6(table) == ((1024, "eth1"),)


def test_both_families_together_give_each_device_once_the_cheapest_first(tmp_path: Path) -> None:
    (tmp_path / "route").write_text(
        HEAD + four("wanb", metric="2000") + four("pppoe-wan") + four("pppoe-wan", metric="5")
    )
    (tmp_path / "ipv6_route").write_text(six("pppoe-wan") + six("tun6"))
    assert default_devices(tmp_path) == ("pppoe-wan", "tun6", "wanb")


def test_a_kernel_without_ipv6_is_read_and_one_without_any_table_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(ObserveError):
        default_devices(tmp_path)
    (tmp_path / "route").write_text(HEAD)
    assert default_devices(tmp_path) == ()


def test_devices_that_may_not_stand_in_a_rule_do_not_exist_for_us(tmp_path: Path) -> None:
    (tmp_path / "eth0").touch()
    (tmp_path / 'x"accept#').touch()
    assert devices(tmp_path) == {"eth0"}
    with pytest.raises(ObserveError):
        devices(tmp_path / "none")


def test_the_kernel_of_this_machine_can_be_read() -> None:
    assert isinstance(default_devices(), tuple)
    assert "lo" in devices()


@given(st.text() | st.lists(st.lists(st.sampled_from(["00000000", "0003", "eth0", ZERO, "00", "x", "-1"])), max_size=5))
def test_lines_that_cannot_be_read_are_no_default_routes(table: str | list[list[str]]) -> None:
    text = table if isinstance(table, str) else HEAD + "\n".join(map(" ".join, table))
    for parse in (parse_routes4, parse_routes6):
        assert all(device not in {"lo", "x"} or device == "x" for _, device in parse(text))
    parse_gateway(text)


def test_the_gateway_is_that_of_the_cheapest_default_route() -> None:
    cheap = four("eth0", metric="1").replace("010012AC", "010013AC")
    assert str(parse_gateway(HEAD + four("eth1", metric="2") + cheap)) == "172.19.0.1"
    assert parse_gateway(HEAD) is None
