"""The enforcer for firewall4: read, compare; where something is due: one transaction, and read back.

1. A pass whose grants and whose kernel are as they were left starts no process at all: the generation tells.
2. All that is due goes into one transaction: no reader and no packet sees half of it.
3. Only what is read back counts. Who writes in between makes it a lost race, and the pass is planned again.
4. A kernel that refuses our sets gets a rule for each grant instead, in the same chains.
5. firewall4 stopped, its table away: nothing filters, so nothing is written and that is said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, TypeVar

from dmsfw.errors import TableChanged, TableRefused
from dmsfw.firewall4 import FAMILY, TABLE, diff, rules
from dmsfw.firewall4.document import TableImage, parse, parse_sets
from dmsfw.firewall4.ear import Ear
from dmsfw.firewall4.edits import Edits, Wanted
from dmsfw.firewall4.keys import Json
from dmsfw.firewall4.netlink import Question
from dmsfw.firewall4.program import Nft, NotSupported
from dmsfw.firewall4.render import Renderer
from dmsfw.firewall4.rules import HOOKS
from dmsfw.model import Grant, Plan

INCLUDE = Path("/usr/share/nftables.d/table-pre/10-dmsfw.nft")
"""Where the package puts its sets and chains; there, a reload of firewall4 brings them along."""

T = TypeVar("T")

STOPPED = "firewall4 is stopped: its table inet fw4 is not there, so it filters nothing and masquerades nothing"

DORMANT = "table inet fw4 is dormant, so it filters nothing and masquerades nothing"


class Program(Protocol):
    """nft."""

    def table(self) -> str:
        """firewall4's table as JSON. Raises: EnforceError."""

    def sets(self, names: Sequence[str]) -> str:
        """Some of its sets as JSON. Raises: EnforceError."""

    def commit(self, commands: Sequence[Json]) -> None:
        """All the commands in one transaction. Raises: TableChanged, TableRefused."""


