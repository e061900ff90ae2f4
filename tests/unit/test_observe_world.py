"""All sources together: what the daemon sees of the world."""

from __future__ import annotations

import gc
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dmsfw.errors import NeverRead, ObserveError
from dmsfw.model import Detour, Policy, Settings, Uplink, Zone
from dmsfw.observe import world as subject
from dmsfw.observe.netifd import Interface
from dmsfw.observe.rhythm import Poke
from dmsfw.observe.source import Reading
from dmsfw.observe.uplinks import Reach, UplinkReader
from dmsfw.observe.world import World
from tests.unit.observe_support import FakeDocker, network, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WAN = Interface("wan", up=True, device="pppoe-wan")
LAN = Interface("lan", up=True, device="br-lan")


# docker-py leaves a socket that was refused to the garbage collector; here Docker may die at that very moment.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    yield
    gc.collect()


class Rig:
    """A world with a Docker of ours and interfaces that a test writes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.woken: list[str] = []
        self.reach: Reach | ObserveError = Reach((WAN, LAN))
        self.settings = Settings(docker_url=f"unix://{folder}/docker.sock", wan_zone=Zone(interfaces=("wan",)))
        self.world: World | None = None

    def read(self) -> Reach:
        if isinstance(self.reach, ObserveError):
            raise self.reach
        return self.reach

    def start(self) -> World:
        self.world = World(
            self.settings, self.woken.append, config=self.folder / "dmsfw", xtables_lock=self.folder / "xtables.lock"
        )
        self.world.start()
        return self.world

    def settled(self) -> World:
        """Start, and wait until everything has been read and the stream stands."""
        world = self.world or self.start()
        until(lambda: world._events.connected and "uplinks" in self.woken, "the first readings")
        until(lambda: world._docker._poke is None, "the reading after subscribing")
        world._docker.poke("settled")
        until(lambda: "settled" in self.woken, "the end of that reading")
        self.woken.clear()
        return world


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    made = Rig(tmp_path)
    monkeypatch.setattr(UplinkReader, "read", lambda _: made.read())
    yield made
    if made.world is not None:
        made.world.stop()
        until(
            lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("dmsfw")],
            "the threads' end",
        )


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeDocker]:
    with FakeDocker(tmp_path / "docker.sock") as server:
        yield server
        server.die()


def test_the_snapshot_holds_networks_and_uplinks(rig: Rig, fake: FakeDocker) -> None:
    del fake
    snapshot = rig.settled().snapshot()
    assert [each.name for each in snapshot.networks] == ["dms-network"]
    assert snapshot.uplinks.chosen == (Uplink("wan", "pppoe-wan"),)
    assert snapshot.uplinks.others == (Uplink("lan", "br-lan"),)
    assert snapshot.settings is rig.settings


def test_sources_that_were_never_read_are_named_with_their_reasons(rig: Rig) -> None:
    rig.reach = ObserveError("ubus", "no answer")
    world = rig.start()
    until(lambda: all(each.error for each in world.health()))
    with pytest.raises(NeverRead, match=r"docker and uplinks: Docker is not running .*; no answer"):
        world.snapshot()
    assert [each.age_s for each in world.health()] == [None, None]


def test_docker_that_appears_is_read_without_waiting_for_a_timer(rig: Rig, tmp_path: Path) -> None:
    world = rig.start()
    until(lambda: world._docker.error)
    with FakeDocker(tmp_path / "docker.sock") as late:
        until(lambda: world._docker.reading and world._events.connected)
        assert world.snapshot().networks
        until(lambda: not world._docker.error)
        late.die()


def test_an_event_is_a_reading_and_a_wake(rig: Rig, fake: FakeDocker) -> None:
    world = rig.settled()
    fake.answers["/networks"] = [network(), network("other", "5" * 64)]
    fake.event()
    until(lambda: rig.woken)
    assert [each.name for each in world.snapshot().networks] == ["dms-network", "other"]
    assert rig.woken == ["docker"]


def test_an_event_of_a_network_wakes_though_it_reads_the_same(rig: Rig, fake: FakeDocker) -> None:
    rig.settled()
    fake.event(b'{"Type":"network","Action":"create"}\n')
    until(lambda: rig.woken == ["docker"])


def test_a_burst_of_events_is_not_a_reading_each(rig: Rig, fake: FakeDocker) -> None:
    rig.settled()
    before = fake.count("/networks")
    for _ in range(100):
        fake.event()
    fake.answers["/networks"] = []
    fake.event()
    assert rig.world is not None
    until(lambda: rig.world is not None and rig.world.snapshot().networks == ())
    assert fake.count("/networks") - before < 30


def test_containers_that_come_and_go_take_nothing_from_a_network_that_comes(rig: Rig, fake: FakeDocker) -> None:
    """A storm of containers that restart settles, wakes nobody, and leaves the next network its turn."""
    world = rig.settled()
    before = fake.count("/networks")
    for _ in range(200):
        fake.event(b'{"Type":"network","Action":"connect"}\n')
    until(lambda: fake.count("/networks") > before)
    assert rig.woken == []
    assert world._docker._rhythm.wait_s(Poke("docker", minor=False), time.monotonic()) <= 0
    fake.answers["/networks"] = []
    fake.event(b'{"Type":"network","Action":"destroy"}\n')
    until(lambda: rig.woken)
    assert world.snapshot().networks == ()


def test_docker_that_dies_leaves_its_last_good_reading(rig: Rig, fake: FakeDocker) -> None:
    world = rig.settled()
    fake.die()
    until(lambda: world.health()[0].error, "the failure, without waiting for a timer", patience_s=3.0)
    assert [each.name for each in world.snapshot().networks] == ["dms-network"]
    failing = world.health()[0]
    assert failing.age_s is not None
    assert failing.failing_for_s is not None


def test_docker_that_hangs_is_noticed_and_its_stream_opened_anew(
    rig: Rig, fake: FakeDocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "DOCKER_EVERY_S", 0.05)
    world = rig.start()
    until(lambda: world._events.connected and world._docker.reading)
    assert world._docker.reading is not None
    fake.hangs.set()
    until(lambda: world.health()[0].error, "the failure")
    until(lambda: fake.count("/events") == 2, "a stream that waits for the daemon")
    connected = world._events.connected
    fake.answers["/networks"] = []
    fake.hangs.clear()
    fake.released.set()
    until(lambda: world._events.connected > connected)
    until(lambda: world.snapshot().networks == ())
    assert world.reconnects == 1


def test_the_end_of_the_stream_is_counted_and_followed_by_a_reading(rig: Rig, fake: FakeDocker) -> None:
    world = rig.settled()
    fake.end_all_streams()
    until(lambda: world.reconnects == 1)
    until(lambda: "docker" in rig.woken)


def test_a_stream_that_stays_away_is_a_fault_after_a_while(
    rig: Rig, fake: FakeDocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.events_status = 500
    world = rig.start()
    until(lambda: world._docker.reading and "500" in world._events.error)
    assert world.health()[0].error == ""
    monkeypatch.setattr(subject, "DEAF_S", 0.0)
    assert "HTTP 500" in world.health()[0].error


@pytest.mark.parametrize(
    ("name", "trigger"),
    [
        ("dmsfw", "config"),
        ("network", "config"),
        ("firewall", "config"),
        ("xtables.lock", "xtables"),
        ("fw3.state", "firewall"),
        ("fw3.lock", "firewall"),
    ],
)
def test_files_wake_by_their_trigger(rig: Rig, fake: FakeDocker, name: str, trigger: str) -> None:
    del fake
    rig.settled()
    (rig.folder / name).write_text("x")
    until(lambda: trigger in rig.woken)
    assert set(rig.woken) == {trigger}


def test_other_lists_are_resolved_at_once_from_the_last_reading(rig: Rig, fake: FakeDocker) -> None:
    del fake
    world = rig.settled()
    rig.reach = ObserveError("ubus", "hangs")
    world.reconfigure(replace(rig.settings, uplinks=("lan",)))
    assert world.snapshot().uplinks.chosen == (Uplink("lan", "br-lan"),)


def test_an_uplink_that_falls_keeps_its_device_over_snapshots(rig: Rig, fake: FakeDocker) -> None:
    del fake
    world = rig.settled()
    world.snapshot()
    rig.reach = Reach((Interface("wan", up=False), LAN))
    world.poke_all("resync")
    until(lambda: "resync" in rig.woken)
    until(lambda: world._uplinks.reading is not None and world._uplinks.reading.value == rig.reach)
    assert world.snapshot().uplinks.chosen == (Uplink("wan", "pppoe-wan", up=False),)


def test_a_netlink_wake_comes_only_when_the_uplinks_differ(rig: Rig, fake: FakeDocker) -> None:
    del fake
    world = rig.settled()
    at = world._uplinks.reading
    world._uplinks.poke("netlink", minor=True)
    until(lambda: world._uplinks.reading is not at)
    assert rig.woken == []
    rig.reach = Reach((replace(WAN, device="ppp1"),))
    world._uplinks.poke("netlink", minor=True)
    until(lambda: rig.woken)
    assert world.snapshot().uplinks.chosen == (Uplink("wan", "ppp1"),)


def test_a_policys_other_uplinks_have_the_uplinks_read_again(rig: Rig, fake: FakeDocker) -> None:
    del fake
    world = rig.settled()
    world.reconfigure(replace(rig.settings, policies=(Policy("nas", uplinks=("lan",)),)))
    until(lambda: rig.woken == ["config"])


def test_another_docker_is_connected_to_and_its_socket_watched(rig: Rig, fake: FakeDocker) -> None:
    world = rig.settled()
    (rig.folder / "other").mkdir()
    world.reconfigure(replace(rig.settings, docker_url=f"unix://{rig.folder}/other/docker.sock"))
    until(lambda: world._docker.error)
    assert [each.name for each in world.snapshot().networks] == ["dms-network"]
    with FakeDocker(rig.folder / "other" / "docker.sock") as other:
        other.answers["/networks"] = []
        until(lambda: world.snapshot().networks == () and other.streams)
        other.die()
    assert fake.count("/events") == 1


def test_a_socket_that_is_bound_anew_breaks_off_the_stream_of_the_old_one(
    rig: Rig, fake: FakeDocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon that hangs keeps its stream open; the one that takes its place is behind the same name."""
    del fake
    broken_off: list[str] = []
    monkeypatch.setattr(rig.settled()._events, "break_off", lambda: broken_off.append("events"))
    (rig.folder / "docker.sock").rename(rig.folder / "aside").rename(rig.folder / "docker.sock")
    until(lambda: broken_off)


