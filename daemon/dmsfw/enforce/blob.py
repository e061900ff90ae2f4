"""A table as the kernel hands it out (`IPT_SO_GET_ENTRIES`), and as python-iptables builds it: bytes into rules.

Layouts from linux/netfilter/x_tables.h, linux/netfilter_ipv4/ip_tables.h and linux/netfilter_ipv6/ip6_tables.h; alike
on all architectures that OpenWrt runs dockerd on. Foreign rules are never taken apart further than is needed
to place ours, so an extension that nobody here knows does no harm.
"""

from __future__ import annotations

import struct
import zlib
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from dmsfw.enforce.describe import describe
from dmsfw.enforce.tables import Entry
from dmsfw.errors import TableRefused


class Layout(NamedTuple):
    """Sizes of one address family's `struct ip[6]t_entry`, in bytes."""

    ip: int
    offsets_at: int
    counters_at: int
    matches_at: int


LAYOUTS: dict[int, Layout] = {4: Layout(84, 88, 96, 112), 6: Layout(136, 140, 152, 168)}

EXTENSION = struct.Struct("=H29sB")
"""Head of a match or target (`struct xt_entry_match`): size with its data, name, revision."""

OFFSETS = struct.Struct("=HH")
COUNTERS = struct.Struct("=QQ")
VERDICT = struct.Struct("=i")

VERDICTS = {-1: "DROP", -2: "ACCEPT", -4: "QUEUE", -5: "RETURN"}
"""Standard targets: -(NF_DROP=0)-1, -(NF_ACCEPT=1)-1, -(NF_QUEUE=3)-1, XT_RETURN."""

STATES = {
    0x01: "INVALID",
    0x08: "NEW",
    0x04: "RELATED",
    0x02: "ESTABLISHED",
    0x100: "UNTRACKED",
    0x40: "SNAT",
    0x80: "DNAT",
}
"""Bits of the conntrack match's state mask (xt_conntrack.h), in the order in which iptables writes them."""

UNTRACKED_OF_STATE = 0x40
"""The one bit that is another in the old match `state` (xt_state.h)."""

CONNTRACK_INVERTED_AT = 148
"""Where inversions and state mask stand in the conntrack match's data, revisions 2 and 3."""

CONNTRACK_FLAGS = struct.Struct("=HH")
STATE_MASK = struct.Struct("=I")
INVERTED_STATE = 0x01
"""XT_CONNTRACK_STATE among the inversions: the rule asks for every other state."""

ERROR = b"ERROR"
"""Target of the pseudo rules that head a chain of the user's, and that end the table."""


class Extension(NamedTuple):
    """A match or target: what it is and the bytes that say what it does."""

    name: bytes
    revision: int
    content: bytes


Key = tuple[bytes, tuple[Extension, ...], Extension]
"""What makes two rules equal: addresses and devices, matches, target. Counters and kernel marks are left out."""


@contextmanager
def _as_laid_out() -> Iterator[None]:
    """Raises: TableRefused for bytes that are no table."""
    try:
        yield
    except (struct.error, ValueError, IndexError) as error:
        raise TableRefused(f"the kernel's table is not laid out as it should be: {error}") from error


@_as_laid_out()
def parse_rule(version: int, raw: bytes, chains: dict[int, str] | None = None) -> Entry:
    """One rule. `chains`: name of the chain whose first rule stands at an offset, to read jumps.

    Raises: TableRefused.
    """
    layout = LAYOUTS[version]
    target_at, _ = OFFSETS.unpack_from(raw, layout.offsets_at)
    matches = tuple(_extensions(raw, layout.matches_at, target_at))
    (extension,) = _extensions(raw, target_at, len(raw))
    target = _target(extension, chains or {})
    packets, octets = COUNTERS.unpack_from(raw, layout.counters_at)
    ip = raw[: layout.ip]
    states = frozenset(state for match in matches for state in _states(match))
    comment = next((_text(match.content) for match in matches if match.name == b"comment"), "")
    name = target.name.decode("ascii", "replace")
    known = [(match.name.decode("ascii", "replace"), match.content) for match in matches]
    text = describe(version, ip, known, [state for state in STATES.values() if state in states], comment, name)
    return Entry((ip, matches, target), name, comment, states, packets, octets, text)


