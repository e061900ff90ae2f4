"""Three-valued answers: a rule matches, does not, or that cannot be told from here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Answer(NamedTuple):
    """`matches` None: not known. `why`: what is not known, or what was assumed."""

    matches: bool | None
    why: str = ""

    def turned(self) -> Answer:
        """The answer to the opposite question."""
        return self if self.matches is None else Answer(not self.matches, self.why)


YES = Answer(matches=True)
NO = Answer(matches=False)


def told(matches: bool) -> Answer:  # noqa: FBT001 - it is what is told
    """The answer where everything is known."""
    return YES if matches else NO


def unknown(why: str) -> Answer:
    """Neither yes nor no."""
    return Answer(None, why)


def assumed(why: str) -> Answer:
    """Yes, but by an assumption that has to be said."""
    return Answer(matches=True, why=why)


def any_of(answers: Iterable[Answer]) -> Answer:
    """Yes when one is, no when all are, else not known."""
    result = NO
    for answer in answers:
        if answer.matches:
            return answer
        if answer.matches is None:
            result = answer
    return result
