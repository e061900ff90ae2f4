"""The enforcer for iptables: lock, read, diff, commit in order, verify, unlock.

1. One commit per table, so no reader sees a half-written set; nat takes a second one when it both opens and closes.
2. Opening, nat goes before filter: a first packet that leaves un-translated makes a conntrack entry that keeps its flow
   dead. Closing, filter goes before nat. So: nat as far as it opens, filter, the rest of nat.
3. A table that fails stops what would be un-translated behind it in its address family, and nothing else: filter goes
   on closing, and the other family goes on.
4. After each commit the table is read again: only what stands there counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from dmsfw.enforce import diff
from dmsfw.enforce.kernel import KernelTables
from dmsfw.enforce.lock import XtablesLock
from dmsfw.enforce.render import TABLES, RuleSpec, TableKey, Version, hook, render
from dmsfw.enforce.tables import CreateChain, Delete, DeleteChain, Edit, Image, Insert, Tables
from dmsfw.errors import EnforceError, TableChanged, TableRefused
from dmsfw.model import Change, Grant, Plan

VERSIONS: tuple[Version, ...] = (4, 6)

Rules = Mapping[TableKey, tuple[RuleSpec, ...]]


@dataclass(frozen=True, slots=True)
class Step:
    """What one table needs: its image, what is wanted of it, and the edits from one to the other."""

    key: TableKey
    image: Image
    wanted: diff.Wanted
    edits: tuple[Edit, ...]

    @property
    def opens(self) -> bool:
        """Whether something that is shut would be open afterwards."""
        return any(isinstance(edit, Insert) for edit in self.edits)

    @property
    def opening(self) -> tuple[Edit, ...]:
        """The edits that open, and the hook's; none when nothing opens. Each chain's indexes hold by themselves."""
        if not self.opens:
            return ()
        return tuple(edit for edit in self.edits if not isinstance(edit, Delete) or edit.chain == self.key.builtin)

    @property
    def closing(self) -> tuple[Edit, ...]:
        """The edits that open nothing. Deletions come before insertions in every chain, so their indexes hold.

        A hook that is due stays, even in the wrong place, for the sake of the rules that stay.
        """
        closing = (edit for edit in self.edits if isinstance(edit, Delete | DeleteChain))
        return tuple(edit for edit in closing if not (self.wanted.rules and self._is_hook(edit)))

    def _is_hook(self, edit: Edit) -> bool:
        return isinstance(edit, Delete) and edit.chain == self.key.builtin and edit.entry.target == self.key.own


@dataclass(slots=True)
class Pass:
    """What has been seen and done so far in one pass over the tables."""

    steps: list[Step] = field(default_factory=list)
    errors: dict[TableKey, EnforceError] = field(default_factory=dict)

    def raise_first(self) -> None:
        """Raises: the error that decides what is to be done now: TableChanged, else the first one."""
        for error in sorted(self.errors.values(), key=lambda error: not isinstance(error, TableChanged)):
            raise error


class Iptables:
    """Brings the tables of this network namespace to the grants. One thread only."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._seen: dict[TableKey, int] = {}

    @classmethod
    def of_this_host(
        cls, slow: Callable[[float], None] = lambda _: None, stop: Callable[[], bool] = lambda: False
    ) -> Iptables:
        """The kernel's own tables. `slow` and `stop`: see XtablesLock."""
        return cls(KernelTables(XtablesLock(None, slow, stop)))

    def plan(self, grants: Sequence[Grant]) -> Plan:
        """What `converge` would change. Nothing is written, and no table is made to be read. Raises: EnforceError."""
        run = Pass()
        for key, specs in render(grants).items():
            self._look(run, key, specs, may_create=False)
        run.raise_first()
        return _plan(run.steps)

    def converge(self, grants: Sequence[Grant]) -> Plan:
        """Make the tables hold exactly the rules of `grants`, and tell what had to change. Idempotent.

        Raises: TableChanged when somebody wrote in between (call again); TableRefused; EnforceError for the lock.
        """
        rules = render(grants)
        self._tables.keep_only({hook(key) for key in TABLES}.union(*rules.values()))
        run = Pass()
        with self._tables.locked():
            for version in VERSIONS:
                self._family(run, TableKey(version, "nat"), TableKey(version, "filter"), rules)
            self._seen = self._fingerprints()
        run.raise_first()
        return _plan(run.steps)

    def changed(self) -> bool:
        """Tell whether somebody has written to a table since the last `converge`. Cheap. Raises: EnforceError."""
        return self._fingerprints() != self._seen

    def packets(self) -> dict[str, int]:
        """Packets that the owned filter rules have passed, by id: the kernel's counters now. Raises: EnforceError."""
        counts: dict[str, int] = {}
        for key in TABLES:
            if key.name == "filter" and self._tables.exists(key):
                for entry in self._tables.read(key).chain(key.own) or ():
                    counts[entry.owned_id] = counts.get(entry.owned_id, 0) + entry.packets
        return counts

    def _family(self, run: Pass, nat_key: TableKey, filter_key: TableKey, rules: Rules) -> None:
        """What filter accepts is translated at every moment in between."""
        nat = self._look(run, nat_key, rules[nat_key], may_create=True)
        filter_ = self._look(run, filter_key, rules[filter_key], may_create=True)
        if filter_key in run.errors:
            return
        if nat:
            nat = self._commit(run, nat, nat.opening)
        failed = nat_key in run.errors
        if filter_:
            self._commit(run, filter_, filter_.closing if failed else filter_.edits)
        if nat and not failed and filter_key not in run.errors:
            self._commit(run, nat, nat.edits)

    def _look(self, run: Pass, key: TableKey, specs: tuple[RuleSpec, ...], *, may_create: bool) -> Step | None:
        """Read one table and compare. None: nothing is due and nothing can be stale, or a fault, which is kept."""
        try:
            exists = self._tables.exists(key)
            if not exists and not specs:
                return None
            # Read first: where that is not permitted, libxtables would complain on stderr while rules are built.
            image = self._tables.read(key) if exists or may_create else _Unmade()
            wanted = self._wanted(key, specs)
            step = Step(key, image, wanted, diff.edits(key, image, wanted))
        except EnforceError as error:
            run.errors[key] = error
            return None
        run.steps.append(step)
        return step

    def _wanted(self, key: TableKey, specs: tuple[RuleSpec, ...]) -> diff.Wanted:
        spec = hook(key)
        rules = {self._tables.key_of(rule): rule for rule in specs}
        return diff.Wanted(rules, spec, self._tables.key_of(spec) if rules else None)

    def _commit(self, run: Pass, step: Step, edits: tuple[Edit, ...]) -> Step:
        """Make these edits of a step, and tell what is left of it. A fault is kept, and leaves the step as it was."""
        if not edits:
            return step
        try:
            return self._write(step, edits)
        except EnforceError as error:
            run.errors[step.key] = error
            return step

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
        image = self._tables.read(step.key)
        return replace(step, image=image, edits=diff.edits(step.key, image, step.wanted))

    def _fingerprints(self) -> dict[TableKey, int]:
        return {key: self._tables.fingerprint(key) for key in TABLES if self._tables.exists(key)}


