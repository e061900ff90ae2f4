"""What the grants ask of each table. Only grants that were not there a moment ago are rendered and built anew."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from dmsfw.enforce.diff import Wanted
from dmsfw.enforce.render import TABLES, RuleSpec, TableKey, hook, rules_of
from dmsfw.enforce.tables import Tables
from dmsfw.errors import EnforceError
from dmsfw.model import Grant


@dataclass(frozen=True, slots=True)
class Desired:
    """The rules due by table, or the fault that keeps a table's rules from being built; counts for the plan."""

    grants: tuple[Grant, ...] = ()
    wanted: dict[TableKey, Wanted] = field(default_factory=dict)
    faults: dict[TableKey, EnforceError] = field(default_factory=dict)
    rules_by_bridge: tuple[tuple[str, int], ...] = ()

    @property
    def rules(self) -> int:
        """How many rules are due in all, hooks left out."""
        return sum(len(wanted.rules) for wanted in self.wanted.values())


Rendered = tuple[tuple[RuleSpec, Hashable], ...]


class Renderer:
    """Turns grants into what is wanted of each table, and remembers the last ones."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._known: dict[Grant, tuple[RuleSpec, ...]] = {}
        self._last: Desired | None = None
        self._dropped = 0

    def desired(self, grants: Sequence[Grant]) -> Desired:
        """What is wanted now; the very same object while the grants are the same and all of it can be built."""
        if self._last is None or self._last.faults or self._last.grants != tuple(grants):
            self._last = self._desired(tuple(grants))
        return self._last

    def _desired(self, grants: tuple[Grant, ...]) -> Desired:
        known = {grant: self._known.get(grant) or rules_of(grant) for grant in grants}
        self._forget(len(self._known.keys() - known.keys()), known)
        self._known = known
        rules: dict[TableKey, dict[Hashable, RuleSpec]] = {key: {} for key in TABLES}
        bridges: dict[str, set[Hashable]] = {}
        faults: dict[TableKey, EnforceError] = {}
        for grant, specs in known.items():
            for spec in specs:
                try:
                    identity = self._tables.key_of(spec)
                except EnforceError as error:
                    faults.setdefault(spec.key, error)
                    continue
                rules[spec.key][identity] = spec
                bridges.setdefault(grant.bridge, set()).add(identity)
        counts = tuple((bridge, len(found)) for bridge, found in sorted(bridges.items()))
        return Desired(grants, {key: self._wanted(key, found) for key, found in rules.items()}, faults, counts)

    def _wanted(self, key: TableKey, rules: dict[Hashable, RuleSpec]) -> Wanted:
        """The very same as before for a table in which nothing else is due: it is not compared again then."""
        before = self._last.wanted.get(key) if self._last else None
        if before is not None and before.rules == rules:
            return before
        spec = hook(key)
        return Wanted(rules, spec, self._tables.key_of(spec) if rules else None)

    def _forget(self, dropped: int, known: dict[Grant, tuple[RuleSpec, ...]]) -> None:
        """Have the tables forget rules that are due no more, once they are as many as those that are."""
        self._dropped += dropped
        if self._dropped > len(known):
            self._dropped = 0
            self._tables.keep_only({hook(key) for key in TABLES}.union(*known.values()))
