"""A plan for people (`+`/`-` lines with their whys) and for programs (JSON). Pure."""

from __future__ import annotations

import json
from itertools import groupby
from typing import TYPE_CHECKING

from dmsfw.report.text import clean

if TYPE_CHECKING:
    from dmsfw.model import Change, Plan

RULE_LIMIT = 1000
"""Characters of one rule: longer than any that is written; what is cut could not be compared."""

_COLOURS = {"+": "\x1b[32m", "-": "\x1b[31m"}


def plan_lines(plan: Plan, colour: bool) -> list[str]:  # noqa: FBT001 - as every renderer here
    """Write a plan: changes under the place where they are made, each with its why; one line when there are none.

    Behind it what keeps the firewall from allowing all that was asked for: then not all rules are in place.
    """
    lines = (
        [] if plan else ["nothing to change" if plan.notes else f"nothing to change: {plan.rules} rules are in place"]
    )
    for place, changes in groupby(plan.changes, key=lambda change: change.place):
        lines += [clean(place), *(_line(change, colour=colour) for change in changes)]
    return [*lines, *(f"but {clean(note, RULE_LIMIT)}" for note in plan.notes)]


def plan_json(plan: Plan) -> str:
    """Write a plan as one object: `changes` (sign, place, text, why), `rules` (due in all), `ahead`, `notes`."""
    changes = [
        {"sign": one.sign, "place": clean(one.place), "text": clean(one.text, RULE_LIMIT), "why": _why(one)}
        for one in plan.changes
    ]
    ahead = [clean(rule, RULE_LIMIT) for rule in plan.ahead]
    notes = [clean(note, RULE_LIMIT) for note in plan.notes]
    whole = {"changes": changes, "rules": plan.rules, "ahead": ahead, "notes": notes}
    return json.dumps(whole, ensure_ascii=False, indent=1)


def _line(change: Change, *, colour: bool) -> str:
    rule = f"{change.sign} {clean(change.text, RULE_LIMIT)}"
    why = f"  # {_why(change)}" if change.why and change.why not in change.text else ""  # a rule's comment says it
    if not colour:
        return f"  {rule}{why}"
    return f"  {_COLOURS[change.sign]}{rule}\x1b[0m" + (f"\x1b[2m{why}\x1b[0m" if why else "")


def _why(change: Change) -> str:
    return clean(change.why, RULE_LIMIT) if change.why else ""
