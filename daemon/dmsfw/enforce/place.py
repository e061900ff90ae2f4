"""Where our hook stands among other people's rules. Pure.

Filter, with firewall3: behind its accept of established traffic (and its drop of invalid packets), so that established
traffic never walks our chain and the owner's `forwarding_rule` comes first; ahead of its zones, which would reject.
Filter, without firewall3: first, behind a jump to DOCKER-USER, where Docker's users put what must come before.
Nat: behind all of firewall3's, so that only what nobody else translates is ours.

What others put ahead later is left ahead: a hook is right anywhere between `first` and `last`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from dmsfw.enforce.render import TableName
from dmsfw.enforce.tables import Entry

FIREWALL3 = "!fw3"
"""What the comment of every rule of firewall3's begins with (fw3 sources: iptables.c, fw3_ipt_rule_comment)."""

AHEAD_TARGETS = frozenset({"forwarding_rule", "FLOWOFFLOAD"})
"""Targets of firewall3's FORWARD rules that stand ahead of its zones."""


class Gap(NamedTuple):
    """Gaps between foreign rules, counted by the rules ahead of them: where a hook is right, where a new one goes."""

    first: int
    last: int
    best: int


def gap(table: TableName, foreign: Sequence[Entry]) -> Gap:
    """The places for our hook among the rules of a built-in chain that are not ours."""
    if table == "filter":
        return _filter_gap(foreign)
    behind = max((index + 1 for index, entry in enumerate(foreign) if is_firewall3(entry)), default=0)
    return Gap(behind, len(foreign), len(foreign))


def is_firewall3(entry: Entry) -> bool:
    """Tell whether a rule is firewall3's own."""
    return entry.comment.startswith(FIREWALL3)


def ahead(table: TableName, foreign: Sequence[Entry], hook_at: int) -> tuple[Entry, ...]:
    """The rules that a packet meets before ours and that are neither ours nor firewall3's frame."""
    return tuple(entry for entry in foreign[:hook_at] if not _is_frame(table, entry))


def _filter_gap(foreign: Sequence[Entry]) -> Gap:
    firewall3 = [index for index, entry in enumerate(foreign) if is_firewall3(entry)]
    if not firewall3:
        behind = max((index + 1 for index, entry in enumerate(foreign) if entry.target == "DOCKER-USER"), default=0)
        return Gap(0, len(foreign), behind)
    last = next((index for index in firewall3 if not _goes_ahead(foreign[index])), len(foreign))
    first = max((index + 1 for index in firewall3 if index < last), default=0)
    return Gap(first, last, first)


def _goes_ahead(entry: Entry) -> bool:
    if entry.target in AHEAD_TARGETS:
        return True
    return (entry.target == "ACCEPT" and "ESTABLISHED" in entry.states) or (
        entry.target == "DROP" and "INVALID" in entry.states
    )


def _is_frame(table: TableName, entry: Entry) -> bool:
    """The owner's `forwarding_rule` chain is firewall3's frame as well: it is empty until the owner fills it."""
    return is_firewall3(entry) and (table == "nat" or _goes_ahead(entry))