class Kernel(Protocol):
    """What the kernel answers at once."""

    def generation(self) -> int:
        """Grows by one with each transaction. Raises: TableRefused."""

    def has_table(self) -> bool:
        """Whether firewall4's table is there. Raises: TableRefused."""

    def is_dormant(self) -> bool:
        """Whether it is there and switched off. Raises: TableRefused."""

    def close(self) -> None:
        """Give the socket back."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """A reading: the generation that it is of, and what there was."""

    generation: int
    image: TableImage | None


@dataclass
class Firewall4:
    """Brings firewall4's table in this network namespace to the grants. One thread only."""

    nft: Program = field(default_factory=Nft)
    kernel: Kernel = field(default_factory=Question)
    include: Path = INCLUDE
    _ear: Ear | None = None
    _plainly: bool = False
    _renderer: Renderer = field(default_factory=Renderer)
    _forms: dict[tuple[str, str], Json] = field(default_factory=dict)
    _settled: int | None = None
    _last: tuple[tuple[Grant, ...], bool, Plan] | None = None
    _seen: _Seen | None = None

    def prepare(self) -> None:
        """Begin to listen, so that nothing is missed from here on."""
        if self._ear is None:
            try:
                self._ear = Ear()
            except OSError:  # then every transaction of anybody's counts as one that matters
                self._ear = None

    def close(self) -> None:
        """Give the sockets back."""
        self.kernel.close()
        if self._ear is not None:
            self._ear.close()

    def has_table(self) -> bool:
        """Tell whether firewall4's table is there. Cheap. Raises: TableRefused."""
        return self.kernel.has_table()

    def plan(self, grants: Sequence[Grant]) -> Plan:
        """What `converge` would change; nothing is written. Raises: EnforceError."""
        seen = self._look()
        wanted = self._wanted(grants)
        return self._plan(seen.image, wanted, self._edits(seen.image, wanted))

    def converge(self, grants: Sequence[Grant]) -> Plan:
        """Make the sets hold exactly the grants, and tell what had to change. Idempotent.

        Raises: TableChanged when somebody wrote in between (call again); TableRefused.
        """
        try:
            return self._converge(grants)
        except NotSupported:
            self._plainly = True
        return self._converge(grants)

    def _converge(self, grants: Sequence[Grant]) -> Plan:
        self.prepare()
        generation = self.kernel.generation()
        asked = (tuple(grants), self._wanted(grants).included)
        if self._last is not None and (generation, *self._last[:2]) == (self._settled, *asked):
            return self._last[2]
        self._last = None  # should this pass fail, the next one looks, whatever was heard in between
        seen = self._seen if self._seen is not None and self._seen.generation == generation else self._look()
        wanted = self._wanted(grants)
        done = self._edits(seen.image, wanted)
        plan = self._plan(seen.image, wanted, done)
        if done.commands:
            seen = self._commit(done, wanted, seen)
        self._remember(seen, grants, wanted, self._plan(seen.image, wanted, Edits()))
        return plan

    def changed(self) -> bool:
        """Tell whether somebody has written what matters here since the last `converge`. Cheap. Raises: EnforceError.

        What the ear has heard is settled only up to the generation that it heard of last.
        """
        if self.kernel.generation() == self._settled:
            return False
        if self._ear is None:
            return True
        matters, heard = self._ear.listen()
        if matters:
            self._settled = None
        elif self._settled is not None and heard:
            self._settled = heard
        return self._settled is None

    def touched(self) -> bool:
        """The same: what is heard of is known by its content already. Raises: EnforceError."""
        return self.changed()

    def packets(self) -> dict[str, int]:
        """Elements have no counters: nft programs differ in what they make of them."""
        return {}

    def _wanted(self, grants: Sequence[Grant]) -> Wanted:
        rendered = self._renderer.rendered(tuple(grants))
        if self._plainly:
            return Wanted(rendered, plainly=rendered.said)
        return Wanted(rendered, self.include.exists(), self._forms)

    def _look(self) -> _Seen:
        """Read the table. Whatever is written after the first line here gives another generation."""
        generation = self._heard()
        image = self._read(generation, self._whole) if self.kernel.has_table() else None
        self._plainly = self._plainly or (image is not None and diff.is_plain(image))
        return _Seen(generation, image)

    def _look_again(self, done: Edits, before: _Seen) -> _Seen:
        """Read what was written; the rest is as before if nobody else wrote meanwhile, which the generation tells."""
        if before.image is None or done.sets is None:
            return self._look()
        generation = self._heard()
        if generation != before.generation + 1:
            return self._look()
        names = sorted(done.sets)
        listed = self._read(generation, lambda: parse_sets(self.nft.sets(names)))
        return _Seen(generation, replace(before.image, sets={**before.image.sets, **listed}))

    def _whole(self) -> TableImage:
        return replace(parse(self.nft.table()), dormant=self.kernel.is_dormant())

    def _read(self, generation: int, read: Callable[[], T]) -> T:
        """Read. While somebody writes, nft may list half a document, or find nothing: that is a lost race.

        Raises: TableChanged; TableRefused.
        """
        try:
            return read()
        except TableRefused as error:
            if self.kernel.generation() == generation:
                raise
            raise TableChanged(f"table {FAMILY} {TABLE} was written meanwhile: {error}") from error

    def _heard(self) -> int:
        """The generation of now, and what was heard of up to it is known.

        The ear is emptied first: who writes between the two has another generation, or is heard of later.
        """
        if self._ear is not None:
            self._ear.listen()
        return self.kernel.generation()

    def _edits(self, image: TableImage | None, wanted: Wanted) -> Edits:
        return Edits() if image is None else diff.edits(image, wanted)

    def _commit(self, done: Edits, wanted: Wanted, before: _Seen) -> _Seen:
        """Write, and read back. Raises: TableChanged when it is not there then; NotSupported for sets; TableRefused."""
        self._seen = None
        try:
            self.nft.commit(done.commands)
        except NotSupported as error:
            if done.makes_sets:
                raise
            raise TableRefused(str(error)) from error
        after = self._look_again(done, before)
        if after.image is not None and after.generation == before.generation + 1 and not self._plainly:
            self._forms.update(diff.forms(after.image))
        if after.image is None or diff.edits(after.image, wanted).commands:
            raise TableChanged("table inet fw4 is not as it was written a moment ago")
        return after

    def _remember(self, seen: _Seen, grants: Sequence[Grant], wanted: Wanted, plan: Plan) -> None:
        self._seen, self._settled = seen, seen.generation
        self._last = (tuple(grants), wanted.included, plan)

    def _plan(self, image: TableImage | None, wanted: Wanted, done: Edits) -> Plan:
        rendered = wanted.rendered
        ahead = _ahead(image) if image is not None and wanted.due else ()
        stopped = _stopped(image) if rendered.count else ()
        refused = rendered.refused if wanted.plainly is None else ()
        return Plan(
            changes=tuple(done.changes),
            rules=rendered.count,
            rules_by_bridge=rendered.bridges,
            ahead=ahead,
            notes=(*stopped, *rendered.unsaid, *refused),
        )


def _stopped(image: TableImage | None) -> tuple[str, ...]:
    if image is None:
        return (STOPPED,)
    return (DORMANT,) if image.dormant else ()


def _ahead(image: TableImage) -> tuple[str, ...]:
    chains = [image.chains[hook.chain] for hook in HOOKS if hook.chain in image.chains]
    return tuple(text for chain in chains for text in rules.others_ahead(chain))
