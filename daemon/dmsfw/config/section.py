"""Typed access to one section. What is wrong is noted and the default given, so that reading goes on to the end."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from dmsfw.config import options
from dmsfw.config.uci import BLANKS
from dmsfw.config.values import NotAllowed
from dmsfw.config.wording import nearest, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmsfw.config.problems import Problems
    from dmsfw.config.uci import Option, Section

T = TypeVar("T")

_BLANKS = re.compile(f"[{BLANKS}]+")


@dataclass(frozen=True, slots=True)
class SectionReader:
    """Reads the options of `section` and notes in `problems` what is wrong with them."""

    section: Section
    problems: Problems

    def one(self, name: str, parse: Callable[[str], T], *, default: T) -> T:
        """Return an option's only value."""
        option = self._set(name)
        if option is None:
            return default
        if len(option.values) > 1:
            self.error(f"{name} has {len(option.values)} values: one is allowed")
            return default
        return next(iter(self._parsed(name, option.values, parse)), default)

    def many(self, name: str, parse: Callable[[str], T]) -> tuple[T, ...]:
        """Return a list without its repeats: the `list` lines as they stand, or one `option` cut at its spaces."""
        option = self._set(name)
        if option is None:
            return ()
        texts = option.values if option.is_list else _BLANKS.split(option.values[0].strip(BLANKS))
        return tuple(dict.fromkeys(self._parsed(name, texts, parse)))

    def has(self, name: str) -> bool:
        """Tell whether an option is given, right or wrong. `option name ''` is UCI's way to give none."""
        return self._set(name) is not None

    def lacks(self, name: str) -> bool:
        """Tell whether an option is surely not given. A section that could not be read whole may have had any."""
        return not self.section.broken and not self.has(name)

    def text(self, name: str) -> str:
        """Return what stands in the file, for a message."""
        option = self._set(name)
        return "" if option is None else " ".join(option.values)

    def error(self, text: str) -> None:
        """Note an error of this section."""
        self.problems.errors.append(f"{self.section}: {text}")

    def refuse(self, name: str, value: str, allowed: str) -> None:
        """Note that a value is not allowed, and what is."""
        self.error(f"{name} {shown(value)} is not allowed: {allowed}")

    def warn(self, text: str) -> None:
        """Note a warning of this section."""
        self.problems.warnings.append(f"{self.section}: {text}")

    def warn_of_unknown(self) -> None:
        """Note a warning for each option that does not exist."""
        known = options.names(self.section.type)
        for name in self.section.options:
            if name in known or self.problems.is_talkative:
                continue
            hint = nearest(name, known)
            wider = any(f"'{narrowing}'" in hint for narrowing in options.NARROWING)
            self.warn(
                f"option {shown(name)} is unknown and ignored, {hint}"
                + (" Until it is mended this section allows more than you meant" if wider else "")
            )

    def _set(self, name: str) -> Option | None:
        option = self.section.options.get(name)
        return None if option is None or option.is_empty else option

    def _parsed(self, name: str, texts: list[str], parse: Callable[[str], T]) -> list[T]:
        return [value for text in texts for value in self._allowed(name, text, parse)]

    def _allowed(self, name: str, text: str, parse: Callable[[str], T]) -> tuple[T, ...]:
        try:
            return (parse(text),)
        except NotAllowed as allowed:
            self.refuse(name, text, str(allowed))
            return ()