def test_detours_are_looked_for_only_when_somebody_asks(
    rig: Rig, fake: FakeDocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = (Detour("c", "mail", "web"),)
    monkeypatch.setattr(subject.DetourReader, "read", lambda _: seen)
    world = rig.settled()
    world._detours._rhythm = subject.Quiet(quiet_s=0.0, spacing_s=0.0)
    assert world._detours.reading is None
    assert world.detours() == ()
    until(lambda: rig.woken == ["containers"])
    assert world.detours() == seen
    del fake


def test_a_container_that_joins_a_network_has_detours_looked_for_without_a_pass(
    rig: Rig, fake: FakeDocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject.DetourReader, "read", lambda _: (Detour("c", "mail", "web"),))
    world = rig.settled()
    world._detours._rhythm = subject.Quiet(quiet_s=0.0, spacing_s=0.0)
    fake.event(b'{"Type":"network","Action":"connect"}\n')
    until(lambda: rig.woken == ["containers"])


def test_detours_that_cannot_be_read_wake_and_fail_nobody(
    rig: Rig, fake: FakeDocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    del fake
    world = rig.settled()
    monkeypatch.setattr(subject.DockerReader, "get", lambda *_: 1 / 0)
    world._detours._rhythm = subject.Quiet(quiet_s=0.0, spacing_s=0.0)
    assert world.detours() == ()
    until(lambda: world._detours.error)
    assert rig.woken == []
    assert [each.name for each in world.health()] == ["docker", "uplinks"]


def test_stopping_is_quick_even_while_docker_hangs(rig: Rig, fake: FakeDocker) -> None:
    world = rig.settled()
    fake.hangs.set()
    world.poke_all("resync")
    until(lambda: fake.count("/networks") > 2)
    began = time.monotonic()
    world.stop()
    assert time.monotonic() - began < 1.0
    fake.released.set()


def test_settings_may_change_while_snapshots_are_taken(rig: Rig, fake: FakeDocker) -> None:
    del fake
    world = rig.settled()
    other = replace(rig.settings, uplinks=("lan",))
    wanted = {rig.settings: "wan", other: "lan"}

    def change() -> None:
        for number in range(500):
            world.reconfigure(other if number % 2 else rig.settings)

    thread = threading.Thread(target=change)
    thread.start()
    while thread.is_alive():
        snapshot = world.snapshot()
        assert [uplink.interface for uplink in snapshot.uplinks.chosen] == [wanted[snapshot.settings]]
    thread.join()


def test_a_command_reads_once_and_leaves_no_thread(rig: Rig, fake: FakeDocker) -> None:
    del fake
    before = set(threading.enumerate())
    snapshot = World.read_once(rig.settings)
    assert [each.name for each in snapshot.networks] == ["dms-network"]
    assert snapshot.uplinks.chosen == (Uplink("wan", "pppoe-wan"),)
    assert {thread for thread in set(threading.enumerate()) - before if thread.name.startswith("dmsfw")} == set()


def test_a_command_without_docker_says_how_to_start_it(rig: Rig) -> None:
    with pytest.raises(ObserveError, match=r"/etc/init\.d/dockerd start"):
        World.read_once(rig.settings)


def test_an_age_is_that_of_the_last_good_reading(rig: Rig, fake: FakeDocker) -> None:
    del fake
    world = rig.settled()
    world.stop()
    world._docker.reading = Reading((), time.monotonic() - 7)
    age_s = world.health()[0].age_s
    assert age_s is not None
    assert 7 <= age_s < 7 + 10