def _extensions(raw: bytes, start: int, end: int) -> Iterator[Extension]:
    while start < end:
        size, name, revision = EXTENSION.unpack_from(raw, start)
        if not EXTENSION.size <= size <= end - start:
            raise ValueError("an extension shorter than its head or longer than its rule")
        yield Extension(name.partition(b"\0")[0], revision, raw[start + EXTENSION.size : start + size])
        start += size


def _target(target: Extension, chains: dict[int, str]) -> Extension:
    """A standard target gets its verdict's or its chain's name, as it has while python-iptables holds it."""
    if target.name:
        is_verdict = target.name.decode("ascii", "replace") in VERDICTS.values()
        return Extension(target.name, 0, b"") if is_verdict or _is_jump(target) else target
    (verdict,) = VERDICT.unpack_from(target.content)
    name = VERDICTS.get(verdict) or chains.get(verdict, "")  # no verdict and no chain: on to the next rule
    return Extension(name.encode(), 0, b"")


def _is_jump(target: Extension) -> bool:
    """A jump that the kernel has not seen yet: the chain's name, and the room for a verdict, empty."""
    return target.name.startswith(b"DMSFW-") and not any(target.content)


def _states(match: Extension) -> Iterator[str]:
    mask = 0
    if match.name == b"conntrack" and match.revision > 1:
        inverted, mask = CONNTRACK_FLAGS.unpack_from(match.content, CONNTRACK_INVERTED_AT)
        mask = 0 if inverted & INVERTED_STATE else mask
    elif match.name == b"state":
        (mask,) = STATE_MASK.unpack_from(match.content)
        mask = mask & ~UNTRACKED_OF_STATE | (mask & UNTRACKED_OF_STATE) << 2
    yield from (name for bit, name in STATES.items() if mask & bit)


def _text(content: bytes) -> str:
    return content.partition(b"\0")[0].decode("utf-8", "replace")


@dataclass(frozen=True)
class Blob:
    """A whole table. `hooks`: offset of each built-in chain's first rule, by name, in the order of the table.

    All of it raises TableRefused for bytes that are no table.
    """

    version: int
    raw: bytes
    hooks: dict[str, int]
    _parsed: dict[str, tuple[Entry, ...]] = field(default_factory=dict, compare=False)

    @cached_property
    @_as_laid_out()
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
                chains.append((position + size, _text(raw[position + target_at + EXTENSION.size : position + size])))
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

    def chain(self, name: str) -> tuple[Entry, ...] | None:
        """The rules of a chain in order, without its policy; None when there is no such chain."""
        if name not in self._chains:
            return None
        if name not in self._parsed:
            first, last = self._chains[name]
            self._parsed[name] = tuple(self._entry(index) for index in range(first, last))
        return self._parsed[name]

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
        """Changes with every edit, the counters left out; equal fingerprints, equal rules (CRC-32)."""
        at = LAYOUTS[self.version].counters_at
        view, crc = memoryview(self.raw), 0
        starts = self._walk[0]
        for start, following in zip(starts, [*starts[1:], len(self.raw)], strict=True):
            crc = zlib.crc32(view[start + at + COUNTERS.size : following], zlib.crc32(view[start : start + at], crc))
        return crc

    def _holding(self, needle: bytes) -> Iterator[int]:
        """Indexes of the entries whose bytes hold `needle`."""
        starts, _ = self._walk
        position = self.raw.find(needle)
        while position >= 0:
            yield bisect_right(starts, position) - 1
            position = self.raw.find(needle, position + 1)

    def _entry(self, index: int) -> Entry:
        starts, _ = self._walk
        end = starts[index + 1] if index + 1 < len(starts) else len(self.raw)
        return parse_rule(self.version, self.raw[starts[index] : end], self._names)
