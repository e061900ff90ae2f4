"""Killed, stopped, started twice, kept from writing: nothing stale, no gap, and it lives on."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from signal import SIGKILL, SIGTERM

import pytest

from tests.e2e.support import (
    SHIPPED,
    WAN_ADDRESS,
    Dmsfw,
    background,
    create,
    field_network,
    foreign,
    mentions,
    opens,
    ours,
    rules_for,
    rules_in,
    world,
)
from tests.lab import SERVER, Lab, Running
from tests.lab.router import DMSFW_ENVIRONMENT

HOLD = """
import fcntl, time
file = open("/run/xtables.lock", "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(999)
"""
AS_NOBODY = """
import os, sys
import dmsfw.commands
from dmsfw.cli import main
os.setgid(65534)
os.setuid(65534)
sys.exit(main())
"""
"""Imports first: the clone may lie in a folder that only root may read, such as root's own."""
UNABLE = ["setpriv", "--bounding-set=-net_admin,-net_raw"]
ANY = opens("storm-*")


def test_a_kill_while_networks_change_leaves_nothing_stale_after_the_next_start(lab: Lab, dmsfw: Dmsfw) -> None:
    lab.compose("up", "-d")
    old = field_network(lab)
    dmsfw.start()
    dmsfw.running.kill()
    assert lab.connect("app", SERVER, 465) == "open"
    lab.compose("down", "-t", "0")
    lab.compose("up", "-d")
    new = field_network(lab)
    assert rules_in(lab) == rules_for([old])
    dmsfw.start()
    assert rules_in(lab) == rules_for([new])
    assert mentions(lab, old.bridge, old.subnet) == []
    assert lab.connect("app", SERVER, 465).peer == WAN_ADDRESS


def test_a_kill_in_the_middle_of_a_storm_leaves_nothing_stale_either(lab: Lab, dmsfw: Dmsfw) -> None:
    before = foreign(lab)
    for number in range(4):
        dmsfw.launch(ANY)
        storm(lab, number)
        dmsfw.running.kill()
        lab.sh(f"docker network rm storm-{number}-1")
    dmsfw.start(ANY)
    alive = [lab.network(name) for name in lab.sh("docker network ls -q -f name=storm-").stdout.split()]
    assert len(alive) == 8
    lab.wait(lambda: rules_in(lab) == rules_for(alive))
    assert foreign(lab) == before


def storm(lab: Lab, number: int) -> None:
    """Create three networks, as fast as Docker can."""
    lab.sh(f"seq 3 | xargs -P 3 -I N docker network create --subnet 10.5{number}.N.0/24 storm-{number}-N")


def test_a_storm_of_networks_ends_in_sync(lab: Lab, dmsfw: Dmsfw) -> None:
    dmsfw.start(ANY)
    script = """
        for round in 1 2 3; do
            seq 12 | xargs -P 6 -I N docker network create --subnet 10.60.N.0/24 storm-N
            seq 12 | xargs -P 6 -I N docker network rm storm-N
        done
        seq 12 | xargs -P 6 -I N docker network create --subnet 10.61.N.0/24 storm-N
        docker network rm storm-3
    """
    lab.sh(script)
    names = [f"storm-{number}" for number in range(1, 13) if number != 3]
    networks = [lab.network(name) for name in names]
    lab.wait(lambda: rules_in(lab) == rules_for(networks))
    dmsfw.wait_for("in sync")
    assert mentions(lab, "10.60.") == []


@pytest.mark.parametrize("signal", [SIGKILL, SIGTERM])
def test_a_restart_adopts_what_is_there_and_writes_nothing(lab: Lab, dmsfw: Dmsfw, signal: int) -> None:
    lab.compose("up", "-d")
    dmsfw.start()
    assert lab.connect("app", SERVER, 465) == "open"
    kept, before = ours(lab, counters=True), world(lab)
    assert not all("[0:0]" in line for line in kept)
    dmsfw.running.kill() if signal == SIGKILL else dmsfw.running.stop()
    dmsfw.start()
    dmsfw.another_pass()
    assert (ours(lab, counters=True), world(lab)) == (kept, before)
    assert dmsfw.log.count("network opened") == 1
    assert "rules repaired" not in dmsfw.log
    assert lab.connect("app", SERVER, 465) == "open"


def test_a_stop_leaves_the_rules(lab: Lab, dmsfw: Dmsfw) -> None:
    lab.compose("up", "-d")
    dmsfw.start()
    kept = ours(lab)
    assert dmsfw.running.stop() == 0
    assert ours(lab) == kept
    assert lab.connect("app", SERVER, 465) == "open"
    assert lab.dmsfw("status").returncode == 3


@pytest.mark.parametrize("what", ["docker", "ubus", "lock"])
def test_a_stop_is_heeded_while_something_hangs(lab: Lab, dmsfw: Dmsfw, what: str) -> None:
    """The lab's patience is far longer than the second that is promised, but shorter than any of these hangs."""
    lab.compose("up", "-d")
    dmsfw.start()
    with contextlib.ExitStack() as stack:
        if what == "docker":
            lab.engine.freeze()
            dmsfw.look_again()
            dmsfw.wait_for("degraded", "docker does not answer")
        elif what == "ubus":
            lab.netifd.behave("hang")
            dmsfw.look_again()
            dmsfw.wait_for("degraded", "uplinks does not answer")
        else:
            stack.enter_context(held_lock(lab))
            create(lab, "dms-network")
            dmsfw.running.wait_for("waiting for the xtables lock")
        kept = ours(lab)
        assert dmsfw.running.stop() == 0
        assert ours(lab) == kept
    assert not [line for line in dmsfw.lines if line.startswith("error ")]


@contextlib.contextmanager
def held_lock(lab: Lab) -> Iterator[Running]:
    """Hold the xtables lock as another program would."""
    with background(lab, [sys.executable, "-I", "-S", "-c", HOLD], name="lock-holder") as holder:
        holder.wait_for("held")
        yield holder


def test_while_another_program_holds_the_lock_it_waits_says_so_once_and_goes_on(lab: Lab, dmsfw: Dmsfw) -> None:
    lab.compose("up", "-d")
    network = field_network(lab)
    dmsfw.start()
    with held_lock(lab) as holder:
        new = create(lab, "dms-network")
        dmsfw.running.wait_for("waiting for the xtables lock")
        holder.signal(SIGKILL)
        lab.wait(lambda: rules_in(lab) == rules_for([network, new]))
    assert lab.connect("app", SERVER, 465) == "open"
    assert dmsfw.log.count("waiting for the xtables lock") == 1
    dmsfw.wait_for("in sync")


def test_of_two_daemons_the_second_gives_up_with_one_line(lab: Lab, dmsfw: Dmsfw) -> None:
    first = dmsfw.start()
    refused = [
        lab.popen(dmsfw_command(folder), name=f"second-{number}", env=DMSFW_ENVIRONMENT)
        for number, folder in enumerate(("/run/dmsfw", "/run/elsewhere"))
    ]
    for second in refused:
        assert second.wait() == 1
        assert second.log() == (
            "dmsfw: another dmsfw holds this network namespace: stop it first, or wait with --wait\n"
        )
    assert first.returncode is None
    dmsfw.another_pass()


def dmsfw_command(folder: str) -> list[str]:
    """Return the command of a daemon with a run-dir."""
    return [sys.executable, "-m", "dmsfw", "--config", "/etc/config/dmsfw", "--run-dir", folder, "run"]


def test_on_a_full_disk_it_goes_on_and_says_once_that_it_cannot_write_its_status(lab: Lab, dmsfw: Dmsfw) -> None:
    lab.sh("mkdir -p /run/dmsfw; mount -t tmpfs -o size=64k,mode=0755 tmpfs /run/dmsfw")
    try:
        dmsfw.start()
        lab.sh("cat /dev/zero >/run/dmsfw/ballast 2>/dev/null || true")
        lab.compose("up", "-d")
        lab.wait(lambda: lab.connect("app", SERVER, 465) == "open")
        lab.firewall.restart()
        lab.wait(lambda: rules_in(lab) == rules_for([field_network(lab)]))
        assert dmsfw.log.count("warning status cannot be written") == 1
        lab.sh("rm -f /run/dmsfw/ballast")
        dmsfw.another_pass()
        dmsfw.wait_for("in sync")
    finally:
        dmsfw.end()
        lab.sh("umount -l /run/dmsfw")


def test_without_its_run_dir_it_goes_on_and_says_so_once(lab: Lab, dmsfw: Dmsfw) -> None:
    dmsfw.start()
    lab.sh("rm -rf /run/dmsfw")
    lab.compose("up", "-d")
    lab.wait(lambda: rules_in(lab) == rules_for([field_network(lab)]))
    assert dmsfw.log.count("warning status cannot be written") == 1
    assert dmsfw.running.stop() == 0


@pytest.mark.parametrize("command", ["run", "apply", "plan", "clean"])
def test_without_being_root_a_command_says_what_to_do(lab: Lab, command: str) -> None:
    lab.configure(SHIPPED)
    python, _, _, *arguments = dmsfw_command("/run/dmsfw")[:-1]
    assert_one_line(lab, [python, "-c", AS_NOBODY, *arguments, command], "run dmsfw as root")


@pytest.mark.parametrize("command", ["apply", "plan", "clean"])
def test_without_the_right_to_change_the_firewall_a_command_says_so(lab: Lab, command: str) -> None:
    lab.compose("up", "-d")
    lab.configure(SHIPPED)
    before = world(lab)
    assert_one_line(lab, [*UNABLE, *dmsfw_command("/run/dmsfw")[:-1], command], "permi")
    assert world(lab) == before


def test_a_daemon_without_that_right_says_so_and_lives_on(lab: Lab) -> None:
    lab.compose("up", "-d")
    lab.configure(SHIPPED)
    argv = [*UNABLE, *dmsfw_command("/run/dmsfw")]
    with background(lab, argv, name="unable", env=DMSFW_ENVIRONMENT) as daemon:
        daemon.wait_for('error pass failed error="not permitted to read the firewall')
        code = lab.wait(lambda: lab.dmsfw("status").returncode)
        assert (code, daemon.returncode) == (1, None)
        assert "not permitted to read the firewall" in lab.dmsfw("status").stdout
        assert daemon.stop() == 0
        assert daemon.log().count("error pass failed") == 1


def assert_one_line(lab: Lab, argv: Sequence[str], text: str) -> None:
    """Run dmsfw under other rights: it fails with one line that holds a text."""
    done = lab.run(argv, check=False, env=DMSFW_ENVIRONMENT)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("dmsfw: ")
    assert text in done.stderr
