"""The world: all sources together, each read off the pass, and their last good readings as one snapshot."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dmsfw.errors import NeverRead
from dmsfw.model import Detour, Network, Settings, Snapshot
from dmsfw.observe import netifd
from dmsfw.observe.detours import DetourReader
from dmsfw.observe.docker import DockerReader, socket_path
from dmsfw.observe.events import EventStream
from dmsfw.observe.files import WatchRule
from dmsfw.observe.rhythm import Quiet
from dmsfw.observe.source import Source
from dmsfw.observe.uplinks import Memory, Reach, UplinkReader, resolve, watched_devices
from dmsfw.observe.watch import Watch

DOCKER_EVERY_S = 5.0
"""Docker is listed so often without any event: a daemon that hangs is noticed, an event that it lost is made up for."""

UPLINKS_EVERY_S = 30.0
ECHO_S = 0.5
"""netifd hears of a link from the kernel as we do, and may answer our first question before it has."""

DEAF_S = 10.0
"""A lost event stream is a fault to be shown only after so long: Docker is listed every few seconds all the same."""

CONFIG_FILES = frozenset({"network", "firewall"})
"""Foreign files beside ours that are read too."""

FIREWALL_FILES = frozenset({"fw3.state", "fw3.lock", "fw4.lock"})
"""firewall3 writes its state last of all. Both let go of their lock when they end, also where they failed in between;
firewall4's state is written before anything is loaded, and tells nothing."""

Wake = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """How one source does: the age of its last good reading, why it fails and for how long; None: never, not at all."""

    name: str
    age_s: float | None
    error: str
    failing_for_s: float | None


