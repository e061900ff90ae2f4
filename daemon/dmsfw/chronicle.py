"""What a daemon tells: each thing once when it becomes so, in the log; how all of it stands, in the status file."""

from __future__ import annotations

import os
from collections.abc import Hashable
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import structlog

from dmsfw import __version__
from dmsfw.decide.standing import Standing, standing
from dmsfw.errors import DmsfwError, NeverRead, SettingsError
from dmsfw.model import Grant, Plan, Snapshot, Uplinks
from dmsfw.report.compose import Health, compose
from dmsfw.report.files import write_atomically
from dmsfw.report.hints import commands_to_name_the_uplink
from dmsfw.report.sentence import lines_for_change
from dmsfw.report.status import Pass, SourceStatus, to_json

if TYPE_CHECKING:
    from dmsfw.config import Loaded
    from dmsfw.model import Detour, Settings
    from dmsfw.observe.world import SourceHealth
    from dmsfw.reconciler import Outcome

STATUS_NAME = "status.json"

NO_UPLINK = "no uplink is up"

log = structlog.get_logger()


class Observed(Protocol):
    """What the status needs of the world."""

    def health(self) -> tuple[SourceHealth, ...]:
        """How the sources do."""

    def detours(self) -> tuple[Detour, ...]:
        """Containers that leave by another network."""


