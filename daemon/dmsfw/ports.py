"""What a daemon needs of the world and of the firewall beside what a single pass does."""

from __future__ import annotations

from typing import Protocol

from dmsfw.model import Detour, Settings
from dmsfw.observe.world import SourceHealth
from dmsfw.reconciler import Enforcer, World


class Observed(Protocol):
    """What the status needs of the world."""

    def health(self) -> tuple[SourceHealth, ...]:
        """How the sources do."""

    def detours(self) -> tuple[Detour, ...]:
        """Containers that leave by another network."""

    @property
    def reconnects(self) -> int:
        """How often Docker's events were lost and found again."""


class ObservedWorld(World, Observed, Protocol):
    """What the daemon needs of the world beside its snapshot."""

    def start(self) -> None:
        """Begin to observe."""

    def stop(self) -> None:
        """End it."""

    def reconfigure(self, settings: Settings) -> None:
        """Take other settings."""

    def poke_all(self, trigger: str) -> None:
        """Have every source read again."""


class WatchfulEnforcer(Enforcer, Protocol):
    """A firewall that can tell whether somebody else wrote to it."""

    def prepare(self) -> None:
        """Get ready, so that the first event need not wait."""

    def changed(self) -> bool:
        """Tell whether somebody wrote since the last pass, as far as that is cheap. Raises: EnforceError."""

    def touched(self) -> bool:
        """Tell whether any table is another than the last pass left it. Raises: EnforceError."""
