"""Where a packet stands while it is held against a rule: the hook, the table, and the host that can be asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dmsfw.trace.host import Host


@dataclass(frozen=True, slots=True)
class Scene:
    """`hook`: the built-in chain. `table`: the table that is walked."""

    host: Host
    hook: str
    table: str
