"""What a daemon tells: each thing once when it becomes so, in the log; how all of it stands, in the status file."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from dmsfw import __version__
from dmsfw.bulletin import Bulletin
from dmsfw.decide.grants import ways_out
from dmsfw.decide.standing import Standing, shut_policies, standing, unserved_detours, without_grants
from dmsfw.errors import DmsfwError, NeverRead, SettingsError
from dmsfw.model import Grant, Plan, Policy, Snapshot
from dmsfw.report.compose import Health, compose
from dmsfw.report.hints import commands_to_name_the_uplink
from dmsfw.report.metrics import Counts, render
from dmsfw.report.news import News
from dmsfw.report.sentence import joined, lines_for_change
from dmsfw.report.status import Pass, SourceStatus
from dmsfw.report.text import clean

if TYPE_CHECKING:
    from dmsfw.config import Loaded
    from dmsfw.model import Settings
    from dmsfw.observe.world import SourceHealth
    from dmsfw.ports import Observed
    from dmsfw.reconciler import Outcome

NO_UPLINK = "no uplink is up"

log = structlog.get_logger()


class Chronicle:
    """Remembers what has been said, so that a quiet system logs nothing. `run_dir`: where the status file goes.

    `obstacles`: what else on this host decides about forwarded packets, a fault for as long as the daemon runs.
    """

    def __init__(self, run_dir: Path, obstacles: tuple[str, ...] = ()) -> None:
        self._obstacles = obstacles
        self._bulletin = Bulletin(run_dir)
        self._news = News()
        self._counts = Counts()
        self._last_pass: Pass | None = None
        self._error = ""
        self._config_error = ""
        self._waits_for = ""

    def config_broken(self, error: SettingsError) -> None:
        """The file cannot be used: the last good one is."""
        self._config_error = error.problems[0]
        if self._news.is_new("config", error.problems):
            for problem in error.problems:
                log.error("configuration is broken, the last good one is used", problem=problem)

    def config_taken(self, loaded: Loaded, *, changed: bool) -> None:
        """The file is good; `changed`: and another one than before."""
        mended = bool(self._config_error)
        self._config_error = ""
        self._news.is_new("config", None)
        if changed or mended:
            log.info("configuration loaded", policies=[policy.name for policy in loaded.settings.active])
        if self._news.is_new("config warnings", loaded.warnings):
            for warning in loaded.warnings:
                log.warning("configuration warning", warning=warning)

    def passed(self, before: Outcome | None, outcome: Outcome, triggers: frozenset[str]) -> None:
        """A pass is done: say what it changed, what it mended and what the owner ought to know."""
        stands = standing(outcome.snapshot)
        if outcome.fault is None:
            self._works_again()
        self._tell_of_firewall(outcome.plan)
        if before is None:
            self._started(outcome, stands)
        # The plan alone does not tell: a pass that failed, or lost a race, may have done the work of this one.
        if before is not None or outcome.plan:
            self._changed(before, outcome, triggers)
        self._advise(outcome.snapshot, stands)

    def quarrel(self, plan: Plan, *, is_on: bool) -> None:
        """Say once that somebody keeps undoing the rules, and when that is over. `plan`: what had to be put right."""
        if is_on and self._news.is_new("quarrel", True):  # noqa: FBT003 - what is news is a value
            rule = plan.changes[0].text if plan else ""
            log.warning("somebody keeps undoing the rules, they are put back once a second", rule=rule)
        elif not is_on and self._news.last("quarrel"):
            self._news.is_new("quarrel", None)
            log.info("nobody undoes the rules any more")

    def failed(self, error: DmsfwError, *, stopping: bool) -> None:
        """A pass could not be done. To wait for a source, or to be stopped while waiting, is no failure."""
        self._waits_for = error.source if isinstance(error, NeverRead) else ""
        if stopping or isinstance(error, NeverRead):
            return
        self._error = str(error)
        if self._news.is_new("pass", self._error):
            log.error("pass failed", error=self._error)

    def crashed(self, error: Exception) -> None:
        """A fault of ours: its traceback is told once."""
        if self._news.is_new("crash", f"{type(error).__name__}: {error}"):
            log.error("unexpected error", exc_info=error)

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
            self._counts.count(triggers, changes=len(outcome.plan.changes), duration_s=duration_s)
        stands = standing(snapshot)
        status = compose(
            snapshot,
            outcome.grants if outcome else (),
            outcome.plan if outcome else Plan(),
            self._health(snapshot, outcome, world.health()),
            selected=stands.selected,
            unselected=stands.unselected,
            idle=stands.idle,
            skipped=stands.skipped,
            detours=unserved_detours(world.detours(), stands),
        )
        self._bulletin.write_status(status)
        if settings.metrics_file:
            text = render(status, self._counts, reconnects=world.reconnects)
            self._bulletin.write_metrics(Path(settings.metrics_file), text)

    def _health(self, snapshot: Snapshot, outcome: Outcome | None, sources: tuple[SourceHealth, ...]) -> Health:
        grants, notes = (outcome.grants, outcome.plan.notes) if outcome else ((), ())
        shut = shut_policies(snapshot) if self._last_pass is not None else ()
        return Health(
            version=__version__,
            pid=os.getpid(),
            passes=self._counts.passes,
            last_pass=self._last_pass,
            last_error=self._error,
            sources=tuple(SourceStatus(source.name, source.age_s, source.error) for source in sources),
            faults=tuple(self._faults(snapshot, grants, sources, shut) + list(notes)),
            remedies=commands_to_name_the_uplink(snapshot.uplinks) if shut else (),
        )

    def _faults(
        self,
        snapshot: Snapshot,
        grants: tuple[Grant, ...],
        sources: tuple[SourceHealth, ...],
        shut: tuple[Policy, ...],
    ) -> list[str]:
        needed = sources if snapshot.settings.enabled else ()
        faults = [f"{source.name} does not answer: {source.error}" for source in needed if source.error]
        if snapshot.settings.enabled:
            faults += self._obstacles
        if shut:
            faults.append(_no_uplink(snapshot, shut))
        elif snapshot.settings.enabled:
            faults += _unserved(snapshot, grants)
        if self._config_error:
            faults.append(f"the configuration is broken and the last good one is used: {self._config_error}")
        if self._news.last("quarrel"):
            faults.append("somebody keeps undoing the rules: see `logread -e dmsfw` for which")
        if self._news.last("pass") is not None:
            faults.append(f"the last pass failed: {self._error}")
        if self._waits_for and not faults:
            faults.append(f"waiting for the first reading of {self._waits_for}")
        return faults

    def _works_again(self) -> None:
        if self._news.last("pass") is not None:
            log.info("pass works again", after=self._error)
        self._news.is_new("pass", None)
        self._waits_for = ""

    def _tell_of_firewall(self, plan: Plan) -> None:
        if plan.served and self._news.is_new("firewall", plan.served):
            log.info("firewall chosen", firewall=list(plan.served))
        for (note,) in self._news.new_of("notes", [(note,) for note in plan.notes]):
            log.warning("firewall does not allow all", reason=note)

    def _started(self, outcome: Outcome, stands: Standing) -> None:
        log.info(
            "started",
            version=__version__,
            uplinks=[f"{uplink.interface}({uplink.device})" for uplink in outcome.snapshot.uplinks.chosen],
            networks=len(outcome.snapshot.networks),
            selected=len(stands.selected),
            rules=outcome.plan.rules,
        )

    def _changed(self, before: Outcome | None, outcome: Outcome, triggers: frozenset[str]) -> None:
        lines = lines_for_change(before.grants if before else (), outcome.grants)
        rules = {**dict(before.plan.rules_by_bridge if before else ()), **dict(outcome.plan.rules_by_bridge)}
        for message, keys in lines:
            log.info(message, **{**keys, "rules": rules.get(keys["bridge"], keys["rules"])})
        if lines or not outcome.plan:
            return
        signs = [change.sign for change in outcome.plan.changes]
        keys = {"trigger": sorted(triggers), "added": signs.count("+"), "removed": signs.count("-")}
        if before is not None and before.grants != outcome.grants:
            log.info("rules renamed", **keys)
            return
        self._counts.repairs += 1
        say = log.debug if self._news.last("quarrel") else log.info
        say("rules repaired", **keys)

    def _advise(self, snapshot: Snapshot, stands: Standing) -> None:
        names = tuple(network.name for network in snapshot.networks if network.driver == "bridge")
        for policy, _ in self._news.new_of("idle", [(policy, names) for policy in stands.idle]):
            log.warning("policy selects no network", policy=policy.name, networks=names)
        skipped = [(network.name, network.id, reason) for network, reason in stands.skipped]
        for name, _, reason in self._news.new_of("skipped", skipped):
            log.warning("network skipped", network=name, reason=reason)
        if snapshot.settings.enabled:
            self._advise_on_uplinks(snapshot)

    def _advise_on_uplinks(self, snapshot: Snapshot) -> None:
        uplinks = snapshot.uplinks
        had, shut = self._news.last("uplink"), [policy.name for policy in shut_policies(snapshot)]
        if self._news.is_new("uplink", tuple(shut)):
            log.warning(NO_UPLINK, policies=shut, default_devices=uplinks.default_devices, missing=uplinks.missing)
        elif had and not shut:
            ways = {way: None for policy in snapshot.settings.active for way in ways_out(policy, uplinks) if way.up}
            log.info("uplink is up again", uplinks=[uplink.device for uplink in ways])


def _no_uplink(snapshot: Snapshot, shut: tuple[Policy, ...]) -> str:
    whose = f" for {joined([policy.name for policy in shut])}" if len(shut) < len(snapshot.settings.active) else ""
    devices = joined(snapshot.uplinks.default_devices)
    return f"{NO_UPLINK}{whose}" + (f"; the default route uses {devices}" if devices else "")


def _unserved(snapshot: Snapshot, grants: tuple[Grant, ...]) -> list[str]:
    return [
        f"network {clean(network.name)} is selected, but nothing is opened for it: no subnet of the policy's family, "
        "or its bridge is the way out itself"
        for network in without_grants(snapshot, grants)
    ]
