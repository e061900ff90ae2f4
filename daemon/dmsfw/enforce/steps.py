"""What one pass has to do in each table, and how a plan tells it."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field

from dmsfw.enforce.desired import Desired
from dmsfw.enforce.diff import Wanted
from dmsfw.enforce.render import TableKey
from dmsfw.enforce.tables import CreateChain, Delete, DeleteChain, Edit, Image, Insert
from dmsfw.errors import EnforceError, TableChanged
from dmsfw.model import Change, Plan


@dataclass(frozen=True, slots=True)
class Step:
    """What one table needs: its image, what is wanted of it, and the edits from one to the other."""

    key: TableKey
    image: Image
    wanted: Wanted
    edits: tuple[Edit, ...] = ()
    ahead: tuple[str, ...] = ()

    @property
    def opens(self) -> bool:
        """Whether something that is shut would be open afterwards."""
        return any(isinstance(edit, Insert) for edit in self.edits)

    @property
    def opening(self) -> tuple[Edit, ...]:
        """The edits that open, and the hook's; none when nothing opens. Each chain's indexes hold by themselves.

        Where no hook leads to it, nothing counts on the own chain, and its stale rules must not come into force again
        with the new hook: they go too.
        """
        if not self.opens:
            return ()
        at_once = {self.key.builtin} if self._is_hooked else {self.key.builtin, self.key.own}
        return tuple(edit for edit in self.edits if not isinstance(edit, Delete) or edit.chain in at_once)

    @property
    def closing(self) -> tuple[Edit, ...]:
        """The edits that open nothing. Deletions come before insertions in every chain, so their indexes hold.

        A hook that is due stays, even in the wrong place, for the sake of the rules that stay.
        """
        closing = (edit for edit in self.edits if isinstance(edit, Delete | DeleteChain))
        return tuple(edit for edit in closing if not (self.wanted.rules and self._is_hook(edit)))

    @property
    def _is_hooked(self) -> bool:
        return any(entry.target == self.key.own for entry in self.image.chain(self.key.builtin) or ())

    def _is_hook(self, edit: Edit) -> bool:
        return isinstance(edit, Delete) and edit.chain == self.key.builtin and edit.entry.target == self.key.own


@dataclass(slots=True)
class Survey:
    """What has been seen in each table, and what went wrong there."""

    desired: Desired
    steps: dict[TableKey, Step] = field(default_factory=dict)
    errors: dict[TableKey, EnforceError] = field(default_factory=dict)

    @property
    def is_in_sync(self) -> bool:
        """Whether nothing is to be written."""
        return not any(step.edits for step in self.steps.values())

    @property
    def has_lost(self) -> bool:
        """Whether somebody else came between."""
        return any(isinstance(error, TableChanged) for error in self.errors.values())

    @property
    def settled(self) -> tuple[TableKey, ...]:
        """The tables that are as they are wanted now."""
        return tuple(key for key, step in self.steps.items() if key not in self.errors and not step.edits)

    def first_error(self) -> EnforceError | None:
        """The one that decides what is to be done now: TableChanged, else the first one."""
        errors = sorted(self.errors.values(), key=lambda error: not isinstance(error, TableChanged))
        return errors[0] if errors else None

    def plan(self) -> Plan:
        """All of it, as a value."""
        steps = [step for key, step in self.steps.items() if key not in self.errors]
        return Plan(
            changes=tuple(change for step in steps for change in _changes(step)),
            rules=self.desired.rules,
            rules_by_bridge=self.desired.rules_by_bridge,
            ahead=tuple(rule for step in steps for rule in step.ahead),
        )


class Unmade:
    """A table that the kernel has not made yet, as a plan sees it."""

    fingerprint = 0
    mark: Hashable = 0

    def chain(self, name: str) -> None:
        """There is none."""

    def ours_outside(self, own: str, builtin: str) -> Sequence[tuple[str, int]]:  # noqa: ARG002 - the port's
        """There is nothing."""
        return ()


def _changes(step: Step) -> Iterator[Change]:
    command = f"{step.key.command} -t {step.key.name}"
    for edit in step.edits:
        if isinstance(edit, CreateChain):
            yield Change("+", step.key.place, f"{command} -N {edit.chain}")
        elif isinstance(edit, DeleteChain):
            yield Change("-", step.key.place, f"{command} -X {edit.chain}")
        elif isinstance(edit, Insert):
            yield Change("+", step.key.place, f"{command} {_insertion(edit)}", _why(edit.spec.comment))
        else:
            yield Change("-", step.key.place, f"{command} -D {edit.chain} {edit.entry.text}", _why(edit.entry.comment))


def _insertion(edit: Insert) -> str:
    if edit.index is None:
        return edit.spec.text
    return edit.spec.text.replace(f"-A {edit.spec.chain}", f"-I {edit.spec.chain} {edit.index + 1}", 1)


def _why(comment: str) -> str:
    return comment.partition(" ")[2]
