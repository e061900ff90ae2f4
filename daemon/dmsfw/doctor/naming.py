"""Rules as their owner finds them: the chain and the number, what they say of themselves, and where they lead."""

from __future__ import annotations

import re
from typing import Final

from dmsfw.report.text import clean
from dmsfw.trace import Step

NFT_TARGETS: Final = frozenset({"accept", "drop", "reject", "redirect", "tproxy", "dnat", "snat", "masquerade"})
QUOTED: Final = re.compile(r'"[^"]*"')


def named(trail: tuple[Step, ...]) -> str:
    """Name a rule as its owner finds it: `FORWARD #8 (!fw3 reject)`, with the innermost one where it lies deeper."""
    placed = [step for step in trail if step.place is not None]
    if not placed:
        return ""
    first, last = placed[0], placed[-1]
    deeper = f", by {_place(last)}" if len(placed) > 2 else ""  # noqa: PLR2004 - a chain, and the rule that it holds
    if len(placed) > 1 and _is_nft(last):
        deeper = f", by {_place(last)}{_label(last)}"
    return f"{_place(first)}{_label(first)}{deeper}"


def _is_nft(step: Step) -> bool:
    """Rules of nftables say in their comments what they are for, the innermost one best of all."""
    return step.place is not None and " " in step.place.table


def _place(step: Step) -> str:
    place = step.place
    assert place is not None  # noqa: S101 - the callers have looked
    table = "" if place.table == "filter" else f"{clean(place.table)} "
    variant = f" of iptables-{place.variant}" if place.variant else ""
    number = f"#{place.number}" if place.number else "policy"
    return f"{table}{clean(place.chain)} {number}{variant}"


def _label(step: Step) -> str:
    comment = clean(step.comment, 60) if step.comment else ""
    target = "" if comment and _is_nft(step) else target_of(step.rule)
    said = " ".join(filter(None, (comment, target)))
    return f" ({said})" if said else ""


def target_of(rule: str) -> str:
    """What a rule jumps to, read from the line."""
    words = rule.split()
    for option in ("-j", "-g"):
        if option in words[:-1]:
            return clean(words[words.index(option) + 1], 40)
    return "" if rule.startswith("-") else _nft_target(QUOTED.sub("", rule).split())


def _nft_target(words: list[str]) -> str:
    """`jump handle_reject`, `redirect`."""
    for verb in ("jump", "goto"):
        if verb in words[:-1]:
            return clean(f"{verb} {words[words.index(verb) + 1]}", 40)
    return next((word for word in words if word in NFT_TARGETS), "")