class Chronicle:
    """Remembers what has been said, so that a quiet system logs nothing. `run_dir`: where the status file goes."""

    def __init__(self, run_dir: Path) -> None:
        self._status_file = run_dir / STATUS_NAME
        self._said: dict[str, Hashable] = {}
        self._passes = 0
        self._last_pass: Pass | None = None
        self._error = ""
        self._config_error = ""
        self._waits_for = ""

    def config_broken(self, error: SettingsError) -> None:
        """The file cannot be used: the last good one is."""
        self._config_error = error.problems[0]
        if self._is_news("config", error.problems):
            for problem in error.problems:
                log.error("configuration is broken, the last good one is used", problem=problem)

    def config_taken(self, loaded: Loaded, *, changed: bool) -> None:
        """The file is good; `changed`: and another one than before."""
        mended = bool(self._config_error)
        self._config_error = ""
        self._is_news("config", None)
        if changed or mended:
            log.info("configuration loaded", policies=[policy.name for policy in loaded.settings.active])
        if self._is_news("config warnings", loaded.warnings):
            for warning in loaded.warnings:
                log.warning("configuration warning", warning=warning)

    def passed(self, before: Outcome | None, outcome: Outcome, triggers: frozenset[str]) -> None:
        """A pass is done: say what it changed, what it mended and what the owner ought to know."""
        stands = standing(outcome.snapshot)
        self._passes += 1
        self._works_again()
        if before is None:
            self._started(outcome, stands)
        elif outcome.plan:
            self._changed(before, outcome, triggers)
        self._advise(outcome.snapshot, stands)

    def failed(self, error: DmsfwError, *, stopping: bool) -> None:
        """A pass could not be done. To wait for a source, or to be stopped while waiting, is no failure."""
        self._waits_for = error.source if isinstance(error, NeverRead) else ""
        if stopping or isinstance(error, NeverRead):
            return
        self._error = str(error)
        if self._is_news("pass", self._error):
            log.error("pass failed", error=self._error)

    def write_status(
        self,
        outcome: Outcome | None,
        settings: Settings,
        world: Observed,
        *,
        triggers: frozenset[str],
        duration_s: float,
        done: bool,
    ) -> None:
        """Write the status file. That it cannot be written is said once and stops nothing."""
        snapshot = outcome.snapshot if outcome else Snapshot(settings)
        if done and outcome is not None:
            at = datetime.now(timezone.utc).astimezone().isoformat(timespec="seconds")
            duration_ms = round(duration_s * 1000, 2)
            self._last_pass = Pass(at, duration_ms, "+".join(sorted(triggers)), len(outcome.plan.changes))
        stands = standing(snapshot)
        status = compose(
            snapshot,
            outcome.grants if outcome else (),
            outcome.plan if outcome else Plan(),
            self._health(snapshot, world.health()),
            selected=stands.selected,
            unselected=stands.unselected,
            idle=stands.idle,
            skipped=stands.skipped,
            detours=_relevant(world.detours(), stands),
        )
        self._write(to_json(status))

    def _write(self, text: str) -> None:
        try:
            write_atomically(self._status_file, text)
        except OSError as error:
            if self._is_news("status file", error.errno):
                log.warning("status cannot be written", file=str(self._status_file), error=error.strerror)
        else:
            self._is_news("status file", None)

    def _health(self, snapshot: Snapshot, sources: tuple[SourceHealth, ...]) -> Health:
        uplinks = snapshot.uplinks
        lost = snapshot.settings.enabled and self._last_pass is not None and not _is_up(uplinks)
        return Health(
            version=__version__,
            pid=os.getpid(),
            passes=self._passes,
            last_pass=self._last_pass,
            last_error=self._error,
            sources=tuple(SourceStatus(source.name, source.age_s, source.error) for source in sources),
            faults=tuple(self._faults(sources, NO_UPLINK if lost else "")),
            remedies=commands_to_name_the_uplink(uplinks) if lost else (),
        )

    def _faults(self, sources: tuple[SourceHealth, ...], uplink_fault: str) -> list[str]:
        faults = [f"{source.name} does not answer: {source.error}" for source in sources if source.error]
        if uplink_fault:
            faults.append(uplink_fault)
        if self._config_error:
            faults.append(f"the configuration is broken and the last good one is used: {self._config_error}")
        if self._said.get("pass") is not None:
            faults.append(f"the last pass failed: {self._error}")
        if self._waits_for and not faults:
            faults.append(f"waiting for the first reading of {self._waits_for}")
        return faults

    def _works_again(self) -> None:
        if self._said.get("pass") is not None:
            log.info("pass works again", after=self._error)
        self._is_news("pass", None)
        self._waits_for = ""

    def _started(self, outcome: Outcome, stands: Standing) -> None:
        log.info(
            "started",
            version=__version__,
            uplinks=[f"{uplink.interface}({uplink.device})" for uplink in outcome.snapshot.uplinks.chosen],
            networks=len(outcome.snapshot.networks),
            selected=len(stands.selected),
            rules=outcome.plan.rules,
        )
        if outcome.plan:
            self._log_changes((), outcome)

    def _changed(self, before: Outcome, outcome: Outcome, triggers: frozenset[str]) -> None:
        if not self._log_changes(before.grants, outcome):
            signs = [change.sign for change in outcome.plan.changes]
            log.info("rules repaired", trigger=sorted(triggers), added=signs.count("+"), removed=signs.count("-"))

    def _log_changes(self, before: tuple[Grant, ...], outcome: Outcome) -> bool:
        lines = lines_for_change(before, outcome.grants)
        for message, keys in lines:
            log.info(message, **keys)
        return bool(lines)

    def _advise(self, snapshot: Snapshot, stands: Standing) -> None:
        names = tuple(network.name for network in snapshot.networks if network.driver == "bridge")
        for policy in snapshot.settings.policies:
            idle = policy in stands.idle
            if self._is_news(f"idle {policy.name}", (policy, names) if idle else None):
                log.warning("policy selects no network", policy=policy.name, networks=names)
        skipped = tuple((network.name, reason) for network, reason in stands.skipped)
        if self._is_news("skipped", skipped):
            for name, reason in skipped:
                log.warning("network skipped", network=name, reason=reason)
        self._advise_on_uplinks(snapshot)

    def _advise_on_uplinks(self, snapshot: Snapshot) -> None:
        if not snapshot.settings.enabled:
            return
        had, has = self._said.get("uplink"), _is_up(snapshot.uplinks)
        if self._is_news("uplink", not has) and not has:
            log.warning(NO_UPLINK, default_devices=snapshot.uplinks.default_devices, missing=snapshot.uplinks.missing)
        elif had and has:
            log.info("uplink is up again", uplinks=[uplink.device for uplink in snapshot.uplinks.chosen if uplink.up])

    def _is_news(self, topic: str, what: Hashable) -> bool:
        """Remember what was said of a topic; true when it is something, and something else than last time.

        None and an empty tuple say that there is nothing any more.
        """
        if self._said.get(topic) == what:
            return False
        self._said[topic] = what
        return bool(what)


def _is_up(uplinks: Uplinks) -> bool:
    return any(uplink.up for uplink in uplinks.chosen)


def _relevant(detours: tuple[Detour, ...], stands: Standing) -> tuple[Detour, ...]:
    """Only containers of a network that is open, leaving by one that is not: there a policy does nothing, silently."""
    names = {network.name for network in stands.selected}
    return tuple(one for one in detours if one.network in names and one.leaves_by not in names)
