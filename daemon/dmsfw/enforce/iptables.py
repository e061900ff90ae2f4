"""The enforcer for iptables: read, compare; where something is due: lock, commit in order, verify, unlock.

1. One commit per table, so no reader sees a half-written set; nat takes a second one when it both opens and closes.
2. Opening, nat goes before filter: a first packet that leaves un-translated makes a conntrack entry that keeps its flow
   dead. Closing, filter goes before nat. So: nat as far as it opens, filter, the rest of nat.
3. A table that fails stops what would be un-translated behind it in its address family, and nothing else: filter goes
   on closing, and the other family goes on.
4. After each commit the table is read again: only what stands there counts.
5. A pass that has nothing to do takes no lock, and does not look closer at a table that is as it was left. Under the
   lock, a commit is made only on a table that is still as it was compared; else it is compared anew, the lock held.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import replace

from dmsfw.enforce import diff
from dmsfw.enforce.desired import Desired, Renderer
from dmsfw.enforce.kernel import KernelTables
from dmsfw.enforce.lock import XtablesLock
from dmsfw.enforce.render import TABLES, TableKey
from dmsfw.enforce.steps import Step, Survey, Unmade
from dmsfw.enforce.tables import Edit, Image, Tables
from dmsfw.errors import EnforceError, TableChanged, TableRefused
from dmsfw.model import VERSIONS, Grant, Plan

Settled = tuple[int, diff.Wanted, tuple[str, ...]]
"""A table that needed nothing: its fingerprint then, what was wanted of it, and the rules of others ahead of ours."""


def _told(survey: Survey, plan: Plan) -> Plan:
    """The plan, unless a table had a fault. Raises: the fault, with the plan where there was more than that."""
    error = survey.first_error()
    if error is None:
        return plan
    if isinstance(error, TableRefused) and survey.steps:
        error.done = plan
    raise error


class Iptables:
    """Brings the tables of this network namespace to the grants. One thread only."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._renderer = Renderer(tables)
        self._in_sync: dict[TableKey, Settled] = {}
        self._left: dict[TableKey, int] = {}
        self._marks: dict[TableKey, Hashable] = {}
        self._faulty: frozenset[TableKey] = frozenset()

    @classmethod
    def of_this_host(
        cls, slow: Callable[[float], None] = lambda _: None, stop: Callable[[], bool] = lambda: False
    ) -> Iptables:
        """The kernel's own tables. `slow` and `stop`: see XtablesLock."""
        return cls(KernelTables(XtablesLock(None, slow, stop)))

    def prepare(self) -> None:
        """Load what can be loaded before the first rule is due. What cannot is said by the pass that needs it."""
        with suppress(TableRefused):
            self._tables.prepare()

    def plan(self, grants: Sequence[Grant]) -> Plan:
        """What `converge` would change. Nothing is written, and no table is made to be read. Raises: EnforceError."""
        survey = self._survey(self._renderer.desired(grants), may_create=False)
        return _told(survey, survey.plan())

    def converge(self, grants: Sequence[Grant]) -> Plan:
        """Make the tables hold exactly the rules of `grants`, and tell what had to change. Idempotent.

        Raises: TableChanged when somebody wrote in between (call again); TableRefused, after doing what the other
        tables need; EnforceError for the lock.
        """
        desired = self._renderer.desired(grants)
        survey = self._survey(desired, may_create=True)
        plan = survey.plan()
        if not survey.is_in_sync:
            with self._tables.locked():
                self._commit_all(survey)
                if survey.has_lost:
                    survey = self._survey(desired, may_create=True)
                    plan = survey.plan()
                    self._commit_all(survey)
        self._remember(survey)
        brought = {key.place for key in survey.settled}
        return _told(survey, replace(plan, changes=tuple(one for one in plan.changes if one.place in brought)))

    def changed(self) -> bool:
        """Tell whether somebody has written to a table since the last `converge`. Cheap. Raises: EnforceError."""
        watched = (key for key in TABLES if key not in self._faulty and self._tables.exists(key))
        return {key: self._tables.mark(key) for key in watched} != self._marks

    def touched(self) -> bool:
        """Tell whether a table is another than the last `converge` left it, whatever its size. Raises: EnforceError.

        Also one in which something is due that could not be done: what was in the way may be gone now.
        """
        return any(self._is_touched(key) for key in TABLES)

    def _is_touched(self, key: TableKey) -> bool:
        if not self._tables.exists(key):
            return key in self._left
        if key not in self._left:
            return key not in self._faulty
        return self._tables.read(key).fingerprint != self._left[key]

    def packets(self) -> dict[str, int]:
        """Packets that the owned filter rules have passed, by id: the kernel's counters now. Raises: EnforceError."""
        counts: dict[str, int] = {}
        for key in TABLES:
            if key.name == "filter" and self._tables.exists(key):
                for entry in self._tables.read(key).chain(key.own) or ():
                    counts[entry.owned_id] = counts.get(entry.owned_id, 0) + entry.packets
        return counts

    def _survey(self, desired: Desired, *, may_create: bool) -> Survey:
        """Read and compare every table that exists or in which something is due. Faults are kept."""
        survey = Survey(desired)
        for key in TABLES:
            try:
                self._look(survey, key, may_create=may_create)
            except EnforceError as error:
                survey.errors[key] = error
        return survey

    def _look(self, survey: Survey, key: TableKey, *, may_create: bool) -> None:
        wanted = survey.desired.wanted[key]
        fault = survey.desired.faults.get(key)
        exists = self._tables.exists(key)
        if exists or wanted.rules or fault is not None:
            image: Image = self._tables.read(key) if exists or may_create else Unmade()
            if fault is not None:
                raise fault
            survey.steps[key] = self._compare(key, image, wanted)

    def _compare(self, key: TableKey, image: Image, wanted: diff.Wanted) -> Step:
        fingerprint, settled, ahead = self._in_sync.get(key, (None, None, ()))
        if settled is wanted and fingerprint == image.fingerprint:
            return Step(key, image, wanted, (), ahead)
        edits = diff.edits(key, image, wanted)
        ahead = tuple(
            f"{key.command} -t {key.name} -A {chain} {entry.text}"
            for chain, entry in diff.others_ahead(key, image, wanted.hook_key)
        )
        return Step(key, image, wanted, edits, ahead)

    def _remember(self, survey: Survey) -> None:
        done = [step for step in survey.steps.values() if not step.edits]
        self._in_sync = {step.key: (step.image.fingerprint, step.wanted, step.ahead) for step in done}
        self._left = {step.key: step.image.fingerprint for step in survey.steps.values()}
        self._faulty = frozenset(survey.errors)
        self._marks = {key: step.image.mark for key, step in survey.steps.items() if key not in self._faulty}

    def _commit_all(self, survey: Survey) -> None:
        for version in VERSIONS:
            self._family(survey, TableKey(version, "nat"), TableKey(version, "filter"))

    def _family(self, survey: Survey, nat: TableKey, filter_: TableKey) -> None:
        """What filter accepts is translated at every moment in between."""
        if filter_ in survey.errors:
            return
        self._commit(survey, nat, lambda step: step.opening)
        failed = nat in survey.errors
        self._commit(survey, filter_, lambda step: step.closing if failed else step.edits)
        if not failed and filter_ not in survey.errors:
            self._commit(survey, nat, lambda step: step.edits)

    def _commit(self, survey: Survey, key: TableKey, chosen: Callable[[Step], tuple[Edit, ...]]) -> None:
        """Make the chosen edits of a table's step, and keep what is left of it, or the fault."""
        step = survey.steps.get(key)
        if step is None or not (edits := chosen(step)):
            return
        try:
            survey.steps[key] = self._write(step, edits)
        except EnforceError as error:
            survey.errors[key] = error

    def _write(self, step: Step, edits: tuple[Edit, ...]) -> Step:
        due = len(step.edits) - len(edits)
        try:
            self._tables.commit(step.key, step.image, edits)
        except TableRefused:
            # EINVAL can also mean that the edits are in and the counters were lost.
            left = self._again(step)
            if len(left.edits) > due:
                raise
            return left
        left = self._again(step)
        if len(left.edits) > due:
            raise TableChanged(f"{step.key.command} table {step.key.name} is not as it was written a moment ago")
        return left

    def _again(self, step: Step) -> Step:
        return self._compare(step.key, self._tables.read(step.key), step.wanted)
