"""What a pass saw and did, put together to the status document. Pure, but for the clock where none is given."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dmsfw.model import Detour
from dmsfw.report.hints import commands_to_select
from dmsfw.report.sentence import grants_of, sentences
from dmsfw.report.status import IdlePolicy, NetworkStatus, SkippedNetwork, Status, UnselectedNetwork
from dmsfw.report.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dmsfw.model import Grant, Network, Plan, Policy, Settings, Snapshot
    from dmsfw.report.status import Pass, SourceStatus, State

TEXT_LIMIT = 500
"""Characters of a reason, a rule or an error."""


@dataclass(frozen=True, slots=True)
class Health:
    """What the daemon knows of itself. `faults`: sentences, each a reason to be degraded; `remedies`: to paste."""

    version: str
    pid: int
    passes: int = 0
    last_pass: Pass | None = None
    last_error: str = ""
    sources: tuple[SourceStatus, ...] = ()
    faults: tuple[str, ...] = ()
    remedies: tuple[str, ...] = ()


def compose(
    snapshot: Snapshot,
    grants: Sequence[Grant],
    plan: Plan,
    health: Health,
    *,
    selected: Sequence[Network],
    unselected: Sequence[Network] = (),
    idle: Sequence[Policy] = (),
    skipped: Sequence[tuple[Network, str]] = (),
    detours: Sequence[Detour] = (),
    now_s: float | None = None,
) -> Status:
    """Put the document together after a pass. `now_s`: epoch seconds, the clock's by default."""
    return replace(
        _of_the_daemon(snapshot, plan, health, idle),
        networks=tuple(_network(network, grants) for network in selected),
        idle_policies=tuple(map(_idle_policy, idle)),
        unselected=tuple(_unselected(network, snapshot.settings, idle) for network in unselected),
        skipped=tuple(SkippedNetwork(clean(network.name), clean(why, TEXT_LIMIT)) for network, why in skipped),
        detours=tuple(Detour(clean(one.container), clean(one.network), clean(one.leaves_by)) for one in detours),
        written_at=time.time() if now_s is None else now_s,
    )


def judge(snapshot: Snapshot, health: Health, idle: Sequence[Policy]) -> tuple[State, tuple[str, ...]]:
    """Give the state and its reasons. Never "in sync" while anything is wrong or a policy selects nothing."""
    selects_nothing = tuple(f"policy {clean(policy.name)} selects no network" for policy in idle)
    if health.last_pass is None:
        return "starting", health.faults or ("the first pass is not done yet",)
    if health.faults:
        return "degraded", health.faults + selects_nothing
    if not snapshot.settings.enabled:
        return "disabled", ("it is switched off: option enabled '0' in section main",)
    if not snapshot.settings.active:
        return "idle", ("no policy is switched on",)
    return ("idle", selects_nothing) if idle else ("in sync", ())


def _of_the_daemon(snapshot: Snapshot, plan: Plan, health: Health, idle: Sequence[Policy]) -> Status:
    """The part that is not about single networks."""
    state, reasons = judge(snapshot, health, idle)
    return Status(
        version=health.version,
        pid=health.pid,
        state=state,
        reasons=tuple(clean(reason, TEXT_LIMIT) for reason in reasons),
        remedies=health.remedies,
        uplinks=snapshot.uplinks.chosen,
        missing_uplinks=snapshot.uplinks.missing,
        ahead=tuple(clean(rule, TEXT_LIMIT) for rule in plan.ahead),
        sources=health.sources,
        rules=plan.rules,
        passes=health.passes,
        last_pass=health.last_pass,
        last_error=clean(health.last_error, TEXT_LIMIT) if health.last_error else "",
        resync_s=snapshot.settings.resync_s,
        firewalls=plan.served,
    )


def _network(network: Network, grants: Sequence[Grant]) -> NetworkStatus:
    ids = tuple(grant.id for grant in grants_of(network, grants))
    return NetworkStatus(clean(network.name), clean(network.device), _subnets(network), sentences(network, grants), ids)


def _unselected(network: Network, settings: Settings, idle: Sequence[Policy]) -> UnselectedNetwork:
    commands = commands_to_select(settings, network, [policy.name for policy in idle])
    return UnselectedNetwork(clean(network.name), clean(network.device), _subnets(network), commands)


def _subnets(network: Network) -> tuple[str, ...]:
    return tuple(map(str, network.subnets))


def _idle_policy(policy: Policy) -> IdlePolicy:
    labels = tuple(clean(key if value is None else f"{key}={value}") for key, value in policy.labels)
    return IdlePolicy(clean(policy.name), labels, tuple(map(clean, policy.networks)))
