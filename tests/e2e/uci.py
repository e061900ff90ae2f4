"""Stands in for OpenWrt's `uci`, which Debian does not have, as far as dmsfw calls it or offers it to be called.

Changes wait beside the file until they are committed, and the file is then renamed into place, its comments gone, as
the real one does. tests/cases/config/uci-calls.json is what the real one did; this is held against it.

Usage: uci.py [-q] [-c FOLDER] set|add_list|del_list PACKAGE.SECTION[.OPTION]=VALUE; delete PACKAGE.SECTION[.OPTION];
changes|commit|revert|export PACKAGE. UCI_STAGED: where changes wait.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path("/etc/config")
STAGED = Path(os.environ.get("UCI_STAGED", "/run/uci-staged"))

SHOWN = {"set": "=", "add_list": "+=", "del_list": "-="}


class Failed(Exception):
    """What uci says, and then ends with 1."""


@dataclass(eq=False)
class Section:
    """A section; `options` are ("option" or "list", its values) by name. A list keeps its place when it is empty."""

    type: str
    name: str
    options: dict[str, tuple[str, list[str]]] = field(default_factory=dict)

    def put(self, kind: str, name: str, value: str) -> None:
        """Have an option, or a value more in a list."""
        there = self.options.get(name)
        if kind == "list":
            self.options[name] = ("list", [*(there[1] if there else []), value])
        elif value or not there:
            self.options[name] = ("option", [value])


def read(path: Path) -> list[Section]:
    """Read a configuration with one command on each line; quoting and comments are the shell's."""
    sections: list[Section] = []
    current = Section("", "")
    for line in path.read_text("utf-8", "surrogateescape").splitlines():
        words = [*shlex.split(line, comments=True), "", "", ""]
        if words[0] == "config":
            current = (find(sections, words[2]) if words[2] else None) or Section(words[1], words[2])
            sections += [current] * (current not in sections)
        elif words[0]:
            current.put(words[0], words[1], words[2])
    return sections


def find(sections: list[Section], name: str) -> Section | None:
    """Return a section by its name, or by its type and number: `@egress[0]`."""
    numbered = re.fullmatch(r"@(\w+)\[(\d+)\]", name)
    if numbered:
        alike = [section for section in sections if section.type == numbered[1]]
        return alike[int(numbered[2])] if int(numbered[2]) < len(alike) else None
    return next((section for section in sections if section.name == name), None)


def staged_file(package: str) -> Path:
    """Where the changes of a package wait."""
    return STAGED.with_name(f"{STAGED.name}.{package}")


def staged(package: str) -> list[list[str]]:
    """Return the changes that wait: command, section, option or "", value."""
    file = staged_file(package)
    return [shlex.split(line) for line in file.read_text("utf-8").splitlines()] if file.exists() else []


def now(folder: Path, package: str) -> list[Section]:
    """Return the sections with all that waits. Raises: Failed where there is no such file."""
    if not (folder / package).exists():
        raise Failed("Entry not found")
    sections = read(folder / package)
    for words in staged(package):
        do(sections, *words)
    return sections


def do(sections: list[Section], command: str, name: str, option: str, value: str) -> bool:
    """Do one change, and tell whether it is worth noting. Raises: Failed."""
    if not re.fullmatch(r"\w+|@\w+\[\d+\]", name) or not re.fullmatch(r"\w*", option):
        raise Failed("Invalid argument")
    section = find(sections, name)
    if section is None:
        if (command, option) != ("set", ""):
            raise Failed("Entry not found" if command == "delete" else "Invalid argument")
        sections.append(Section(value, name))
    elif command == "delete":
        delete(sections, section, option)
    elif command == "del_list":
        kind, values = section.options.get(option, ("", []))
        if kind != "list":
            return False
        values[:] = [one for one in values if one != value]
    elif option:
        section.put("list" if command == "add_list" else "option", option, value)
    else:
        same, section.type = section.type == value, value
        return not same
    return True


def delete(sections: list[Section], section: Section, option: str) -> None:
    """Delete a section, or an option. Raises: Failed."""
    if not option:
        sections[:] = [one for one in sections if one is not section]
    elif section.options.pop(option, None) is None:
        raise Failed("Entry not found")


def change(folder: Path, command: str, argument: str) -> None:
    """Stage one change. Raises: Failed."""
    path, _, value = argument.partition("=")
    package, name, option = [*path.split("."), "", ""][:3]
    sections = now(folder, package)
    section = find(sections, name)
    if do(sections, command, name, option, value):
        with staged_file(package).open("a", encoding="utf-8") as file:
            file.write(shlex.join([command, (section and section.name) or name, option, value]) + "\n")


def changes(package: str) -> None:
    """Print what waits."""
    for command, name, option, value in staged(package):
        there = ".".join(filter(None, [package, name, option]))
        print(f"-{there}" if command == "delete" else f"{there}{SHOWN[command]}{quoted(value)}")


def commit(folder: Path, package: str) -> None:
    """Write the file anew and rename it into place, if anything waits."""
    sections = now(folder, package)
    if not staged(package):
        return
    new = folder / f".{package}.uci-new"
    new.write_text("\n" + "\n".join(map(text, sections)) + "\n", "utf-8", "surrogateescape")
    new.chmod((folder / package).stat().st_mode & 0o7777)
    os.replace(new, (folder / package).resolve())  # noqa: PTH105 - the same, in fewer words
    staged_file(package).unlink()


def text(section: Section) -> str:
    """Write one section in uci's own way."""
    lines = [f"config {section.type}" + (f" {quoted(section.name)}" if section.name else "")]
    for name, (kind, values) in section.options.items():
        lines += [f"\t{kind} {name} {quoted(value)}" for value in values if value or kind == "list"]
    return "\n".join([*lines, ""])


def quoted(value: str) -> str:
    """Quote as uci does."""
    return "'" + value.replace("'", "'\\''") + "'"


def main(arguments: list[str]) -> None:
    """Do what the command line says. Raises: Failed."""
    folder = FOLDER
    while arguments[0].startswith("-"):
        if arguments.pop(0) == "-c":
            folder = Path(arguments.pop(0))
    command, argument = arguments
    if command == "commit":
        commit(folder, argument)
    elif command == "changes":
        changes(argument)
    elif command == "revert":
        staged_file(argument).unlink(missing_ok=True)
    else:
        change(folder, command, argument)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Failed as reason:
        sys.exit(f"uci: {reason}")
