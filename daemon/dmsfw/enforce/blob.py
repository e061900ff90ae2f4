"""A whole table as the kernel hands it out (`IPT_SO_GET_ENTRIES`): bytes into chains. For one rule, see `rule`."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from dmsfw.enforce.memory import Memory
from dmsfw.enforce.rule import COUNTERS, EXTENSION, LAYOUTS, OFFSETS, VERDICT, KernelEntry, as_laid_out, text_of

FINGERPRINT_ENTRIES = 1000
"""Tables up to this size are compared by content at every look (0.1 ms at 100 rules); larger ones by their size."""


@dataclass(frozen=True)
class Blob:
    """A whole table. `hooks`: offset of each built-in chain's first rule, by name, in the order of the table.

    All of it raises TableRefused for bytes that are no table.
    """

    version: int
    raw: bytes
    hooks: dict[str, int]
    memory: Memory = field(default_factory=Memory, compare=False)
    _parsed: dict[str, tuple[KernelEntry, ...]] = field(default_factory=dict, compare=False)

    @cached_property
    @as_laid_out()
    def _walk(self) -> tuple[list[int], list[tuple[int, str]]]:
        """Offsets of all entries, and (offset of the first rule, name) of all chains, both ascending."""
        raw, at = self.raw, LAYOUTS[self.version].offsets_at
        unpack, starts = OFFSETS.unpack_from, []
        chains = [(offset, name) for name, offset in self.hooks.items()]
        position, end = 0, len(raw)
        while position < end:
            target_at, size = unpack(raw, position + at)
            starts.append(position)
            name_at = position + target_at + 2
            if raw[name_at : name_at + 6] == b"ERROR\0":
                chains.append((position + size, text_of(raw[position + target_at + EXTENSION.size : position + size])))
            if not size or size > end - position:
                raise ValueError("an entry of no size or longer than its table")
            position += size
        if not chains or chains[-1][0] != end:
            raise ValueError("a table without its end")
        if not {*self.hooks.values()} <= {*starts}:
            raise ValueError("a chain that begins within a rule")
        return starts, sorted(chain for chain in chains if chain[0] < end)

    @cached_property
    def _chains(self) -> dict[str, tuple[int, int]]:
        """By name: indexes of the first entry and of the policy that ends the chain (a chain's last entry)."""
        starts, chains = self._walk
        firsts = [bisect_right(starts, offset) - 1 for offset, _ in chains]
        heads = [first - (name not in self.hooks) for first, (_, name) in zip(firsts, chains, strict=True)]
        after = [*heads[1:], len(starts) - 1]
        names = [name for _, name in chains]
        return {name: (first, end - 1) for name, first, end in zip(names, firsts, after, strict=True)}

    @cached_property
    def _names(self) -> dict[int, str]:
        return dict(self._walk[1])

    def chain(self, name: str) -> tuple[KernelEntry, ...] | None:
        """The rules of a chain in order, without its policy; None when there is no such chain."""
        if name not in self._chains:
            return None
        if name not in self._parsed:
            first, last = self._chains[name]
            self._parsed[name] = tuple(self._entry(index) for index in range(first, last))
        return self._parsed[name]

    def drops(self, name: str) -> bool:
        """Tell whether a built-in chain drops by its policy what no rule has decided about."""
        return name in self._chains and self._entry(self._chains[name][1]).target == "DROP"

    def ours_outside(self, own: str, builtin: str) -> list[tuple[str, int]]:
        """(chain, index) of the rules that carry our comment or jump to `own`, in chains other than these two."""
        suspects = set(self._holding(b"dmsfw:"))
        if own in self._chains:
            starts, _ = self._walk
            suspects |= set(self._holding(VERDICT.pack(starts[self._chains[own][0]])))
        found = []
        for name, (first, last) in self._chains.items():
            if name in {own, builtin}:
                continue
            for index in sorted(suspect for suspect in suspects if first <= suspect < last):
                entry = self._entry(index)
                if entry.owned_id or entry.target == own:
                    found.append((name, index - first))
        return found

    @cached_property
    def fingerprint(self) -> int:
        """Changes with every edit, the counters left out; equal fingerprints, equal rules (64 bits, this process's)."""
        at = LAYOUTS[self.version].counters_at
        raw, starts = self.raw, self._walk[0]
        # From behind one rule's counters to the next one's: one piece a rule.
        begins = [0, *(start + at + COUNTERS.size for start in starts)]
        ends = [*(start + at for start in starts), len(raw)]
        return hash(b"".join([raw[begin:end] for begin, end in zip(begins, ends, strict=True)]))

    @property
    def mark(self) -> Hashable:
        """What `Tables.mark` is while nobody writes: the fingerprint of a small table, the size of a large one."""
        entries = len(self._walk[0])
        return self.fingerprint if entries <= FINGERPRINT_ENTRIES else (entries, len(self.raw))

    def _holding(self, needle: bytes) -> Iterator[int]:
        """Indexes of the entries whose bytes hold `needle`."""
        starts, _ = self._walk
        position = self.raw.find(needle)
        while position >= 0:
            yield bisect_right(starts, position) - 1
            position = self.raw.find(needle, position + 1)

    def _entry(self, index: int) -> KernelEntry:
        starts, _ = self._walk
        end = starts[index + 1] if index + 1 < len(starts) else len(self.raw)
        return KernelEntry(self.version, self.raw[starts[index] : end], self._names, self.memory)
