"""The daemon: wait for a wake, run a pass, say what changed, outlive whatever goes wrong.

1. A wake-up carries no news, only "look again"; it is cleared before the pass, so that one during a pass earns another.
2. Passes are paced, so that a storm neither floods the kernel nor starves its last change. The use of the xtables lock
   alone earns a pass only where a table of this host was touched.
3. Without any event: once a second a cheap look whether somebody wrote to the tables, every `COMPARE_S` a whole pass,
   every `resync_interval` a whole reading of the sources.
4. Somebody who keeps undoing the rules is answered once a second, and told of once.
5. A pass that fails is tried again, ever more seldom, and at once after a wake.
6. SIGTERM ends it within a second and leaves the rules; SIGHUP reads the configuration and everything else again.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from dmsfw.chronicle import Chronicle
from dmsfw.config import Loaded, load
from dmsfw.decide.clockwork import COMPARE_S, LOOK_S, Clockwork
from dmsfw.decide.pace import Pace
from dmsfw.decide.quarrel import WINDOW_S, Quarrel
from dmsfw.decide.triggers import CONFIG, ECHOES, NOISE, REPAIR, RESYNC
from dmsfw.errors import DmsfwError, EnforceError, NeverRead, SettingsError
from dmsfw.model import Settings, Snapshot
from dmsfw.observe.backoff import Backoff
from dmsfw.ports import ObservedWorld, WatchfulEnforcer
from dmsfw.reconciler import Outcome, World, reconcile
from dmsfw.wake import Wake

log = structlog.get_logger()


@dataclass
class Daemon:
    """Runs in the main thread, which alone writes to the firewall."""

    config: Path
    settings: Settings
    world: ObservedWorld
    enforcer: WatchfulEnforcer
    wake: Wake
    chronicle: Chronicle
    apply_log_settings: Callable[[Settings], None] = lambda _: None
    clock: Callable[[], float] = time.monotonic
    stopping: bool = False
    _pace: Pace = field(default_factory=Pace)
    _looks: Pace = field(default_factory=Pace)
    _quarrel: Quarrel = field(default_factory=Quarrel)
    _backoff: Backoff = field(default_factory=Backoff)
    _due: Clockwork = field(default_factory=Clockwork)
    _pending: set[str] = field(default_factory=set)
    _last: Outcome | None = None

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT."""
        self._catch_signals()
        self._schedule(self.clock())
        self.world.start()
        self.wake.set("start")
        try:
            while not self.stopping:
                self.turn()
        finally:
            self.world.stop()
        log.info("stopped", rules="left in place")

    def turn(self) -> None:
        """Wait until something is due, and do it."""
        self.wake.wait(self._due.next_at - self.clock())
        now = self.clock()
        try:
            self._collect(now)
            if self._pending and now >= self._due.serve_at and not self.stopping:
                self._serve(now)
        except Exception as error:  # noqa: BLE001 - a fault of ours must not leave the firewall unattended
            self._crashed(error)

    def stop(self) -> None:
        """End after the pass that runs now. May be called in a signal handler."""
        self.stopping = True
        self.wake.set("stop")

    def _catch_signals(self) -> None:
        signal.signal(signal.SIGTERM, lambda *_: self.stop())
        signal.signal(signal.SIGINT, lambda *_: self.stop())
        signal.signal(signal.SIGHUP, lambda *_: self.wake.set("signal"))

    def _schedule(self, now: float) -> None:
        """Set the next look, compare and resync from now."""
        self._due.look_at, self._due.compare_at = now + LOOK_S, now + COMPARE_S
        self._due.resync_at = now + self.settings.resync_s

    def _collect(self, now: float) -> None:
        """Gather why a pass is due, and when it may begin."""
        heard = self.wake.take()
        if heard & ECHOES and not self._somebody_wrote(self.enforcer.changed):
            heard -= ECHOES
        self._pending |= heard
        self._pending |= self._timed(now)
        if self._pending:
            pace = self._looks if self._pending <= NOISE else self._pace
            delay_s = max(pace.delay(now), self._held_back_s(now))
            self._due.serve_at = min(self._due.serve_at, now + delay_s)

    def _held_back_s(self, now: float) -> float:
        """Only repairs wait in a quarrel."""
        return self._quarrel.delay(now) if self._pending <= REPAIR else 0.0

    def _timed(self, now: float) -> set[str]:
        triggers = set()
        if now >= self._due.look_at:
            self._due.look_at = now + LOOK_S
            if self._somebody_wrote(self.enforcer.changed):
                triggers.add("tables")
        if now >= self._due.compare_at:
            self._due.compare_at = now + COMPARE_S
            triggers.add("timer")
        if now >= self._due.resync_at:
            self._due.resync_at = now + self.settings.resync_s
            self.world.poke_all(RESYNC)
            triggers.add(RESYNC)
        if now >= self._due.retry_at:
            self._due.retry_at = float("inf")
            triggers.add("retry")
        return triggers

    def _somebody_wrote(self, ask: Callable[[], bool]) -> bool:
        if self._last is None:
            return False
        try:
            return ask()
        except EnforceError:
            # A pass says it aloud; while that one is being tried again anyhow, a look must not hurry it.
            return self._due.retry_at == float("inf")

    def _serve(self, now: float) -> None:
        """Clear what is pending, then pass: a wake from here on earns another pass."""
        triggers = frozenset(self._pending)
        self._pending.clear()
        self._due.serve_at = float("inf")
        if triggers <= NOISE:
            self._looks.spend(now)
            if not self._somebody_wrote(self.enforcer.touched):
                return
        self._due.retry_at = float("inf")
        self._pace.spend(now)
        if triggers & CONFIG:
            self._reload(triggers)
        self._pass(triggers, now)

    def _reload(self, triggers: frozenset[str]) -> None:
        try:
            self._take(load(self.config, self.settings.wan_zone))
        except SettingsError as error:
            self.chronicle.config_broken(error)
        if "signal" in triggers:
            # Each source wakes with what it was poked with: by "signal" it would poke itself for ever.
            self.world.poke_all(RESYNC)

    def _take(self, loaded: Loaded) -> None:
        changed = loaded.settings != self.settings
        self.settings = loaded.settings
        self.chronicle.config_taken(loaded, changed=changed)
        if changed:
            self.apply_log_settings(loaded.settings)
            self.world.reconfigure(loaded.settings)
            self._due.resync_at = min(self._due.resync_at, self.clock() + loaded.settings.resync_s)

    def _pass(self, triggers: frozenset[str], began: float) -> None:
        outcome = self._reconciled()
        if outcome is not None:
            if outcome.plan and self._last is not None and self._last.grants == outcome.grants:
                self._quarrel.repaired(began)
            self._tell_of_quarrel(outcome, began)
            self.chronicle.passed(self._last, outcome, triggers)
            self._last = outcome
        self.chronicle.write_status(
            outcome or self._last,
            self.settings,
            self.world,
            triggers=triggers,
            duration_s=self.clock() - began,
            done=outcome is not None,
        )
        if outcome is not None and outcome.fault is None:
            self._backoff.reset()

    def _tell_of_quarrel(self, outcome: Outcome, began: float) -> None:
        """While there is one, a pass is due once it may be over: that is to be said as well."""
        is_on = self._quarrel.is_on(began)
        self.chronicle.quarrel(outcome.plan, is_on=is_on)
        if is_on:
            self._due.retry_at = min(self._due.retry_at, began + WINDOW_S + LOOK_S)

    def _reconciled(self) -> Outcome | None:
        """Run a pass; None when it could not be done, which is noted and tried again."""
        try:
            outcome = reconcile(self._seen_world(), self.enforcer)
        except DmsfwError as error:
            self._failed(error)
        except Exception as error:  # noqa: BLE001 - nor may it hide the state of things
            self.chronicle.crashed(error)
            self._failed(EnforceError(f"{type(error).__name__}: {error}"))
        else:
            if outcome.fault is not None:
                self._failed(outcome.fault)
            return outcome
        return None

    def _seen_world(self) -> World:
        """Switched off, nothing needs to be known: the rules go even while Docker is away."""
        return self.world if self.settings.enabled else _Nothing(self.settings)

    def _failed(self, error: DmsfwError) -> None:
        """A source that was never read pokes us when it is; anything else is tried again."""
        self.chronicle.failed(error, stopping=self.stopping)
        if not isinstance(error, NeverRead):
            self._retry()

    def _crashed(self, error: Exception) -> None:
        """Something beside the pass went wrong."""
        self.chronicle.crashed(error)
        self._retry()

    def _retry(self) -> None:
        self._due.retry_at = self.clock() + self._backoff.next_s()


@dataclass(frozen=True, slots=True)
class _Nothing:
    """The world while dmsfw is switched off."""

    settings: Settings

    def snapshot(self) -> Snapshot:
        """Nobody, nowhere."""
        return Snapshot(self.settings)
