"""Whoever flushes, restarts or edits: the rules are back, in their places, without anybody's help."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.e2e.conftest import restore
from tests.e2e.support import COMMENT, HOOK, SHIPPED, WAN_ADDRESS, Dmsfw, create, foreign, hook_at, named, ours
from tests.lab import SERVER, SERVER6, Lab

CONFIG = SHIPPED.replace("list proto 'tcp'", "list network 'six'\n\tlist proto 'tcp'")
STRAY = '-m comment --comment "dmsfw:0123456789ab smtps: somebody"'

DAMAGES = {
    "FORWARD is flushed": "$ipt -F FORWARD",
    "nat is flushed": "$ipt -t nat -F",
    "the firewall restarts": "fw3 restart",
    "the firewall reloads": "fw3 reload",
    "the hook is removed": "$ipt -D FORWARD $hook",
    "the hook in nat is removed": "$ipt -t nat -D POSTROUTING $nathook",
    "the hook is doubled": "$ipt -I FORWARD 1 $hook",
    "the hook is doubled without a comment": "$ipt -A FORWARD -j DMSFW-FORWARD",
    "the hook is moved behind the reject": "$ipt -D FORWARD $hook; $ipt -A FORWARD $hook",
    "the hook is moved ahead of the firewall": "$ipt -D FORWARD $hook; $ipt -I FORWARD 1 $hook",
    "the hook in nat is moved to the front": "$ipt -t nat -D POSTROUTING $nathook; $ipt -t nat -I POSTROUTING $nathook",
    "the hook is narrowed": "$ipt -D FORWARD $hook; $ipt -I FORWARD 3 -i lo $hook",
    "the own chain is flushed": "$ipt -F DMSFW-FORWARD",
    "the own chain of nat is flushed": "$ipt -t nat -F DMSFW-POSTROUTING",
    "the own chain is deleted": "$ipt-save -t filter | grep -v DMSFW-FORWARD | $ipt-restore -w",
    "a rule is widened": "$ipt -R DMSFW-FORWARD 1 -j ACCEPT",
    "a rule is widened and its comment kept": "$ipt -R DMSFW-FORWARD 1 $comment -j ACCEPT",
    "a rule is added to the own chain": "$ipt -I DMSFW-FORWARD -p tcp --dport 587 -j ACCEPT",
    "a rule is taken out of the own chain": "$ipt -D DMSFW-FORWARD 2",
    "a rule is there twice": "$ipt-save -t filter | grep -m 1 -e '-A DMSFW' | xargs $ipt",
    "the order is another": "$ipt -A DMSFW-FORWARD -j RETURN; $ipt -D DMSFW-FORWARD 1",
    "a rule of ours stands in INPUT": f"$ipt -I INPUT {STRAY} -j ACCEPT",
    "two rules of ours stand in INPUT": f"$ipt -I INPUT 2 {STRAY} -j ACCEPT; $ipt -I INPUT {STRAY} -j ACCEPT",
    "a rule of ours stands in the hook's chain": f"$ipt -I FORWARD {STRAY} -j ACCEPT",
    "a rule of ours stands in a chain of somebody's": f"$ipt -I forwarding_rule {STRAY} -j ACCEPT",
    "somebody's chain jumps to ours": "$ipt -I forwarding_rule -j DMSFW-FORWARD",
    "a writer without the lock flushes": "XTABLES_LOCKFILE=/run/another.lock $ipt -F DMSFW-FORWARD",
    "a writer without the lock puts a rule of equal size in the place of ours": (
        "XTABLES_LOCKFILE=/run/another.lock $ipt -R DMSFW-FORWARD 1 $another"
    ),
}
FRAME = '-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -m comment --comment "!fw3" -j ACCEPT'


@dataclass(frozen=True)
class Healthy:
    """The lab with a running daemon in sync, and what its tables hold then."""

    lab: Lab
    ours: list[str]
    foreign: list[str]

    def is_healed(self) -> bool:
        """Tell whether our rules and hooks are as they were, each hook behind firewall3's frame."""
        behind = [hook_at(self.lab, "FORWARD", family)[0] for family in (4, 6)]
        return sorted(ours(self.lab)) == sorted(self.ours) and behind == [FRAME, FRAME]


