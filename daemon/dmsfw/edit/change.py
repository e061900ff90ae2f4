"""A change of the configuration that is ready to be made: what is written, and what must come of it. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from dmsfw.config import settings_of
from dmsfw.edit.rewrite import rewritten
from dmsfw.edit.steps import Argv, Step, calls
from dmsfw.errors import Refused, SettingsError
from dmsfw.model import Policy, Settings
from dmsfw.report.text import clean

LINE_LIMIT = 400
"""Characters of a diff's line: longer than any that is written here."""

_HEAD = re.compile(r"[ +-]?\t*")
"""A diff's sign and the indentation, which may stay as they are."""


@dataclass(frozen=True, slots=True)
class Change:
    """`after`: the file's text to be. `settings`: what it means, without the files beside it. `notes`: to be told."""

    before: str
    after: str
    steps: tuple[Step, ...]
    settings: Settings
    notes: tuple[str, ...] = ()

    def diff(self, name: str) -> list[str]:
        """The unified diff for people, `name` on top; foreign text cannot reach the terminal as it is."""
        lines = difflib.unified_diff(self.before.splitlines(), self.after.splitlines(), name, name, lineterm="")
        return [_shown(line) for line in lines]

    def calls(self, package: str) -> tuple[Argv, ...]:
        """The same by `uci`, not committed yet."""
        return tuple(call for step in self.steps for call in calls(step, package))


def change(
    text: str, settings: Settings, steps: Sequence[Step], policies: Sequence[Policy], notes: Sequence[str] = ()
) -> Change:
    """Do the steps and see that they change the policies to `policies`, and nothing else.

    Raises: Refused when they would change anything more than was said, or anything less.
    """
    wanted = replace(settings, policies=_numbered(policies))
    after = text
    for step in steps:
        after = rewritten(after, step)
    if _settings_or_none(after) != wanted:
        raise Refused("the file is written in a way that this cannot change safely: edit it by hand")
    return Change(text, after, tuple(steps), wanted, tuple(notes))


def _settings_or_none(text: str) -> Settings | None:
    try:
        return settings_of(text)
    except SettingsError:
        return None


def _numbered(policies: Sequence[Policy]) -> tuple[Policy, ...]:
    """Sections without a name are called by their place, which may be another one now."""
    return tuple(
        replace(policy, name=f"@egress[{at}]") if policy.name.startswith("@") else policy
        for at, policy in enumerate(policies)
    )


def _shown(line: str) -> str:
    match = _HEAD.match(line)
    head = line[: match.end()] if match else ""
    return head + (clean(line[len(head) :], LINE_LIMIT) if len(head) < len(line) else "")
