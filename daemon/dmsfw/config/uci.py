"""A UCI file as sections with their options: merged, counted and replaced as libuci does it.

- Sections of the same name are one section; so is what `uci show` calls `@type[N]`, N counting every section of a type.
- An `option` given again replaces the earlier one, but an empty one does nothing; a `list` line adds to what is there.
- A section has to keep its type.

`parse` keeps what it can and lists the rest as faults: a file of ours is refused for any, in a foreign file (`intact`)
a fault costs its section.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from dmsfw.config.commands import Command, Fault, commands
from dmsfw.config.wording import short, shown

BLANKS = " \t"
"""What separates the values of a list that is written as one option, as in firewall3. A newline does not: there, a
quote is missing, and what follows is no value."""


@dataclass(slots=True)
class Option:
    """An option with its values: one for an `option` line, as it stands, spaces and all; any number for `list`."""

    name: str
    values: list[str]
    is_list: bool
    line: int

    @property
    def is_empty(self) -> bool:
        """Tell whether this is `option name ''`, or spaces: no value to libuci, and to us an empty list."""
        return not self.is_list and not self.values[0].strip(BLANKS)


@dataclass(slots=True)
class Section:
    """A section. `name` is its own or `@type[N]`. `broken`: a line in it could not be read, so options may be missing.

    `type` is empty where even the `config` line could not be read. `commands` are its own, as they stand in the text:
    each `config` line that opens it, and its options.
    """

    type: str
    name: str
    line: int
    options: dict[str, Option] = field(default_factory=dict)
    broken: bool = False
    commands: list[Command] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{short(self.type)} {shown(self.name)}" if self.type else ""


class File(NamedTuple):
    """What a file says. `faults` and `repeats` are lines of text that begin with the line's number."""

    sections: tuple[Section, ...]
    faults: tuple[str, ...]
    repeats: tuple[str, ...]


def parse(text: str) -> File:
    """Read UCI text, whatever it holds. Never raises."""
    reader = _Reader()
    for command in commands(text):
        if isinstance(command, Fault):
            reader.fault(command.line, command.keyword, command.reason)
        elif command.keyword == "config":
            reader.open(command, *command.words)
        elif command.keyword != "package":
            reader.add(command)
    return File(tuple(reader.sections), tuple(reader.faults), tuple(reader.repeats))


def intact(text: str) -> tuple[tuple[Section, ...], tuple[str, ...]]:
    """Return the sections of a foreign file that could be read whole, and a warning for each fault in the others."""
    file = parse(text)
    whole = tuple(section for section in file.sections if section.type and not section.broken)
    return whole, tuple(f"{fault}; its section is skipped" for fault in file.faults)


@dataclass(slots=True)
class _Reader:
    sections: list[Section] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    repeats: list[str] = field(default_factory=list)
    named: dict[str, Section] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    current: Section | None = None

    def fault(self, line: int, keyword: str, reason: str) -> None:
        """Note what cannot be read. After a faulty `config` line, what follows belongs to no known section."""
        if keyword == "config":
            self.current = Section("", "", line)
            self.sections.append(self.current)
        if self.current is not None:
            self.current.broken = True
        where = str(self.current or "")
        self.faults.append(f"line {line}, {where}: {reason}" if where else f"line {line}: {reason}")

    def open(self, command: Command, kind: str, name: str = "") -> None:
        """Begin a section, or go on with the one of that name."""
        earlier, line = self.named.get(name), command.line
        if earlier is None:
            self._begin(command, kind, name)
        elif earlier.type == kind:
            self.current = earlier
            earlier.commands.append(command)
            self.repeats.append(f"line {line}: {earlier} is there twice and is read as one section")
        else:
            self.fault(line, "config", f"{kind} {shown(name)} has the name of {earlier}, line {earlier.line}")

    def _begin(self, command: Command, kind: str, name: str) -> None:
        name_shown = name or f"@{kind}[{self.counts[kind]}]"
        self.current = Section(kind, name_shown, command.line, commands=[command])
        self.sections.append(self.current)
        self.counts[kind] += 1
        if name:
            self.named[name] = self.current

    def add(self, command: Command) -> None:
        """Put an `option` or `list` line into the section that is open."""
        if self.current is None:
            self.faults.append(f"line {command.line}: {command.keyword} {shown(command.words[0])} before any section")
            return
        self.current.commands.append(command)
        name, value, is_list = command.words[0], "".join(command.words[1:]), command.keyword == "list"
        earlier = self.current.options.get(name)
        if earlier is None or earlier.is_empty:
            self.current.options.pop(name, None)
            self.current.options[name] = Option(name, [value], is_list, command.line)
            return
        self._warn_of_repeat(command, earlier)
        if is_list:
            earlier.values.append(value)
            earlier.is_list = True
        elif value:
            earlier.values, earlier.is_list, earlier.line = [value], False, command.line

    def _warn_of_repeat(self, command: Command, earlier: Option) -> None:
        if earlier.is_list and command.keyword == "list":
            return
        does = "adds to" if command.keyword == "list" else "replaces" if any(command.words[1:]) else "does not change"
        where = f"line {command.line}, {self.current}: {command.keyword} {shown(earlier.name)}"
        self.repeats.append(f"{where} {does} what line {earlier.line} says")
