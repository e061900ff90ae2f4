"""The real tables: read with getsockopt, edited through python-iptables in one commit."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Hashable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from typing import Any

from dmsfw.enforce import library, sockopt
from dmsfw.enforce.blob import FINGERPRINT_ENTRIES, Blob
from dmsfw.enforce.build import Builder
from dmsfw.enforce.lock import XtablesLock
from dmsfw.enforce.memory import Memory
from dmsfw.enforce.render import RuleSpec, TableKey
from dmsfw.enforce.rule import parse_rule
from dmsfw.enforce.tables import CreateChain, Delete, Edit, Image, Insert
from dmsfw.errors import TableChanged, TableRefused

CHANGED = "temporarily unavailable"
"""What libiptc says when the table has another number of entries than when it was read (EAGAIN)."""


class KernelTables:
    """The tables of this process's network namespace. One thread only."""

    def __init__(self, lock: XtablesLock) -> None:
        self._lock = lock
        self._builder = Builder()
        self._keys: dict[RuleSpec, Hashable] = {}
        self._memory = {4: Memory(), 6: Memory()}
        self._looks: dict[TableKey, tuple[bytes, Hashable]] = {}

    def prepare(self) -> None:
        """Load python-iptables now, so that the first event need not wait for it: 20 ms. Raises: TableRefused."""
        library.load()

    def locked(self) -> AbstractContextManager[None]:
        """Hold the xtables lock."""
        return self._lock.held()

    def exists(self, key: TableKey) -> bool:
        """Tell whether the kernel has made the table already."""
        return sockopt.exists(key)

    def read(self, key: TableKey) -> Blob:
        """The table now; made by the kernel where it was not. Raises: TableRefused, TableChanged."""
        return replace(sockopt.read(key), memory=self._memory[key.version])

    def mark(self, key: TableKey) -> Hashable:
        """Equal while nobody writes to the table; a large one is told by its size only, so that it stays cheap."""
        info, raw = sockopt.glance(key, FINGERPRINT_ENTRIES)
        if info.entries > FINGERPRINT_ENTRIES:
            return (info.entries, info.size)
        known, mark = self._looks.get(key, (b"", None))
        if raw != known:  # else not even a counter has changed
            mark = Blob(key.version, raw, info.hooks).mark
            self._looks[key] = raw, mark
        return mark

    def key_of(self, spec: RuleSpec) -> Hashable:
        """What makes the rule equal to one that stands in a table."""
        if spec not in self._keys:
            # Where that is not permitted, libxtables would complain on stderr while the rule is built.
            sockopt.require_permission(spec.key)
            self._keys[spec] = parse_rule(spec.version, self._builder.raw(spec)).key
        return self._keys[spec]

    def keep_only(self, specs: Iterable[RuleSpec]) -> None:
        """Forget the bytes of all rules but these."""
        kept = set(specs)
        self._builder.keep_only(kept)
        self._keys = {spec: key for spec, key in self._keys.items() if spec in kept}

    def commit(self, key: TableKey, image: Image, edits: Sequence[Edit]) -> None:
        """Make the edits in one step. libiptc reads the table for itself, so both readings must be the same.

        Raises: TableChanged, TableRefused.
        """
        iptc = library.load()
        table = _attempt(key, lambda: _table(iptc, key))
        try:
            self._apply_all(key, table, image, edits)
            # Last, so that a writer without the lock has but one call to come between.
            _demand_unchanged(key, image)
            specs = [edit.spec for edit in edits if isinstance(edit, Insert)]
            _attempt(key, table.commit, specs)
        finally:
            table.close()

    def _apply_all(self, key: TableKey, table: Any, image: Image, edits: Sequence[Edit]) -> None:
        """Edits that do not fit are no fault where somebody changed the table: then they were meant for another."""
        try:
            for edit in edits:
                _attempt(key, partial(self._apply, table, edit))
        except TableRefused:
            _demand_unchanged(key, image)
            raise

    def _apply(self, table: Any, edit: Edit) -> None:
        if isinstance(edit, CreateChain):
            table.create_chain(edit.chain)
        elif isinstance(edit, Insert):
            self._insert(table, edit)
        elif isinstance(edit, Delete):
            _delete(table, edit)
        else:
            table.delete_chain(edit.chain)

    def _insert(self, table: Any, edit: Insert) -> None:
        raw = self._builder.raw(edit.spec)
        buffer = (ctypes.c_ubyte * len(raw)).from_buffer_copy(raw)
        if edit.index is None:
            table.append_entry(edit.spec.chain, buffer)
        else:
            table.insert_entry(edit.spec.chain, buffer, edit.index)


def _demand_unchanged(key: TableKey, image: Image) -> None:
    """Raises: TableChanged when the table is another than in `image`."""
    if not isinstance(image, Blob) or sockopt.read(key).fingerprint != image.fingerprint:
        raise TableChanged(f"{key.command} table {key.name} was changed by somebody else")


def _table(iptc: Any, key: TableKey) -> Any:
    kind = iptc.Table if key.version == 4 else iptc.Table6  # noqa: PLR2004 - an address family
    table = kind(key.name, autocommit=False)
    table.autocommit = False
    table.refresh()
    return table


def _delete(table: Any, edit: Delete) -> None:
    """Delete by number: python-iptables wraps only the deletion of a rule that looks the same."""
    functions = table._iptc
    if functions.iptc_delete_num_entry(edit.chain.encode(), edit.index, table._handle) != 1:
        raise library.load().IPTCError(f"can't remove a rule of chain {edit.chain}: {table.strerror()}")


def _attempt(key: TableKey, action: Callable[[], Any], specs: Iterable[RuleSpec] = ()) -> Any:
    """Do it, with python-iptables's errors turned into ours. `specs`: the rules that it is about."""
    iptc = library.load()
    try:
        return action()
    except (iptc.IPTCError, iptc.xtables.XTablesError, ValueError, TypeError, AttributeError) as error:
        if CHANGED in str(error):
            raise TableChanged(f"{key.command} table {key.name} was changed by somebody else") from error
        raise TableRefused(sockopt.refusal(key, str(error).replace("b'", "'"), specs)) from error
