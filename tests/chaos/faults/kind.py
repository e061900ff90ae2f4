"""What a fault is, and the list of all that there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.chaos.patient import Patient

Act = Callable[["Patient"], "Iterator[None] | None"]
"""What a fault does, and undoes. One that lasts is a generator: it yields once meanwhile, and another may strike."""


@dataclass(frozen=True)
class Fault:
    """A kind of fault. `breaks`: what is out of order while it lasts; `needs`: what must be in order for it."""

    kind: str
    act: Act
    breaks: frozenset[str]
    needs: frozenset[str]
    lasts: bool
    slow: bool
    router: str = ""


FAULTS: list[Fault] = []


def fault(
    kind: str,
    *,
    breaks: str = "",
    needs: str = "",
    lasts: bool = False,
    slow: bool = False,
    router: str = "",
) -> Callable[[Act], Act]:
    """Put a function on the list. What is broken or needed: docker, ubus, wan, lock, tables, config, daemon, disk.

    `slow`: it takes more than half a minute. `router`: the only one that it can befall, fw3 or fw4; empty: either.
    """

    def listed(act: Act) -> Act:
        FAULTS.append(
            Fault(kind, act, frozenset(breaks.split()), frozenset(needs.split()), lasts or bool(breaks), slow, router)
        )
        return act

    return listed
