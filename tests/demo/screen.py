"""How the demo looks: aligned lines, coloured on a terminal; NO_COLOR and a pipe are respected."""

from __future__ import annotations

import os
import sys
import textwrap
import time

LABEL_COLUMNS = 54
"""Columns of what is done, before what came of it."""

COLUMNS = 100
"""Widest line that is written; longer text is wrapped."""

BOLD, DIM, RED, GREEN, YELLOW, CYAN = "1", "2", "31", "32", "33", "36"


class Screen:
    """Writes to stdout and remembers whether every step went as told."""

    def __init__(self, *, colour: bool | None = None) -> None:
        self.colour = wanted() if colour is None else colour
        self.failures = 0
        self._began = time.monotonic()

    def title(self, text: str) -> None:
        """Begin a part of the story."""
        print(f"\n{self.paint(text, BOLD)}", flush=True)

    def say(self, text: str) -> None:
        """Tell something that is not measured."""
        for line in textwrap.wrap(text, COLUMNS - 2):
            print(f"  {self.paint(line, DIM)}", flush=True)

    def show(self, label: str, found: str, *, good: bool, expected: bool = True) -> None:
        """Write what was done and what came of it. `good`: nice to see; `expected`: as the story has it."""
        self.failures += not expected
        mark = self.paint("ok", GREEN) if expected else self.paint("NOT AS TOLD", RED)
        colour = (GREEN if good else YELLOW) if expected else RED
        dots = "." * max(2, LABEL_COLUMNS - len(label) - 1)
        print(f"  {label} {self.paint(dots, DIM)} {self.paint(found, colour)}  {mark}", flush=True)

    def quote(self, text: str, command: str = "") -> None:
        """Show what a command printed."""
        if command:
            print(f"  {self.paint('$', DIM)} {self.paint(command, CYAN)}", flush=True)
        for line in text.rstrip().splitlines():
            print(f"    {line}".rstrip(), flush=True)

    def end(self) -> int:
        """Write the verdict and return the exit code."""
        seconds = time.monotonic() - self._began
        if self.failures:
            print(f"\n{self.paint(f'{self.failures} steps did not go as told', RED)} ({seconds:.1f} s)", flush=True)
        else:
            print(f"\n{self.paint('every step went as told', GREEN)} ({seconds:.1f} s)", flush=True)
        return 1 if self.failures else 0

    def paint(self, text: str, code: str) -> str:
        """Colour a text, where colour is wanted."""
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour else text


def wanted() -> bool:
    """Tell whether stdout is to be coloured (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
