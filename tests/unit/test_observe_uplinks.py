"""Which uplinks the settings mean, and what is remembered of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from dmsfw.errors import ObserveError
from dmsfw.model import Policy, Settings, Uplink, Uplinks, Zone
from dmsfw.observe.netifd import Interface, NoUbus, parse_dump
from dmsfw.observe.uplinks import Memory, Reach, UplinkReader, resolve, watched_devices

RECORDED = Path(__file__).parents[1] / "cases" / "openwrt"
ZONE = Settings(wan_zone=Zone(interfaces=("wan", "wan6")))


def up(name: str, device: str, zone: str = "") -> Interface:
    return Interface(name, up=True, device=device, zone=zone)


def down(name: str) -> Interface:
    return Interface(name, up=False)


def follow(settings: Settings, *readings: tuple[Interface, ...] | Reach | Settings) -> Uplinks:
    """The uplinks after one reading after the other; settings among them are those from there on."""
    memory, uplinks = Memory(), Uplinks()
    for reading in readings:
        if isinstance(reading, Settings):
            settings = reading
            continue
        reach = reading if isinstance(reading, Reach) else Reach(reading)
        uplinks, memory = resolve(settings, reach, memory)
        assert resolve(settings, reach, memory) == (uplinks, memory)
    return uplinks


def test_the_zones_members_and_dynamic_interfaces_are_the_uplinks() -> None:
    settings = Settings(wan_zone=Zone(interfaces=("wan", "wan6", "wanb")))
    uplinks = follow(settings, parse_dump((RECORDED / "network.interface.dump.pppoe.json").read_text()))
    assert uplinks.chosen == (Uplink("wan", "pppoe-wan"), Uplink("wanb", "eth2"), Uplink("wan_6", "pppoe-wan"))
    assert uplinks.missing == ("wan6",)
    assert uplinks.others == (Uplink("loopback", "lo"),)


def test_a_zones_own_devices_are_up_when_they_exist_and_wildcards_are_left_out() -> None:
    settings = Settings(wan_zone=Zone(interfaces=("wan",), devices=("tun0", "ppp+")))
    there = Reach((up("wan", "eth0"),), devices=frozenset({"tun0"}))
    assert follow(settings, there).chosen == (Uplink("wan", "eth0"), Uplink("tun0", "tun0"))
    gone = Reach((up("wan", "eth0"),))
    assert follow(settings, there, gone).chosen == (Uplink("wan", "eth0"), Uplink("tun0", "tun0", up=False))


@pytest.mark.parametrize(
    "settings",
    [
        Settings(uplinks=("lan", "lan"), wan_zone=ZONE.wan_zone),
        Settings(uplink_devices=("eth9",), wan_zone=ZONE.wan_zone),
    ],
)
def test_where_a_list_is_given_nothing_is_discovered(settings: Settings) -> None:
    chosen = follow(settings, (up("wan", "pppoe-wan"), up("lan", "br-lan"), up("wwan", "wwan0", zone="wan"))).chosen
    assert [uplink.device for uplink in chosen] == ["br-lan" if settings.uplinks else "eth9"]


def test_an_uplink_that_is_down_keeps_its_last_device_until_it_is_back() -> None:
    fell = (up("wan", "pppoe-wan"),), (down("wan"),), ()
    assert follow(ZONE, *fell).chosen == (Uplink("wan", "pppoe-wan", up=False),)
    assert follow(ZONE, *fell, (up("wan", "ppp1"),)).chosen == (Uplink("wan", "ppp1"),)


def test_another_that_is_up_takes_the_last_device_for_good() -> None:
    readings = (up("wan", "eth1"),), (down("wan"), up("guest", "eth1"))
    assert follow(ZONE, *readings).chosen == ()
    assert follow(ZONE, *readings).missing == ("wan", "wan6")
    assert follow(ZONE, *readings, (down("wan"), down("guest"))).chosen == ()


def test_an_uplink_that_is_no_longer_in_the_list_is_forgotten() -> None:
    readings = (up("wan", "eth1"),), (down("wan"),), Settings(uplinks=("lan",)), (down("wan"),)
    assert follow(ZONE, *readings).chosen == ()
    assert follow(ZONE, *readings, ZONE, (down("wan"),)).chosen == ()


def test_an_uplink_without_a_usable_device_is_missing() -> None:
    assert follow(ZONE, (Interface("wan", up=True),)) == Uplinks(missing=("wan", "wan6"))


def test_a_policys_own_uplink_keeps_its_last_device_too_and_others_do_not() -> None:
    settings = Settings(wan_zone=ZONE.wan_zone, policies=(Policy("nas", uplinks=("vpn",)),))
    readings = (up("vpn", "tun0"), up("lan", "br-lan")), (down("vpn"), down("lan"))
    assert follow(settings, *readings).others == (Uplink("vpn", "tun0", up=False),)
    assert follow(settings, *readings, ZONE, readings[1]).others == ()


def test_without_netifd_the_default_routes_are_the_uplinks_and_the_last_ones_are_kept() -> None:
    there, gone = Reach(None, ("eth0", "wlan0")), Reach(None)
    assert follow(ZONE, there).chosen == (Uplink("eth0", "eth0"), Uplink("wlan0", "wlan0"))
    assert follow(ZONE, there, gone).chosen == (Uplink("eth0", "eth0", up=False), Uplink("wlan0", "wlan0", up=False))
    assert follow(ZONE, there, gone).default_devices == ()
    assert follow(ZONE, there, gone, Reach(None, ("eth1",))).chosen == (Uplink("eth1", "eth1"),)


def test_without_netifd_names_of_interfaces_are_missing_and_devices_are_not() -> None:
    settings = Settings(uplinks=("wan",), uplink_devices=("eth3", "br+"))
    uplinks = follow(settings, Reach(None, ("eth0",), frozenset({"eth3"})))
    assert (uplinks.chosen, uplinks.missing, uplinks.default_devices) == (
        (Uplink("eth3", "eth3"),),
        ("wan",),
        ("eth0",),
    )


def test_without_netifd_a_policys_uplink_is_a_device_that_exists_or_did() -> None:
    settings = Settings(policies=(Policy("nas", uplinks=("tun0", "never", "eth0")),))
    there = Reach(None, ("eth0",), frozenset({"tun0", "eth0"}))
    assert follow(settings, there).others == (Uplink("tun0", "tun0"),)
    assert follow(settings, there, Reach(None, ("eth0",))).others == (Uplink("tun0", "tun0", up=False),)


def no_ubus() -> tuple[Interface, ...]:
    raise NoUbus("ubus", "there is no such program")


def no_routes() -> tuple[str, ...]:
    raise ObserveError("routes", "gone")


def test_a_host_without_ubus_is_read_by_its_routes_with_the_named_devices_only() -> None:
    reader = UplinkReader(
        lambda: ("tun0", "never"),
        interfaces=no_ubus,
        defaults=lambda: ("eth0",),
        devices=lambda: frozenset({"tun0", "veth1"}),
    )
    assert reader.read() == Reach(None, ("eth0",), frozenset({"tun0"}))


def test_a_ubus_that_has_answered_once_and_is_gone_is_unreadable_and_no_reason_to_take_the_routes() -> None:
    reader = UplinkReader(lambda: (), interfaces=lambda: (up("wan", "eth0"),), defaults=lambda: ("eth7",))
    assert reader.read() == Reach((up("wan", "eth0"),), ("eth7",))
    reader._interfaces = no_ubus
    with pytest.raises(NoUbus):
        reader.read()


def test_with_netifd_routes_that_cannot_be_read_cost_only_the_hint() -> None:
    reader = UplinkReader(lambda: (), interfaces=lambda: (up("wan", "eth0"),), defaults=no_routes)
    assert reader.read() == Reach((up("wan", "eth0"),))


def test_a_line_that_is_torn_down_one_interface_after_the_other_keeps_its_device() -> None:
    whole = (up("wan", "pppoe-wan"), up("wan_6", "pppoe-wan", zone="wan"))
    half = (down("wan"), up("wan_6", "pppoe-wan", zone="wan"))
    assert follow(ZONE, whole, half).chosen == (Uplink("wan", "pppoe-wan", up=False), Uplink("wan_6", "pppoe-wan"))
    assert follow(ZONE, whole, half, (down("wan"),)).chosen == (Uplink("wan", "pppoe-wan", up=False),)


def test_a_policys_own_uplink_loses_its_device_to_a_way_out_of_the_main_list() -> None:
    settings = Settings(wan_zone=ZONE.wan_zone, policies=(Policy("nas", networks=("a",), uplinks=("lan",)),))
    assert follow(settings, (up("lan", "eth5"),), (down("lan"), up("wan", "eth5"))).others == ()


def test_a_device_that_is_misspelt_is_down_whoever_gives_the_uplinks() -> None:
    settings = Settings(uplink_devices=("nope0",))
    for interfaces in (None, (up("wan", "eth0"),)):
        assert follow(settings, Reach(interfaces, ("eth0",))).chosen == (Uplink("nope0", "nope0", up=False),)


def test_only_devices_that_the_settings_name_are_looked_for() -> None:
    settings = Settings(
        uplink_devices=("tun0",),
        wan_zone=Zone(devices=("eth1",)),
        policies=(Policy("nas", networks=("a",), uplinks=("lan0",)),),
    )
    reader = UplinkReader(
        lambda: watched_devices(settings),
        interfaces=lambda: (up("wan", "eth0"),),
        defaults=lambda: (),
        devices=lambda: frozenset({"tun0", "lan0", "stranger"}),
    )
    assert reader.read().devices == {"tun0", "lan0"}
