"""Where an investigation is told, line by line as it goes. Colour and a line that counts seconds only on a terminal."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Final, TextIO

from dmsfw.doctor.inside import Tick
from dmsfw.report.table import MIN_WIDTH, wrap
from dmsfw.report.text import clean, colour_wanted

LIMIT: Final = 600
"""Characters of one line that is told."""

COMMAND_LIMIT: Final = 4000
FALLBACK: Final = (100, 24)
CLEAR: Final = "\r\x1b[K"
PATIENCE_S: Final = 0.5
"""A wait that is over sooner is not worth a line."""

BOLD, RED, GREEN, YELLOW, CYAN = "1", "31", "32", "33", "36"


class Screen:
    """Tells what is done. Whatever it is given is cleaned."""

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        self._stream, self._quiet = stream or sys.stdout, quiet
        self._terminal = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._colour = self._terminal and colour_wanted()
        self._waiting = False

    def title(self, text: str) -> None:
        """Begin a part."""
        self._write(["", self._painted(clean(text, LIMIT), BOLD)])

    def say(self, text: str, colour: str = "", indent: int = 3) -> None:
        """Tell one thing; a long one is wrapped."""
        width = max(shutil.get_terminal_size(FALLBACK).columns, MIN_WIDTH)
        self._write([self._painted(line, colour) for line in wrap(clean(text, LIMIT), width, indent)])

    def line(self, text: str, colour: str = "") -> None:
        """Tell one line of a table, which is not wrapped and has been cleaned."""
        self._write([self._painted(text, colour)])

    def paste(self, lines: Iterable[str]) -> None:
        """Show lines to paste: never wrapped, since a broken command is another one; a tab stays one."""
        self._write([self._painted(_line(line), CYAN) for line in lines])

    def waits(self, text: str) -> Tick:
        """Have a line on the terminal that says for what it is waited, and how long already."""

        def tick(waited_s: float) -> None:
            if self._terminal and not self._quiet and waited_s >= PATIENCE_S:
                self._stream.write(f"{CLEAR}{_fitting(clean(text), f' ... {waited_s:.0f} s')}")
                self._stream.flush()
                self._waiting = True

        return tick

    def _write(self, lines: Iterable[str]) -> None:
        if self._quiet:
            return
        if self._waiting:
            self._stream.write(CLEAR)
            self._waiting = False
        for line in lines:
            self._stream.write(f"{line}\n")
        self._stream.flush()

    def close(self) -> None:
        """Take away the line that counts, should an error have left it."""
        if self._waiting:
            with suppress(OSError):
                self._write([])

    def _painted(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour and code else text


def _fitting(text: str, count: str) -> str:
    """One line of the terminal: one that went over its edge would be left there each time."""
    room = shutil.get_terminal_size(FALLBACK).columns - 1 - len(count)
    return f"   {text}"[: max(room, 0)] + count


def _line(line: str) -> str:
    return "\t".join(clean(piece, COMMAND_LIMIT) if piece else "" for piece in line.split("\t"))
