"""The service on a router: the real daemon and the real tables under the procd script. procd itself is a stand-in."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.support import SHIPPED, field_network, foreign, ours, world
from tests.initd.openwrt import OpenWrt
from tests.lab import SERVER

BROKEN = "config egress 'smtps'\n\tlist dest_port '99999'\n"


@pytest.fixture(scope="module")
def openwrt(_compiled: None) -> Iterator[OpenWrt]:
    with OpenWrt(Path(sys.executable)) as lab:
        lab.install_service()
        lab.compose("up", "-d")
        yield lab


@pytest.fixture
def router(openwrt: OpenWrt) -> Iterator[OpenWrt]:
    """The router with the service started and the port open."""
    openwrt.sh("rm -f /run/standins/*")
    openwrt.configure(SHIPPED)
    openwrt.initd("start")
    openwrt.wait_for_log("started version=")
    openwrt.wait(lambda: ours(openwrt))
    yield openwrt
    openwrt.configure(SHIPPED)
    openwrt.initd("stop")


def hook(router: OpenWrt) -> str:
    """The rule that would be missing in a gap."""
    return f"-i {field_network(router).bridge} -o pppoe-wan"


def test_stop_leaves_the_tables_as_before_the_start(openwrt: OpenWrt) -> None:
    openwrt.configure(SHIPPED)
    before = world(openwrt)
    openwrt.initd("start")
    openwrt.wait(lambda: openwrt.connect("app", SERVER, 465) == "open")
    openwrt.initd("stop")
    assert world(openwrt) == before
    assert openwrt.connect("app", SERVER, 465) == "refused"


def test_restart_leaves_no_gap_and_writes_nothing(router: OpenWrt) -> None:
    counters = foreign(router)
    with router.watched(hook(router)) as seen:
        router.initd("restart")
        router.wait_for_log("started version=", times=2)
    assert set(seen) == {"there"}
    assert foreign(router) == counters
    assert "network opened" not in router.daemon_log().rpartition("started version=")[2]


def test_reload_opens_what_the_new_configuration_asks_for(router: OpenWrt) -> None:
    router.configure(SHIPPED.replace("dest_port '465'", "dest_port '587'"))
    router.initd("reload")
    router.wait(lambda: router.connect("app", SERVER, 587) == "open")
    assert router.connect("app", SERVER, 465) == "refused"


def test_a_broken_configuration_is_told_and_the_rules_stay(router: OpenWrt) -> None:
    router.configure(BROKEN)
    for action in ("reload", "restart"):
        done = router.initd(action, check=False)
        assert done.returncode != 0
        assert "dest_port '99999' is not allowed" in done.stderr
    assert router.connect("app", SERVER, 465) == "open"
    assert router.initd("status", check=False).stdout.startswith("dmsfw ")


def test_switched_off_a_restart_leaves_no_rule_and_no_daemon(router: OpenWrt) -> None:
    router.configure(SHIPPED.replace("option enabled '1'", "option enabled '0'", 1))
    router.initd("restart")
    assert ours(router) == []
    done = router.initd("status", check=False)
    assert (done.returncode, done.stdout.splitlines()[0].split(": ")[1]) == (3, "stopped")


def test_status_is_the_state_in_few_lines(router: OpenWrt) -> None:
    router.wait(lambda: router.initd("status", check=False).returncode == 0)
    done = router.initd("status")
    assert done.stdout.startswith("dmsfw ")
    assert ": in sync\n" in done.stdout
    assert "Uplinks" not in done.stdout


def test_plan_shows_nothing_to_do_and_clean_is_refused_while_it_runs(router: OpenWrt) -> None:
    router.wait(lambda: router.initd("plan", check=False).returncode == 0)
    done = router.initd("clean", check=False)
    assert done.returncode == 1
    assert "stop it first" in done.stderr
    assert ours(router)


def test_metrics_lie_where_a_collector_looks_for_them(router: OpenWrt) -> None:
    file = "/run/prometheus/dmsfw.prom"
    router.sh("mkdir -p /run/prometheus")
    router.configure(SHIPPED.replace("option enabled '1'", f"option enabled '1'\n\toption metrics_file '{file}'", 1))
    router.wait(lambda: 'dmsfw_state{state="in sync"} 1' in router.path(file).read_text().splitlines())
    found = router.path(file).read_text()
    assert f'dmsfw_network_rules{{network="{field_network(router).name}"' in found
    assert [path.name for path in router.path("/run/prometheus").iterdir()] == ["dmsfw.prom"]
