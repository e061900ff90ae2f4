"""Stands in for OpenWrt's `uci`, which Debian does not have: set, add_list and commit, as far as dmsfw offers them.

Changes wait beside the file until they are committed, and the file is then renamed into place, its comments gone, as
the real one does. Usage: uci.py set|add_list PACKAGE.SECTION[.OPTION]=VALUE; uci.py commit PACKAGE
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path

FOLDER = Path("/etc/config")
STAGED = Path("/run/uci-staged")

Section = list[list[str]]
"""A section's commands, its `config` first: ["config", "egress", "smtps"], ["list", "network", "x"]."""


def read(path: Path) -> list[Section]:
    """Read a configuration; quoting and comments are the shell's."""
    sections: list[Section] = []
    for line in path.read_text("utf-8").splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["config"]:
            sections.append([words])
        elif words:
            sections[-1].append(words)
    return sections


def find(sections: list[Section], name: str) -> Section | None:
    """Return a section by its name, or by its type and number: `@egress[0]`."""
    numbered = re.fullmatch(r"@(\w+)\[(\d+)\]", name)
    if numbered:
        alike = [section for section in sections if section[0][1] == numbered[1]]
        return alike[int(numbered[2])] if int(numbered[2]) < len(alike) else None
    return next((section for section in sections if section[0][2:] == [name]), None)


def change(command: str, argument: str) -> None:
    """Stage one change."""
    path, _, value = argument.partition("=")
    package, name, *option = path.split(".")
    sections = read(FOLDER / package)
    apply_staged(sections, package)
    section = find(sections, name)
    if section is None and (command, option) != ("set", []):
        sys.exit("uci: Invalid argument")
    with (STAGED.with_suffix("." + package)).open("a", encoding="utf-8") as staged:
        staged.write(shlex.join([command, name, *option, value]) + "\n")


def apply_staged(sections: list[Section], package: str) -> None:
    """Do what was staged to the sections."""
    staged = STAGED.with_suffix("." + package)
    for line in staged.read_text("utf-8").splitlines() if staged.exists() else []:
        command, name, *option, value = shlex.split(line)
        section = find(sections, name)
        if section is None:
            sections.append([["config", value, name]])
        elif command == "add_list":
            section.append(["list", option[0], value])
        elif option:
            section[1:] = [words for words in section[1:] if words[1] != option[0]] + [["option", option[0], value]]


def commit(package: str) -> None:
    """Write the file anew and rename it into place."""
    sections = read(FOLDER / package)
    apply_staged(sections, package)
    STAGED.with_suffix("." + package).unlink(missing_ok=True)
    new = FOLDER / f".{package}.uci-new"
    new.write_text("\n".join(text(section) for section in sections), "utf-8")
    os.replace(new, FOLDER / package)  # noqa: PTH105 - the same, in fewer words


def text(section: Section) -> str:
    """Write one section in uci's own way."""
    head, *rest = section
    name = f" {quoted(head[2])}" if head[2:] else ""
    return "\n".join([f"config {head[1]}{name}", *(f"\t{kind} {key} {quoted(value)}" for kind, key, value in rest), ""])


def quoted(value: str) -> str:
    """Quote as uci does."""
    return "'" + value.replace("'", "'\\''") + "'"


if sys.argv[1] == "commit":
    commit(sys.argv[2])
else:
    change(sys.argv[1], sys.argv[2])
