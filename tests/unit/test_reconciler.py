"""One pass, over tables in memory: what stands there afterwards."""

from __future__ import annotations

import pytest

from dmsfw.enforce import Iptables
from dmsfw.enforce.render import TableKey
from dmsfw.errors import NeverRead, TableChanged, TableRefused
from dmsfw.model import Snapshot, Uplinks
from dmsfw.reconciler import ATTEMPTS, preview, reconcile
from tests.contract.fake import foreign_entry
from tests.unit.daemon_support import FILTER, MAIL, MAIL_2, WAN, WEB, Firewall, WrittenWorld, bridges, settings


@pytest.fixture
def firewall() -> Firewall:
    return Firewall()


@pytest.fixture
def world() -> WrittenWorld:
    return WrittenWorld(settings(), lambda _: None, networks=(MAIL, WEB))


class Intruder:
    """Writes a rule of its own between our read and our commit, so many times."""

    def __init__(self, firewall: Firewall, times: int) -> None:
        self.firewall, self.left = firewall, times

    def __call__(self, key: TableKey) -> None:
        if self.left and key == FILTER:
            self.left -= 1
            self.firewall.insert(key, "FORWARD", 0, foreign_entry(f"-s 10.0.0.{self.left} -j DROP"))


def test_a_pass_tells_what_it_saw_decided_and_changed(firewall: Firewall, world: WrittenWorld) -> None:
    done = reconcile(world, Iptables(firewall))
    assert done.snapshot == Snapshot(settings(), (MAIL, WEB), Uplinks(chosen=(WAN,)))
    assert [(grant.bridge, grant.uplink, str(grant.subnet)) for grant in done.grants] == [
        ("br-mail", "pppoe-wan", "172.18.0.0/16")
    ]
    assert done.plan.rules == 3
    assert bridges(firewall) == {"br-mail"}


def test_a_second_pass_changes_nothing(firewall: Firewall, world: WrittenWorld) -> None:
    enforcer = Iptables(firewall)
    reconcile(world, enforcer)
    before = dict(firewall.tables)
    assert not reconcile(world, enforcer).plan
    assert firewall.tables == before


def test_a_pass_after_a_restart_removes_what_is_stale(firewall: Firewall, world: WrittenWorld) -> None:
    reconcile(world, Iptables(firewall))
    world.networks = (MAIL_2, WEB)
    reconcile(world, Iptables(firewall))
    assert bridges(firewall) == {"br-mail2"}


@pytest.mark.parametrize("times", range(1, ATTEMPTS))
def test_a_lost_race_is_planned_again(firewall: Firewall, world: WrittenWorld, times: int) -> None:
    firewall.before_commit = Intruder(firewall, times)
    reconcile(world, Iptables(firewall))
    assert bridges(firewall) == {"br-mail"}
    assert len([entry for entry in firewall.tables[FILTER]["FORWARD"] if entry.target == "DROP"]) == times
    assert not firewall.held


def test_a_race_that_is_always_lost_is_given_up_and_said(firewall: Firewall, world: WrittenWorld) -> None:
    firewall.before_commit = Intruder(firewall, 1000)
    with pytest.raises(TableChanged, match=f"lost the race {ATTEMPTS} times: somebody wrote in between"):
        reconcile(world, Iptables(firewall))
    assert bridges(firewall) == set()


def test_a_refusal_is_not_tried_again_at_once(firewall: Firewall, world: WrittenWorld) -> None:
    tries = []

    def refuse(key: TableKey) -> None:
        tries.append(key)
        raise TableRefused("no")

    firewall.before_read = refuse
    with pytest.raises(TableRefused):
        reconcile(world, Iptables(firewall))
    assert tries.count(FILTER) == 1


def test_a_world_that_is_not_known_writes_nothing(firewall: Firewall, world: WrittenWorld) -> None:
    world.fault = NeverRead("docker", "not read yet")
    with pytest.raises(NeverRead):
        reconcile(world, Iptables(firewall))
    assert firewall.tables == {}


def test_a_preview_says_what_a_pass_would_do_and_does_nothing(firewall: Firewall, world: WrittenWorld) -> None:
    foreseen = preview(world, Iptables(firewall))
    assert firewall.tables == {}
    done = reconcile(world, Iptables(firewall))
    assert foreseen.plan.changes == done.plan.changes
    assert foreseen.grants == done.grants
    assert not preview(world, Iptables(firewall)).plan
