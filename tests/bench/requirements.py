"""Prints the part of requirements.txt that dmsfw needs to run: `tests/bench/requirements.py FILE`.

The file says of each package which others asked for it; what only the development group asked for is left out.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = "dmsfw (pyproject.toml)"
NAME = re.compile(r"[A-Za-z0-9._-]+")


def blocks(text: str) -> dict[str, str]:
    """The file's entries by package."""
    found = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)
    return {name[0]: block for block in found if (name := NAME.match(block))}


def askers(block: str) -> set[str]:
    """Who asked for a package: the comment that ends its entry, on one line or on several."""
    comments = re.findall(r"^ +# +(.*)$", block, flags=re.MULTILINE)
    return {text.removeprefix("via").strip() for text in comments} - {""}


def needed(entries: dict[str, str]) -> set[str]:
    """The packages that dmsfw itself asks for, and whatever those ask for."""
    found: set[str] = set()
    wanted = {ROOT}
    while wanted:
        new = {name for name, block in entries.items() if askers(block) & wanted} - found
        found |= new
        wanted = new
    return found


def main() -> None:
    """Print them in the file's order."""
    entries = blocks(Path(sys.argv[1]).read_text("utf-8"))
    kept = needed(entries)
    sys.stdout.write("".join(block for name, block in entries.items() if name in kept))


if __name__ == "__main__":
    main()
