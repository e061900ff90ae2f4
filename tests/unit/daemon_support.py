"""A daemon over tables in memory and a world that a test writes, with a clock that moves only while nobody is awake.

`python -m tests.unit.daemon_support FOLDER` runs one with a real clock, real signals and a real xtables lock.
"""

from __future__ import annotations

import fcntl
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from dmsfw.backend import Backend
from dmsfw.bulletin import STATUS_NAME
from dmsfw.chronicle import Chronicle
from dmsfw.config import load
from dmsfw.daemon import Daemon
from dmsfw.decide.grants import grants
from dmsfw.enforce import Iptables
from dmsfw.enforce.lock import XtablesLock
from dmsfw.enforce.render import TableKey
from dmsfw.errors import DmsfwError, EnforceError
from dmsfw.model import Detour, Network, Plan, Policy, PortRange, Settings, Snapshot, Uplink, Uplinks
from dmsfw.observe.backoff import Backoff
from dmsfw.observe.world import SourceHealth
from dmsfw.reconciler import Outcome
from dmsfw.report.log import configure
from dmsfw.report.status import Status, from_json
from dmsfw.wake import Wake
from tests.contract.fake import FakeTables

FILTER, NAT = TableKey(4, "filter"), TableKey(4, "nat")
WAN = Uplink("wan", "pppoe-wan")
MANY_TURNS = 2000

MAIN = "config dmsfw 'main'\n"
SMTPS = "config egress 'smtps'\n\tlist network 'mail*'\n\tlist dest_port '465'\n"
GOOD = MAIN + SMTPS
SWITCHED_OFF = f"{MAIN}\toption enabled '0'\n{SMTPS}"
BROKEN = f"{GOOD}\tlist proto 'carrier-pigeon'\n"

MAIL = Network("1" * 12, "mail", "bridge", "br-mail", (ip_network("172.18.0.0/16"),))
MAIL_2 = Network("2" * 12, "mail-2", "bridge", "br-mail2", (ip_network("172.19.0.0/16"),))
WEB = Network("3" * 12, "web", "bridge", "br-web", (ip_network("172.20.0.0/16"),))
SMTPS_POLICY = Policy("smtps", networks=("mail*",), ports=(PortRange(465, 465),))

HEALTHY = (SourceHealth("docker", 0.5, "", None), SourceHealth("uplinks", 1.0, "", None))
DOCKER_AWAY = (SourceHealth("docker", 7.0, "Docker is not running", 7.0), HEALTHY[1])


class Clock:
    """Monotonic seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class SteppingWake(Wake):
    """A wake that does not sleep: the clock moves on instead, unless somebody has set it."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self.waits: list[float] = []

    def wait(self, timeout_s: float) -> None:
        self.waits.append(timeout_s)
        if not self._triggers:
            self._clock.now += max(0.0, timeout_s) + 0.0005


@dataclass
class WrittenWorld:
    """What a test says that there is. A poke reads, and wakes with what it was poked with, as real sources do."""

    settings: Settings
    wake: Callable[[str], None]
    networks: tuple[Network, ...] = (MAIL,)
    uplinks: Uplinks = field(default_factory=lambda: Uplinks(chosen=(WAN,)))
    fault: Exception | None = None
    sources: tuple[SourceHealth, ...] = HEALTHY
    astray: tuple[Detour, ...] = ()
    during_snapshot: Callable[[], object] = lambda: None
    at_start: Callable[[], object] = lambda: None
    snapshots: int = 0
    readings: int = 0
    reconnects: int = 0
    observing: bool = False

    def start(self) -> None:
        self.observing = True
        self.at_start()

    def stop(self) -> None:
        self.observing = False

    def snapshot(self) -> Snapshot:
        self.snapshots += 1
        if self.fault is not None:
            raise self.fault
        seen = Snapshot(self.settings, self.networks, self.uplinks)
        self.during_snapshot()
        return seen

    def reconfigure(self, settings: Settings) -> None:
        self.settings = settings

    def poke_all(self, trigger: str) -> None:
        self.readings += 1
        self.wake(trigger)

    def health(self) -> tuple[SourceHealth, ...]:
        return self.sources

    def detours(self) -> tuple[Detour, ...]:
        return self.astray


class Firewall(FakeTables):
    """Tables in memory. `refusal`: why the lock cannot be had; `lock`: one that is real."""

    refusal: Exception | None = None
    lock: XtablesLock | None = None

    @contextmanager
    def locked(self) -> Iterator[None]:
        if self.refusal is not None:
            raise self.refusal
        with super().locked():
            if self.lock is None:
                yield
            else:
                with self.lock.held():
                    yield

    def flush(self) -> None:
        """What a firewall's restart does."""
        self.tables.clear()


