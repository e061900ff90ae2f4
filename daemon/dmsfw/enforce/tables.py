"""What a table looks like to us, and the edits that we make: the port between the diff and a kernel, real or fake."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from dmsfw.enforce.render import RuleSpec, TableKey


class Entry(Protocol):
    """A rule as it stands in a table. Any of it raises TableRefused when it cannot be read."""

    @property
    def key(self) -> Hashable:
        """Equal for two rules that do the same and say the same."""

    @property
    def target(self) -> str:
        """A verdict, an extension, or the chain that it leads to; empty: on to the next rule."""

    @property
    def comment(self) -> str:
        """What it says of itself."""

    @property
    def owned_id(self) -> str:
        """The id in a comment of ours; empty when it carries none."""

    @property
    def states(self) -> frozenset[str]:
        """The connection states that it asks for."""

    @property
    def packets(self) -> int:
        """Packets that have met it."""

    @property
    def octets(self) -> int:
        """Bytes of those packets."""

    @property
    def text(self) -> str:
        """The rule in words that its owner knows it by, without its chain."""


class Image(Protocol):
    """One table, read at one moment."""

    @property
    def fingerprint(self) -> int:
        """Equal for two readings between which nobody wrote; counters do not matter."""

    @property
    def mark(self) -> Hashable:
        """What `Tables.mark` is for as long as nobody writes."""

    def chain(self, name: str) -> Sequence[Entry] | None:
        """The rules of a chain in order; None when there is no such chain."""

    def ours_outside(self, own: str, builtin: str) -> Sequence[tuple[str, int]]:
        """(chain, index) of every rule that is ours, by its comment or since it jumps to `own`, in neither chain."""


@dataclass(frozen=True, slots=True)
class CreateChain:
    """Make an empty chain."""

    chain: str


@dataclass(frozen=True, slots=True)
class DeleteChain:
    """Remove a chain that has become empty and that nothing jumps to."""

    chain: str


@dataclass(frozen=True, slots=True)
class Insert:
    """Put a rule before the rule that stands at `index` (from 0) when this edit's turn comes; None: at the end."""

    spec: RuleSpec
    index: int | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove the rule that stands at `index` (from 0) when this edit's turn comes."""

    chain: str
    index: int
    entry: Entry


Edit = CreateChain | DeleteChain | Insert | Delete


class Tables(Protocol):
    """The tables of one network namespace. All of it is called from one thread."""

    def prepare(self) -> None:
        """Get ready, so that the first event need not wait. Raises: TableRefused."""

    def locked(self) -> AbstractContextManager[None]:
        """Hold the lock that keeps other writers out. Raises: EnforceError when it cannot be had."""

    def exists(self, key: TableKey) -> bool:
        """Tell whether the kernel has made the table already, without making it."""

    def read(self, key: TableKey) -> Image:
        """The table now. Raises: TableRefused, TableChanged."""

    def commit(self, key: TableKey, image: Image, edits: Sequence[Edit]) -> None:
        """Make all the edits in one step, provided that the table still is as in `image`.

        Raises: TableChanged when it is not, or when somebody came between; TableRefused.
        """

    def mark(self, key: TableKey) -> Hashable:
        """Equal while nobody writes to the table, as far as can be told cheaply. Raises: TableRefused, TableChanged."""

    def key_of(self, spec: RuleSpec) -> Hashable:
        """What `Entry.key` will be once the rule stands there. Raises: TableRefused."""

    def keep_only(self, specs: Iterable[RuleSpec]) -> None:
        """Forget what was remembered of all rules but these."""
