"""Which of Docker's containers is meant: by its name, its Compose service, or the beginning of its id. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from dmsfw.errors import CannotTell
from dmsfw.report.text import clean

MOST_NAMED: Final = 8
"""Containers that one message names."""

LIVING: Final = ("running", "paused")


@dataclass(frozen=True, slots=True)
class Listed:
    """A container in Docker's list."""

    id: str
    name: str
    project: str = ""
    service: str = ""
    state: str = ""

    @property
    def shown(self) -> str:
        """Its name, fit to be shown."""
        return clean(self.name)


def choose(known: tuple[Listed, ...], meant: str) -> Listed:
    """Pick the one that is meant. Raises: CannotTell."""
    wanted = meant.lstrip("/")
    for found in _alike(known, wanted):
        running = [one for one in found if one.state in LIVING] or found
        if len(running) == 1:
            return running[0]
        if running:
            names = ", ".join(one.shown for one in running[:MOST_NAMED])
            raise CannotTell(f"{clean(meant)} may be any of {len(running)} containers: say one of {names}")
    raise CannotTell(f"no container is called {clean(meant)}{_hint(known, wanted)}")


def _alike(known: tuple[Listed, ...], wanted: str) -> Iterator[list[Listed]]:
    yield [one for one in known if one.name == wanted]
    yield [one for one in known if one.service and one.service == wanted]
    if re.fullmatch(r"[0-9a-f]{1,64}", wanted):
        yield [one for one in known if one.id.startswith(wanted)]


def _hint(known: tuple[Listed, ...], wanted: str) -> str:
    names = [one.name for one in known if one.state in LIVING]
    services = [one.service for one in known if one.state in LIVING and one.service]
    near = get_close_matches(wanted, [*names, *services], n=3, cutoff=0.5)
    if near:
        return f"; there is {', '.join(map(clean, near))}"
    shown = ", ".join(map(clean, names[:MOST_NAMED]))
    return f"; running are {shown}" if shown else "; none is running"