def only_iptables(iptables: Iptables) -> Backend:
    """The backend of a machine that has only iptables. Nobody may ask for firewall4 there."""
    no: Any = None
    return Backend(iptables, no, installed=lambda: False, has_nft=lambda: False, legacy_filters=lambda: True)


class Rig:
    """All of it together, in a folder."""

    def __init__(self, folder: Path, text: str = GOOD) -> None:
        self.folder, self.config = folder, folder / "dmsfw"
        self.write(text)
        self.clock = Clock()
        self.wake: Wake = SteppingWake(self.clock)
        self.firewall = Firewall()
        self.settings_of_log: list[Settings] = []
        settings = load(self.config).settings
        self.world = WrittenWorld(settings, self._woken)
        self.daemon = Daemon(
            config=self.config,
            settings=settings,
            world=self.world,
            enforcer=Iptables(self.firewall),
            wake=self.wake,
            chronicle=Chronicle(folder),
            apply_log_settings=self.settings_of_log.append,
            clock=self.clock,
            _backoff=Backoff(jitter=lambda: 1.0),
        )

    def _woken(self, trigger: str) -> None:
        self.wake.set(trigger)

    def write(self, text: str) -> None:
        self.config.write_text(text)

    def started(self) -> Rig:
        """Pass once, and be quiet."""
        self.daemon._schedule(self.clock.now)
        self.wake.set("start")
        self.turn()
        return self

    def turn(self, *triggers: str) -> None:
        """Let one turn happen, after these wakes."""
        for trigger in triggers:
            self.wake.set(trigger)
        self.daemon.turn()

    def turns_until(self, condition: Callable[[], object]) -> float:
        """Turn until something is so, and return how many seconds it took."""
        began = self.clock.now
        for _ in range(MANY_TURNS):
            if condition():
                return self.clock.now - began
            self.daemon.turn()
        raise AssertionError("it did not come about")

    def pass_for(self, seconds: float) -> None:
        """Let time go by."""
        ends_at = self.clock.now + seconds
        self.turns_until(lambda: self.clock.now >= ends_at)

    def served(self) -> set[str]:
        """The bridges that may reach something."""
        return bridges(self.firewall)

    def status(self) -> Status:
        return status_in(self.folder)


def bridges(firewall: FakeTables) -> set[str]:
    """The bridges that some rule lets out."""
    chain = firewall.tables.get(FILTER, {}).get(FILTER.own, ())
    return {match[1] for entry in chain if (match := re.search(r"-i (\S+) .*dport", entry.text))}


def status_in(folder: Path) -> Status:
    return from_json((folder / STATUS_NAME).read_text())


def settings(*policies: Policy, **given: Any) -> Settings:
    return Settings(policies=policies or (SMTPS_POLICY,), **given)


def outcome(*networks: Network, plan: Plan | None = None, **given: Any) -> Outcome:
    """What a pass saw and did. `given`: fields of the snapshot."""
    given.setdefault("settings", settings())
    given.setdefault("uplinks", Uplinks(chosen=(WAN,)))
    snapshot = Snapshot(networks=networks, **given)
    return Outcome(snapshot, grants(snapshot), Plan(rules=3) if plan is None else plan)


def with_subnet(network: Network, subnet: str) -> Network:
    return replace(network, subnets=(ip_network(subnet),))


def events(entries: Iterable[Any]) -> list[str]:
    """The messages of log entries that were captured."""
    return [entry["event"] for entry in entries]


def of(entries: Iterable[Any], event: str) -> list[dict[str, Any]]:
    """The entries with one message."""
    return [dict(entry) for entry in entries if entry["event"] == event]


@contextmanager
def lock_held(path: Path) -> Iterator[None]:
    """Be another process with the lock: a descriptor of its own."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _serve_here(folder: Path) -> None:
    configure("info", dev_log="")
    rig = Rig(folder)
    rig.daemon.clock, rig.daemon.wake = time.monotonic, Wake()
    rig.wake = rig.daemon.wake
    rig.firewall.lock = XtablesLock(folder / "xtables.lock", stop=lambda: rig.daemon.stopping)
    rig.daemon.run()


def failing(what: str = "iptables table filter: out of memory") -> DmsfwError:
    return EnforceError(what)


if __name__ == "__main__":
    _serve_here(Path(sys.argv[1]))
