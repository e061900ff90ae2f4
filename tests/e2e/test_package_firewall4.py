"""The package on a router with firewall4: its include files come with it, do no harm, and go with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.test_package import PYTHONS
from tests.initd.openwrt import OpenWrt
from tests.initd.opkg import Archive, Opkg
from tests.lab import SERVER

INCLUDES = "/usr/share/nftables.d"
REFUSES = """#!/bin/sh
[ "$1" != -c ] || exit 1
exec {nft} "$@"
"""


@pytest.fixture(scope="module")
def openwrt(_compiled: None) -> Iterator[OpenWrt]:
    with OpenWrt(PYTHONS[0], firewall4=True) as lab:
        lab.compose("up", "-d")
        yield lab


@pytest.fixture
def opkg(openwrt: OpenWrt) -> Iterator[Opkg]:
    """The package manager; nothing is installed before and after."""
    opkg = Opkg(openwrt)
    yield opkg
    if opkg.listed():
        opkg.remove()
    openwrt.sh("rm -rf /etc/config/dmsfw* /run/standins/* /usr/lib/dmsfw; fw4 restart")


def included(router: OpenWrt) -> list[str]:
    return router.sh(f"[ ! -d {INCLUDES} ] || find {INCLUDES} -name '*dmsfw*'").stdout.split()


def ruleset(router: OpenWrt) -> str:
    return router.run(["nft", "-s", "list", "ruleset"]).stdout


def wait_open(router: OpenWrt) -> None:
    router.wait(lambda: router.connect("app", SERVER, 465) == "open", "the open port")


def test_it_works_over_reloads_and_leaves_nothing(opkg: Opkg, archive: Archive) -> None:
    router, before = opkg.router, ruleset(opkg.router)
    assert router.connect("app", SERVER, 465) == "refused"
    done = opkg.install(archive)
    assert done is not None
    assert (done.returncode, done.stderr) == (0, "")
    wait_open(router)
    assert len(included(router)) == 3
    for deed in ("reload", "restart"):
        router.run(["fw4", deed])
        wait_open(router)
    opkg.remove()
    assert included(router) == []
    assert ruleset(router) == before
    assert router.connect("app", SERVER, 465) == "refused"
    router.run(["fw4", "restart"])
    assert ruleset(router) == before


def test_firewall4_starts_with_the_files_there_and_the_service_stopped(opkg: Opkg, archive: Archive) -> None:
    router = opkg.router
    opkg.install(archive)
    wait_open(router)
    router.initd("stop")
    for deed in ("reload", "restart", "flush", "start"):
        router.run(["fw4", deed])
    assert "jump dmsfw1_forward" in ruleset(router)
    assert router.connect("app", SERVER, 465) == "refused"
    router.initd("start")
    wait_open(router)


def test_a_service_that_is_stopped_leaves_nothing_either_when_it_is_removed(opkg: Opkg, archive: Archive) -> None:
    router, before = opkg.router, ruleset(opkg.router)
    opkg.install(archive)
    wait_open(router)
    router.run(["fw4", "restart"])
    router.initd("stop")
    opkg.remove()
    assert included(router) == []
    assert ruleset(router) == before


def test_an_upgrade_keeps_the_port_open(opkg: Opkg, archive: Archive) -> None:
    router = opkg.router
    opkg.install(archive)
    wait_open(router)
    router.run(["fw4", "reload"])
    opkg.install(archive)
    assert router.connect("app", SERVER, 465) == "open"
    assert len(included(router)) == 3


def test_where_they_would_not_load_they_are_removed_and_dmsfw_does_without(opkg: Opkg, archive: Archive) -> None:
    router = opkg.router
    nft = router.folder / "bin" / "nft"
    program = nft.readlink()
    nft.unlink()
    nft.write_text(REFUSES.format(nft=program))
    nft.chmod(0o755)
    try:
        done = opkg.install(archive)
        assert done is not None
        assert done.stderr.startswith("dmsfw: firewall4 would not load dmsfw's include files here: removed")
        assert done.stderr.count("\n") == 1
        assert included(router) == []
        wait_open(router)
        router.run(["fw4", "reload"])
        wait_open(router)
    finally:
        nft.unlink()
        nft.symlink_to(Path(program))
