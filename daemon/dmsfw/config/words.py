r"""Words as libuci's own parser (file.c) reads them:

1. A newline or `;` outside quotes ends a command; `#` there begins a comment, even inside a word: `a#b` is `a`.
2. Quotes are the shell's and may run over lines; quoted and plain pieces that touch are one word: `'Bob'\''s PC'`.
3. A backslash, except in single quotes, takes the next character as it is (`"\n"` is `n`); before a line's end it
   joins the next line to this one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

WORD_END = frozenset(("", " ", "\t", "\r", "\n", "\v", "\f", "#", ";"))
COMMAND_END = frozenset(("", "\n", "#", ";"))

_SPACE = re.compile(r"[ \t\r\n\v\f]*")
_BLANK = re.compile(r"[ \t\r\v\f]*")
_PLAIN = re.compile(r"[^ \t\r\n\v\f#;'\"\\]+")
_DOUBLE_QUOTED = re.compile(r'[^"\\]+')


class Unreadable(Exception):
    """Why a command cannot be read."""


def line_end(text: str, at: int) -> int:
    """Return where the line of `at` ends: behind its newline."""
    return text.find("\n", at) + 1 or len(text)


@dataclass(slots=True)
class Cursor:
    """A place in the text. Nothing is read at or behind `end`."""

    text: str
    at: int
    end: int

    def goes_on(self) -> bool:
        """Go to the next command; False when there is none."""
        self.take(_SPACE)
        return self.at < self.end

    def words(self) -> tuple[str, ...]:
        """Read the words up to the end of the command, and stay behind the last one. Raises: Unreadable."""
        words, end = [], self.at
        self.take(_BLANK)
        while self.char() not in COMMAND_END:
            words.append(self._word())
            end = self.at
            self.take(_BLANK)
        self.at = end
        return tuple(words)

    def _word(self) -> str:
        pieces = []
        while (char := self.char()) not in WORD_END:
            if char == "'":
                pieces.append(self._single_quoted())
            elif char == '"':
                pieces.append(self._double_quoted())
            else:
                pieces.append(self._escaped() if char == "\\" else self.take(_PLAIN))
        return "".join(pieces)

    def _single_quoted(self) -> str:
        start, end = self.at + 1, self.text.find("'", self.at + 1, self.end)
        if end < 0:
            raise Unreadable("a quote ' is not closed")
        self.at = end + 1
        return self.text[start:end]

    def _double_quoted(self) -> str:
        self.at += 1
        pieces = [self.take(_DOUBLE_QUOTED)]
        while (char := self.char()) != '"':
            if not char:
                raise Unreadable('a quote " is not closed')
            pieces += (self._escaped(), self.take(_DOUBLE_QUOTED))
        self.at += 1
        return "".join(pieces)

    def _escaped(self) -> str:
        behind = self.text[self.at + 1 : min(self.at + 3, self.end)]
        taken = behind if behind == "\r\n" else behind[:1]
        self.at += 1 + len(taken)
        return "" if taken.endswith("\n") else taken

    def finish(self) -> None:
        """Go behind the `;` or the comment that ends a command."""
        self.take(_BLANK)
        if self.char() == ";":
            self.at += 1
        elif self.char() == "#":
            self.at = min(line_end(self.text, self.at), self.end)

    def char(self) -> str:
        """Return the character here; empty at the end."""
        return self.text[self.at] if self.at < self.end else ""

    def take(self, pattern: re.Pattern[str]) -> str:
        """Return what matches here, and go behind it."""
        match = pattern.match(self.text, self.at, self.end)
        if match is None:
            return ""
        self.at = match.end()
        return match.group()