class World:
    """Owns the sources, their threads and the memory of last devices. All methods are for the main thread.

    `wake(trigger)` is called in other threads when something may have changed. `config`: our file; network and
    firewall are beside it; firewall3's state file and lock, and firewall4's, are looked for beside `xtables_lock`.
    `nftables`: listen to its transactions; this has the kernel load it where it was not.
    """

    def __init__(
        self,
        settings: Settings,
        wake: Wake,
        *,
        config: Path = Path("/etc/config/dmsfw"),
        xtables_lock: Path = Path("/run/xtables.lock"),
        nftables: bool = False,
    ) -> None:
        self._settings, self._wake = settings, wake
        self._config, self._xtables_lock, self._nftables = config, xtables_lock, nftables
        self._memory = Memory()
        self._lock = threading.Lock()
        self._docker, self._events = self._docker_source(), EventStream(self._docker_url, self._heard_event)
        self._uplinks = self._uplink_source()
        self._detours = self._detour_source()
        self._watch: Watch | None = None

    def start(self) -> None:
        """Begin to observe; each first reading wakes."""
        self._watch = self._new_watch()
        for part in (self._watch, self._docker, self._events, self._uplinks, self._detours):
            part.start()

    def stop(self) -> None:
        """End all threads. One that hangs in a reading is left behind; it ends with the process."""
        for part in (self._watch, self._events, self._docker, self._uplinks, self._detours):
            if part is not None:
                part.stop()

    def snapshot(self) -> Snapshot:
        """The last good readings, resolved by the settings of now.

        Raises: NeverRead when a source has not answered once since the start; it names each, and why.
        """
        networks, reach = self._docker.reading, self._uplinks.reading
        if networks is None or reach is None:
            raise _never_read(self._docker, self._uplinks)
        with self._lock:
            settings = self._settings
            uplinks, self._memory = resolve(settings, reach.value, self._memory)
        return Snapshot(settings, networks.value, uplinks)

    def reconfigure(self, settings: Settings) -> None:
        """Take other settings; the next snapshot is resolved by them. Another docker_url is connected to at once."""
        before = self._settings
        with self._lock:
            self._settings = settings
        if settings.docker_url != before.docker_url:
            self._follow_docker_url()
        if watched_devices(settings) != watched_devices(before):
            self._uplinks.poke("config")

    def poke_all(self, trigger: str) -> None:
        """Have everything read again."""
        self._docker.poke(trigger)
        self._events.nudge()
        self._uplinks.poke(trigger)

    def health(self) -> tuple[SourceHealth, ...]:
        """How the sources do, one each."""
        now = time.monotonic()
        uplinks = self._uplinks
        failing_for_s = _for(uplinks.failing_since, now)
        return (self._docker_health(now), SourceHealth(uplinks.name, uplinks.age_s, uplinks.error, failing_for_s))

    @property
    def reconnects(self) -> int:
        """How often Docker's event stream was lost and found again."""
        return self._events.reconnects

    def detours(self) -> tuple[Detour, ...]:
        """Containers that leave by another network, as last seen; never blocks. Asking has them sought again soon."""
        self._detours.poke("containers", minor=True)
        return () if (reading := self._detours.reading) is None else reading.value

    @staticmethod
    def read_once(settings: Settings, timeout_s: float = 2.0) -> Snapshot:
        """Read every source once, here and now, for a command.

        Raises: ObserveError that says what to do.
        """
        docker = DockerReader(lambda: settings.docker_url, timeout_s=timeout_s)
        try:
            networks = docker.networks()
        finally:
            docker.close()
        ask = partial(netifd.read_interfaces, timeout_s=timeout_s)
        reach = UplinkReader(lambda: watched_devices(settings), interfaces=ask).read()
        return Snapshot(settings, networks, resolve(settings, reach, Memory())[0])

    def _docker_source(self) -> Source[tuple[Network, ...]]:
        reader = DockerReader(self._docker_url)
        return Source("docker", reader.networks, self._docker_changed, every_s=DOCKER_EVERY_S, close=reader.close)

    def _uplink_source(self) -> Source[Reach]:
        reader = UplinkReader(lambda: watched_devices(self._settings))
        return Source("uplinks", reader.read, self._changed, every_s=UPLINKS_EVERY_S, echo_s=ECHO_S)

    def _detour_source(self) -> Source[tuple[Detour, ...]]:
        reader = DetourReader(DockerReader(self._docker_url))
        return Source("detours", reader.read, self._detours_changed, close=reader.close, rhythm=Quiet(), audible=False)

    def _docker_url(self) -> str:
        return self._settings.docker_url

    def _changed(self, _: str, trigger: str) -> None:
        self._wake(trigger)

    def _detours_changed(self, _: str, trigger: str) -> None:
        if self._detours.reading is not None:
            self._wake(trigger)

    def _docker_changed(self, _: str, trigger: str) -> None:
        """A daemon that hangs holds the event stream too: it is opened anew, and answered when the daemon is back."""
        if self._docker.error:
            self._events.break_off()
        else:
            self._events.nudge()
        self._wake(trigger)

    def _heard_event(self, minor: bool) -> None:  # noqa: FBT001 - a callback
        self._docker.poke("docker", minor=minor)
        if minor:
            self._detours.poke("containers", minor=True)

    def _docker_appeared(self) -> None:
        self._docker.poke("docker socket")
        # Also when a stream still stands: it may be one of a daemon that hangs and has been replaced.
        self._events.break_off()

    def _follow_docker_url(self) -> None:
        self._docker.poke("config")
        self._events.break_off()
        if (before := self._watch) is not None:
            self._watch = self._new_watch()
            self._watch.start()
            before.stop()

    def _new_watch(self) -> Watch:
        """Raises: ObserveError for a docker_url that is no unix socket."""
        lock, docker = self._xtables_lock, Path(socket_path(self._settings.docker_url))
        rules = (
            WatchRule(self._config.parent, CONFIG_FILES | {self._config.name}, partial(self._wake, "config")),
            WatchRule(lock.parent, frozenset({lock.name}), partial(self._wake, "xtables"), reads=True),
            WatchRule(lock.parent, FIREWALL_FILES, partial(self._wake, "firewall")),
            WatchRule(docker.parent, frozenset({docker.name}), self._docker_appeared),
        )
        on_nftables = partial(self._wake, "nftables") if self._nftables else None
        return Watch(rules, partial(self._uplinks.poke, "netlink", minor=True), on_nftables)

    def _docker_health(self, now: float) -> SourceHealth:
        failing: Source[tuple[Network, ...]] | EventStream = self._docker
        if not self._docker.error and (_for(self._events.failing_since, now) or 0.0) > DEAF_S:
            failing = self._events
        return SourceHealth("docker", self._docker.age_s, failing.error, _for(failing.failing_since, now))


def _for(since: float | None, now: float) -> float | None:
    return None if since is None else max(0.0, now - since)


def _never_read(*sources: Source[tuple[Network, ...]] | Source[Reach]) -> NeverRead:
    silent = [source for source in sources if source.reading is None]
    reasons = "; ".join(source.error or "not read yet" for source in silent)
    return NeverRead(" and ".join(source.name for source in silent), reasons)
