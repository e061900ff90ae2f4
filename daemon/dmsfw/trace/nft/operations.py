"""What a rule does, one operation after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dmsfw.trace.effect import Effect
from dmsfw.trace.nft.lookups import Look, Test
from dmsfw.trace.packet import Packet
from dmsfw.trace.scene import Scene

Effects = tuple[Effect, ...]


@dataclass(frozen=True, slots=True)
class Ask:
    """Goes on with packets that match."""

    test: Test


@dataclass(frozen=True, slots=True)
class Do:
    """Does something to the packet, or ends it."""

    effects: Callable[[Packet, Scene], Effects]


@dataclass(frozen=True, slots=True)
class Count:
    """Counts: so many packets so far."""

    packets: int


@dataclass(frozen=True, slots=True)
class Lead:
    """Jumps to a chain, or goes there for good."""

    chain: str
    goto: bool


@dataclass(frozen=True, slots=True)
class Choose:
    """Looks for a verdict in a map; `verdict` reads what the map holds. Raises: ValueError and more."""

    look: Look
    verdict: Callable[[object], Do | Lead | None]


Operation = Ask | Do | Count | Lead | Choose


class Kept:
    """Operations that are read when they are come to, and kept: most rules are left at their first match."""

    def __init__(self, rest: Iterator[Operation]) -> None:
        self._read: list[Operation] = []
        self._rest = rest

    def __iter__(self) -> Iterator[Operation]:
        """Each from the first on, though others may be at it as well: rules that lead to themselves."""
        at = 0
        while at < len(self._read) or self._goes_on():
            yield self._read[at]
            at += 1

    def _goes_on(self) -> bool:
        found = next(self._rest, None)
        if found is not None:
            self._read.append(found)
        return found is not None
