"""Tables in memory: what enforce.tables.Tables promises, written down as plainly as it can be.

The contract suite runs over this and over the real kernel, so the two cannot drift apart. A rule's key is its spec; a
foreign rule's key is its text.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise

from dmsfw.decide.marks import owned_id
from dmsfw.enforce.render import RuleSpec, TableKey
from dmsfw.enforce.tables import CreateChain, Delete, Edit, Image, Insert
from dmsfw.errors import TableChanged, TableRefused

BUILTIN = {"filter": ("INPUT", "FORWARD", "OUTPUT"), "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING")}


@dataclass(frozen=True, slots=True)
class FakeEntry:
    """A rule in memory."""

    key: Hashable
    target: str
    comment: str = ""
    states: frozenset[str] = frozenset()
    packets: int = 0
    octets: int = 0
    text: str = ""

    @property
    def owned_id(self) -> str:
        return owned_id(self.comment)


Chains = dict[str, tuple[FakeEntry, ...]]


def fresh(key: TableKey) -> Chains:
    """A table that was only just made."""
    return dict.fromkeys(BUILTIN[key.name], ())


def entry_of(spec: RuleSpec) -> FakeEntry:
    """How a rule of ours stands in a table."""
    return FakeEntry(spec, spec.target, spec.comment, frozenset(spec.states), text=spec.text.split(" ", 2)[2])


def foreign_entry(text: str) -> FakeEntry:
    """A rule of somebody else's: all that stands behind `-A CHAIN`."""
    words = shlex.split(text)
    said = dict(pairwise(words))
    states = frozenset(said.get("--ctstate", "").split(",")) - {""}
    return FakeEntry(text, said.get("-j", ""), said.get("--comment", ""), states, text=text)


def keys(chains: Chains) -> tuple[tuple[str, tuple[Hashable, ...]], ...]:
    """The content without its counters."""
    return tuple((name, tuple(entry.key for entry in chains[name])) for name in sorted(chains))


@dataclass(frozen=True)
class FakeImage:
    """One table at one moment."""

    chains: Chains

    @property
    def fingerprint(self) -> int:
        return hash(keys(self.chains))

    @property
    def mark(self) -> int:
        return self.fingerprint

    def chain(self, name: str) -> Sequence[FakeEntry] | None:
        return self.chains.get(name)

    def ours_outside(self, own: str, builtin: str) -> Sequence[tuple[str, int]]:
        return [
            (name, index)
            for name, entries in self.chains.items()
            if name not in {own, builtin}
            for index, entry in enumerate(entries)
            if entry.owned_id or entry.target == own
        ]


def _quiet(_: TableKey) -> None:
    """Nothing happens."""


@dataclass
class FakeTables:
    """Tables that live here. `before_commit`, `after_commit`, `before_read` are called with the table's key.

    What they raise is what the kernel does; what they edit is what somebody else wrote meanwhile.
    """

    tables: dict[TableKey, Chains] = field(default_factory=dict)
    commits: list[TableKey] = field(default_factory=list)
    before_read: Callable[[TableKey], None] = _quiet
    before_commit: Callable[[TableKey], None] = _quiet
    after_commit: Callable[[TableKey], None] = _quiet
    held: bool = False

    def prepare(self) -> None:
        """There is nothing to load."""

    @contextmanager
    def locked(self) -> Iterator[None]:
        assert not self.held, "the lock is no recursive one"
        self.held = True
        try:
            yield
        finally:
            self.held = False

    def exists(self, key: TableKey) -> bool:
        return key in self.tables

    def read(self, key: TableKey) -> FakeImage:
        self.before_read(key)
        return FakeImage(dict(self.tables.setdefault(key, fresh(key))))

    def mark(self, key: TableKey) -> int:
        return self.read(key).mark

    def key_of(self, spec: RuleSpec) -> Hashable:
        return spec

    def keep_only(self, specs: Iterable[RuleSpec]) -> None:
        """There is nothing to forget."""

    def commit(self, key: TableKey, image: Image, edits: Sequence[Edit]) -> None:
        assert self.held, "a commit without the lock"
        assert isinstance(image, FakeImage)
        self.before_commit(key)
        now = self.tables[key]
        if keys(now) != keys(image.chains):
            raise TableChanged("somebody wrote in between")
        chains = dict(now)
        for edit in edits:
            _apply(chains, edit)
        self.tables[key] = chains
        self.commits.append(key)
        self.after_commit(key)

    def insert(self, key: TableKey, chain: str, index: int, entry: FakeEntry) -> None:
        """Somebody else puts a rule somewhere, making the table and the chain where they are not."""
        chains = self.tables.setdefault(key, fresh(key))
        entries = chains.get(chain, ())
        chains[chain] = (*entries[:index], entry, *entries[index:])

    def specs(self, key: TableKey, chain: str) -> tuple[Hashable, ...]:
        """Keys of the rules in a chain; empty when there is no such chain."""
        return tuple(entry.key for entry in self.tables.get(key, {}).get(chain, ()))

    def count(self, key: TableKey, chain: str, index: int, packets: int) -> None:
        """Packets meet a rule."""
        entries = list(self.tables[key][chain])
        one = entries[index]
        entries[index] = replace(one, packets=one.packets + packets, octets=one.octets + 60 * packets)
        self.tables[key][chain] = tuple(entries)


def _apply(chains: Chains, edit: Edit) -> None:
    name = edit.spec.chain if isinstance(edit, Insert) else edit.chain
    if isinstance(edit, CreateChain):
        _demand(name not in chains, "the chain is there")
        chains[name] = ()
        return
    _demand(name in chains, "no such chain")
    entries = chains[name]
    if isinstance(edit, Insert):
        index = len(entries) if edit.index is None else edit.index
        _demand(0 <= index <= len(entries), "no such place")
        _demand(edit.spec.target in {"ACCEPT", "MASQUERADE", *chains}, "no such target")
        chains[name] = (*entries[:index], entry_of(edit.spec), *entries[index:])
    elif isinstance(edit, Delete):
        _demand(0 <= edit.index < len(entries) and entries[edit.index].key == edit.entry.key, "no such rule")
        chains[name] = (*entries[: edit.index], *entries[edit.index + 1 :])
    else:
        _demand(not entries, "the chain is not empty")
        _demand(all(entry.target != name for rules in chains.values() for entry in rules), "the chain is jumped to")
        del chains[name]


def _demand(condition: bool, otherwise: str) -> None:  # noqa: FBT001 - an assertion in the kernel's words
    if not condition:
        raise TableRefused(otherwise)
