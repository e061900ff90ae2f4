"""One rule as the kernel hands it out, and as python-iptables builds it: bytes, taken apart only as far as asked.

Layouts from linux/netfilter/x_tables.h, linux/netfilter_ipv4/ip_tables.h and linux/netfilter_ipv6/ip6_tables.h; alike
on all architectures that OpenWrt runs dockerd on. An extension that nobody here knows does no harm.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import NamedTuple

from dmsfw.decide.marks import owned_id
from dmsfw.enforce.describe import describe
from dmsfw.enforce.memory import Memory
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

STANDARD_TARGET = 40
"""Bytes of a standard target (`struct xt_standard_target`): its head, the verdict and padding to 8."""

MALFORMED = "the kernel's table is not laid out as it should be: {}"

COMMENT = b"comment\0"
"""A match's name with its NUL: a rule whose bytes do not hold it has no comment."""


class Extension(NamedTuple):
    """A match or target: what it is and the bytes that say what it does."""

    name: bytes
    revision: int
    content: bytes


@contextmanager
def as_laid_out() -> Iterator[None]:
    """Raises: TableRefused for bytes that are no table."""
    try:
        yield
    except (struct.error, ValueError, IndexError) as error:
        raise TableRefused(MALFORMED.format(error)) from error


class KernelEntry:
    """A rule. `chains`: name of the chain whose first rule stands at an offset, to read jumps.

    Every attribute raises TableRefused for bytes that are no rule.
    """

    def __init__(self, version: int, raw: bytes, chains: Mapping[int, str], memory: Memory | None = None) -> None:
        self._version, self._raw, self._chains, self._memory = version, raw, chains, memory

    @property
    def key(self) -> bytes:
        """Equal for two rules that do the same and say the same: counters and kernel marks are left out."""
        if self._memory is None:
            return self._key
        at = LAYOUTS[self._version].counters_at
        masked = self._raw[:at] + self._raw[at + COUNTERS.size :]
        known = self._memory.get(masked)
        if known is None and not self._is_jump:
            self._memory.keep(masked, self._key)
        return known or self._key

    @cached_property
    def target(self) -> str:
        """A verdict, an extension, or the chain that it leads to; empty: on to the next rule."""
        try:  # asked of every rule of a chain, 10,000 maybe: the general way takes five times as long
            (at, _) = OFFSETS.unpack_from(self._raw, LAYOUTS[self._version].offsets_at)
            size, name, _ = EXTENSION.unpack_from(self._raw, at)
            if not name[0] and size == STANDARD_TARGET:
                (verdict,) = VERDICT.unpack_from(self._raw, at + EXTENSION.size)
                return VERDICTS.get(verdict) or self._chains.get(verdict, "")
        except struct.error as error:
            raise TableRefused(MALFORMED.format(error)) from error
        return self._target.name.decode("ascii", "replace")

    @cached_property
    def comment(self) -> str:
        """What it says of itself."""
        if COMMENT not in self._raw:
            return ""
        return next((text_of(match.content) for match in self._matches if match.name == b"comment"), "")

    @property
    def owned_id(self) -> str:
        """The id in a comment of ours; empty when it carries none."""
        return owned_id(self.comment)

    @cached_property
    def states(self) -> frozenset[str]:
        """The connection states that it asks for."""
        with as_laid_out():
            return frozenset(state for match in self._matches for state in _states(match))

    @property
    def packets(self) -> int:
        """Packets that have met it."""
        return self._counters[0]

    @property
    def octets(self) -> int:
        """Bytes of those packets."""
        return self._counters[1]

    @property
    def text(self) -> str:
        """The rule in words that its owner knows it by."""
        with as_laid_out():
            known = [(match.name.decode("ascii", "replace"), match.content) for match in self._matches]
            states = [state for state in STATES.values() if state in self.states]
            return describe(self._version, self._ip, known, states, self.comment, self.target)

    @cached_property
    def _key(self) -> bytes:
        parts = [self._ip]
        for name, revision, content in (*self._matches, self._target):
            parts += [EXTENSION.pack(len(content), name, revision), content]
        return b"".join(parts)

    @property
    def _ip(self) -> bytes:
        return self._raw[: LAYOUTS[self._version].ip]

    @cached_property
    def _target_at(self) -> int:
        with as_laid_out():
            target_at: int = OFFSETS.unpack_from(self._raw, LAYOUTS[self._version].offsets_at)[0]
            return target_at

    @property
    def _counters(self) -> tuple[int, int]:
        with as_laid_out():
            packets, octets = COUNTERS.unpack_from(self._raw, LAYOUTS[self._version].counters_at)
            return packets, octets

    @cached_property
    def _matches(self) -> tuple[Extension, ...]:
        with as_laid_out():
            return tuple(_extensions(self._raw, LAYOUTS[self._version].matches_at, self._target_at))

    @cached_property
    def _raw_target(self) -> Extension:
        with as_laid_out():
            (extension,) = _extensions(self._raw, self._target_at, len(self._raw))
            return extension

    @property
    def _is_jump(self) -> bool:
        """Where a chain stands differs from table to table: the bytes of a jump alone do not tell where it leads."""
        with as_laid_out():
            return not self._raw_target.name and VERDICT.unpack_from(self._raw_target.content)[0] >= 0

    @cached_property
    def _target(self) -> Extension:
        """A standard target gets its verdict's or its chain's name, as it has while python-iptables holds it."""
        target = self._raw_target
        if target.name:
            is_verdict = target.name.decode("ascii", "replace") in VERDICTS.values()
            return Extension(target.name, 0, b"") if is_verdict or _is_new_jump(target) else target
        with as_laid_out():
            (verdict,) = VERDICT.unpack_from(target.content)
        name = VERDICTS.get(verdict) or self._chains.get(verdict, "")  # neither: on to the next rule
        return Extension(name.encode(), 0, b"")


def parse_rule(version: int, raw: bytes) -> KernelEntry:
    """A rule that stands in no table yet, checked as a whole. Raises: TableRefused."""
    entry = KernelEntry(version, raw, {})
    _ = entry.key, entry.text, entry.packets
    return entry


def _extensions(raw: bytes, start: int, end: int) -> Iterator[Extension]:
    while start < end:
        size, name, revision = EXTENSION.unpack_from(raw, start)
        if not EXTENSION.size <= size <= end - start:
            raise ValueError("an extension shorter than its head or longer than its rule")
        yield Extension(name.partition(b"\0")[0], revision, raw[start + EXTENSION.size : start + size])
        start += size


def _is_new_jump(target: Extension) -> bool:
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


def text_of(content: bytes) -> str:
    """A text that ends with NUL, as C keeps it."""
    return content.partition(b"\0")[0].decode("utf-8", "replace")
