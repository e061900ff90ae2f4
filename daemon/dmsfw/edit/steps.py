"""What is done to a configuration, step by step, each in two tongues: calls of `uci`, and an edit of the text. Pure.

The text keeps its order, comments and formatting; `uci commit` writes the file anew and drops the comments. What both
leave is the same to whoever reads it (tests hold them against each other).
"""

from __future__ import annotations

from typing import NamedTuple

Argv = tuple[str, ...]
"""Arguments of `uci`, its name not among them."""


class NewSection(NamedTuple):
    """A section, behind all others. `lists`: its list lines, as (option, value)."""

    section: str
    kind: str
    lists: tuple[tuple[str, str], ...]


class AddValue(NamedTuple):
    """A value more in a list that is there."""

    section: str
    option: str
    value: str


class DropValue(NamedTuple):
    """A value less in a list."""

    section: str
    option: str
    value: str


class SwapValue(NamedTuple):
    """Another value in the place of one of a list's."""

    section: str
    option: str
    value: str
    new: str


class SetOption(NamedTuple):
    """Another value of an `option` that is there."""

    section: str
    option: str
    value: str


class DropOption(NamedTuple):
    """An option less, however it is written."""

    section: str
    option: str


class DropSection(NamedTuple):
    """A section less."""

    section: str


Step = NewSection | AddValue | DropValue | SwapValue | SetOption | DropOption | DropSection


def calls(step: Step, package: str) -> tuple[Argv, ...]:
    """Return how `uci` is told of a step; it is not committed yet."""
    there = f"{package}.{step.section}"
    if isinstance(step, NewSection):
        lists = (("add_list", f"{there}.{option}={value}") for option, value in step.lists)
        return (("set", f"{there}={step.kind}"), *lists)
    if isinstance(step, DropSection):
        return (("delete", there),)
    option = f"{there}.{step.option}"
    if isinstance(step, DropOption):
        return (("delete", option),)
    if isinstance(step, SwapValue):
        return (("del_list", f"{option}={step.value}"), ("add_list", f"{option}={step.new}"))
    verb = {AddValue: "add_list", DropValue: "del_list", SetOption: "set"}[type(step)]
    return ((verb, f"{option}={step.value}"),)