@pytest.fixture(scope="module")
def lab(shared: Lab) -> Iterator[Lab]:
    """One for all tests of this module: each damage heals before the next."""
    yield shared
    restore(shared)


@pytest.fixture(scope="module")
def dmsfw(lab: Lab) -> Iterator[Dmsfw]:
    """A daemon that serves the field case's network and one with IPv6."""
    daemon = Dmsfw(lab)
    lab.compose("up", "-d")
    create(lab, "six", "--ipv6", "--subnet", "fd00:6::/64", *named("dms6"), container="c6")
    daemon.start(CONFIG)
    yield daemon
    daemon.end()


@pytest.fixture(scope="module")
def sound(lab: Lab, dmsfw: Dmsfw) -> Healthy:
    """What the tables held before any damage."""
    assert dmsfw.state()[0] == "in sync"
    assert (lab.connect("app", SERVER, 465), lab.connect("c6", SERVER6, 465)) == ("open", "open")
    return Healthy(lab, ours(lab), foreign(lab))


@pytest.fixture
def healthy(sound: Healthy) -> Healthy:
    """The tables as they were before any damage."""
    if not sound.is_healed() or foreign(sound.lab) != sound.foreign:
        sound.lab.firewall.restart()
        sound.lab.wait(sound.is_healed, "the tables to be sound before the test")
    return sound


@pytest.mark.parametrize("tool", ["iptables", "ip6tables"])
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_it_is_healed_when(healthy: Healthy, damage: str, tool: str) -> None:
    lab = healthy.lab
    lab.sh(filled_in(lab, damage, tool))
    lab.wait(lambda: sorted(ours(lab)) == sorted(healthy.ours), f"the healing of: {damage}")
    assert lab.connect("app", SERVER, 465).peer == WAN_ADDRESS
    assert lab.connect("c6", SERVER6, 465) == "open"
    if not damage.endswith((" -F FORWARD", " nat -F")):  # these took what is not ours away as well
        lab.wait(healthy.is_healed, "the hooks in their places")
        assert foreign(lab) == healthy.foreign


def filled_in(lab: Lab, damage: str, tool: str) -> str:
    """Return the script that does a damage to one family."""
    family = 4 if tool == "iptables" else 6
    for variable, table, chain in (("$hook", "filter", "FORWARD"), ("$nathook", "nat", "POSTROUTING")):
        (hook,) = [line for line in lab.rules(family, table) if HOOK.match(line)]
        damage = damage.replace(variable, hook.removeprefix(f"-A {chain} "))
    first = next(line for line in lab.rules(family) if line.startswith("-A DMSFW-FORWARD "))
    damage = damage.replace("$another", first.removeprefix("-A DMSFW-FORWARD ").replace("dport 465", "dport 587"))
    damage = damage.replace("$comment", COMMENT.findall(first)[0])
    return damage.replace("$ipt", tool)


def test_a_flush_of_everything_is_healed_as_far_as_it_is_ours(healthy: Healthy) -> None:
    lab = healthy.lab
    lab.firewall.flush()
    lab.wait(lambda: sorted(ours(lab)) == sorted(healthy.ours))
    assert lab.connect("app", SERVER, 465).peer == WAN_ADDRESS
    lab.firewall.restart()
    lab.wait(healthy.is_healed)
    assert foreign(lab) == healthy.foreign


def test_over_reloads_of_the_firewall_the_port_is_never_closed(healthy: Healthy) -> None:
    lab = healthy.lab
    for _ in range(5):
        lab.firewall.reload()
        assert lab.connect("app", SERVER, 465) == "open"
    lab.wait(healthy.is_healed)
    assert foreign(lab) == healthy.foreign


def test_the_repairs_are_logged_and_none_is_an_error(healthy: Healthy, dmsfw: Dmsfw) -> None:
    healthy.lab.firewall.restart()
    dmsfw.running.wait_for("info rules repaired trigger=")
    dmsfw.wait_for("in sync")
    complaints = [line for line in dmsfw.lines if line.startswith(("error ", "warning "))]
    # All the damages above together, within seconds, are a quarrel: it may be told of, once.
    assert not [line for line in complaints if not line.startswith("warning somebody keeps undoing the rules")]
    assert len(complaints) <= 1
