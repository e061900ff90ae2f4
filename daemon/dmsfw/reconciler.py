"""One pass. The ports that it needs of the world and of the firewall are declared here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from dmsfw.decide.grants import grants
from dmsfw.errors import TableChanged, TableRefused
from dmsfw.model import Grant, Plan, Snapshot

ATTEMPTS = 5
"""Times that a lost race is planned again in one pass. With the lock held, only a writer without it can win one."""


class World(Protocol):
    """All that is observed."""

    def snapshot(self) -> Snapshot:
        """The last good reading of every source. Raises: NeverRead."""


class Enforcer(Protocol):
    """A firewall that can be brought to a set of grants."""

    def plan(self, grants: Sequence[Grant]) -> Plan:
        """What `converge` would change; nothing is written. Raises: EnforceError."""

    def converge(self, grants: Sequence[Grant]) -> Plan:
        """Make the firewall allow exactly the grants, and tell what had to change. Raises: EnforceError."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a pass saw, what it decided and what it changed. `fault`: why one table could not be brought along."""

    snapshot: Snapshot
    grants: tuple[Grant, ...]
    plan: Plan
    fault: TableRefused | None = None


def reconcile(world: World, enforcer: Enforcer) -> Outcome:
    """Bring the firewall to the desired state. Idempotent: a second pass changes nothing.

    Raises: NeverRead when a source has not been read since the start (nothing is written then); EnforceError.
    """
    snapshot = world.snapshot()
    desired = grants(snapshot)
    for _ in range(ATTEMPTS):
        try:
            return _outcome(snapshot, desired, enforcer.converge)
        except TableChanged as error:
            lost = error
    raise TableChanged(f"lost the race {ATTEMPTS} times: {lost}")


def preview(world: World, enforcer: Enforcer) -> Outcome:
    """What a pass would do. Raises: as `reconcile`."""
    snapshot = world.snapshot()
    desired = grants(snapshot)
    return _outcome(snapshot, desired, enforcer.plan)


def _outcome(snapshot: Snapshot, desired: tuple[Grant, ...], enforce: Callable[[Sequence[Grant]], Plan]) -> Outcome:
    """Raises: EnforceError, but for a refusal that left the other tables to be served."""
    try:
        return Outcome(snapshot, desired, enforce(desired))
    except TableRefused as error:
        if not isinstance(error.done, Plan):
            raise
        return Outcome(snapshot, desired, error.done, error)