class _Unmade:
    """A table that the kernel has not made yet, as a plan sees it."""

    def chain(self, name: str) -> None:
        """There is none."""

    def ours_outside(self, own: str, builtin: str) -> Sequence[tuple[str, int]]:  # noqa: ARG002 - the port's
        """There is nothing."""
        return ()


def _plan(steps: Sequence[Step]) -> Plan:
    changes = tuple(change for step in steps for change in _changes(step))
    rules = sum(len(step.wanted.rules) for step in steps)
    ahead = tuple(
        f"{step.key.command} -t {step.key.name} -A {step.key.builtin} {entry.text}"
        for step in steps
        for entry in diff.others_ahead(step.key, step.image, step.wanted.hook_key)
    )
    return Plan(changes, rules, ahead)


def _changes(step: Step) -> Iterator[Change]:
    command = f"{step.key.command} -t {step.key.name}"
    place = f"ipv{step.key.version} {step.key.name}"
    for edit in step.edits:
        if isinstance(edit, CreateChain):
            yield Change("+", place, f"{command} -N {edit.chain}")
        elif isinstance(edit, DeleteChain):
            yield Change("-", place, f"{command} -X {edit.chain}")
        elif isinstance(edit, Insert):
            yield Change("+", place, f"{command} {_insertion(edit)}", _why(edit.spec.comment))
        else:
            yield Change("-", place, f"{command} -D {edit.chain} {edit.entry.text}", _why(edit.entry.comment))


def _insertion(edit: Insert) -> str:
    if edit.index is None:
        return edit.spec.text
    return edit.spec.text.replace(f"-A {edit.spec.chain}", f"-I {edit.spec.chain} {edit.index + 1}", 1)


def _why(comment: str) -> str:
    return comment.partition(" ")[2]
