"""Draws docs/demo.svg from a real run of the demo: `python -m tests.demo.picture`, as root.

The demo runs on a terminal of its own, so that it is coloured; what it prints is drawn line by line. Nothing is drawn
when a step did not go as told.
"""

from __future__ import annotations

import os
import pty
import re
import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path

from tests.lab import paths

TARGET = paths.ROOT / "docs" / "demo.svg"

CHARACTER_W, LINE_H, MARGIN = 8.4, 19, 24
"""Pixels of a character of 14 px monospace, of a line, and around everything."""

BAR_H = 34
"""Pixels of the window's bar."""

COLOURS = {"31": "#ff7b72", "32": "#7ee787", "33": "#e3b341", "36": "#79c0ff", "2": "#8b949e", "1": "#ffffff"}
PLAIN = "#c9d1d9"

SGR = re.compile(r"\x1b\[([0-9;]*)m")


def run_on_a_terminal() -> tuple[int, str]:
    """Run the demo on a pseudo terminal; return its exit code and what it printed."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm-256color", COLUMNS="100")
        os.environ.pop("NO_COLOR", None)
        os.execv(sys.executable, [sys.executable, "-m", "tests.demo"])
    output = b"".join(_read(terminal))
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), output.decode().replace("\r\n", "\n")


def _read(terminal: int) -> Iterator[bytes]:
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # the other end has closed
            return
        if not piece:
            return
        yield piece


def draw(text: str, title: str) -> str:
    """Draw a terminal window that shows the text."""
    lines = text.strip("\n").split("\n")
    width = MARGIN * 2 + CHARACTER_W * max(len(SGR.sub("", line)) for line in lines)
    height = BAR_H + MARGIN * 2 + LINE_H * len(lines)
    rows = [_row(line, BAR_H + MARGIN + LINE_H * number + 4) for number, line in enumerate(lines)]
    dots = [
        f'<circle cx="{20 + 20 * n}" cy="17" r="6" fill="{c}"/>'
        for n, c in enumerate(("#ff5f56", "#ffbd2e", "#27c93f"))
    ]
    size = f'width="{width:.0f}" height="{height}" viewBox="0 0 {width:.0f} {height}"'
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(title)}">',
        '<rect width="100%" height="100%" rx="8" fill="#0d1117"/>',
        f'<rect width="100%" height="{BAR_H}" rx="8" fill="#161b22"/>',
        *dots,
        '<text x="50%" y="22" text-anchor="middle" font-family="sans-serif" font-size="13" fill="#8b949e">',
        f"{escape(title)}</text>",
        '<g font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,monospace" font-size="14" xml:space="preserve">',
    ]
    return "\n".join([*head, *rows, "</g>", "</svg>", ""])


def _row(line: str, y: int) -> str:
    spans = "".join(
        f'<tspan x="{MARGIN + CHARACTER_W * column:.1f}" fill="{colour}">{escape(text)}</tspan>'
        for column, colour, text in _spans(line)
    )
    return f'<text y="{y}">{spans}</text>'


def _spans(line: str) -> Iterator[tuple[int, str, str]]:
    """Pieces of one colour: (column, colour, text)."""
    column, colour, start = 0, PLAIN, 0
    for found in [*SGR.finditer(line), None]:
        text = line[start : found.start() if found else len(line)]
        if text:
            yield column, colour, text
        column += len(text)
        if found:
            start, colour = found.end(), COLOURS.get(found[1], PLAIN)


def main() -> int:
    """Run, draw, write."""
    code, text = run_on_a_terminal()
    sys.stdout.write(text)
    if code == 0:
        Path(TARGET).write_text(
            draw("$ make demo\n" + text.lstrip("\n"), "dmsfw: the field case, measured as it runs"), "utf-8"
        )
    return code


if __name__ == "__main__":
    sys.exit(main())
