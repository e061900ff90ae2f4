"""What is wrong with a configuration, collected until all of it has been read."""

from __future__ import annotations

from dataclasses import dataclass, field

MAX_LISTED = 100
"""Messages of each kind that are told. A file of a megabyte could hold a hundred thousand of them."""


@dataclass(slots=True)
class Problems:
    """Errors, for which the configuration is refused, and warnings, with which it is used."""

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def is_talkative(self) -> bool:
        """Tell whether there are so many warnings that another one would not be told."""
        return len(self.warnings) > MAX_LISTED


def told(messages: list[str]) -> tuple[str, ...]:
    """Drop repeats and what is too much, and say so."""
    once = tuple(dict.fromkeys(messages))
    return once if len(once) <= MAX_LISTED else (*once[:MAX_LISTED], "and more of them: mend these first")
