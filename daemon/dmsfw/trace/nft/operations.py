"""What a rule does, one operation after another."""

from __future__ import annotations

from collections.abc import Callable
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
