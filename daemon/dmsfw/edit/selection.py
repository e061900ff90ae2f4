"""How a policy means one network and no other: by both of Compose's labels, else by its name. Pure.

Never by id, bridge or subnet: those are others after the next `docker compose up`. See docs/decisions/0018.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from dmsfw.config import values
from dmsfw.config.advice import NETWORK, PROJECT
from dmsfw.decide.grants import obstacle, selects
from dmsfw.errors import Refused
from dmsfw.model import Network, Policy
from dmsfw.report.text import clean, is_clean

_GLOB = re.compile(r"([*?[])")


class Selection(NamedTuple):
    """What stands in a section: `labels` as pairs, all of which count together, or `names`, as globs."""

    labels: tuple[tuple[str, str], ...] = ()
    names: tuple[str, ...] = ()

    @property
    def options(self) -> tuple[tuple[str, str], ...]:
        """The list lines, as (option, value)."""
        labels = (("label", f"{key}={value}") for key, value in self.labels)
        return (*labels, *(("network", name) for name in self.names))

    def as_policy(self, name: str = "") -> Policy:
        """A policy that selects so, and says nothing else."""
        return Policy(name, labels=self.labels, networks=self.names)


def selection(network: Network, networks: Sequence[Network] = ()) -> Selection:
    """Return how to mean `network`, and none of the other `networks` (all that Docker has).

    Raises: Refused for a network that no policy could open, for one that cannot be told from another, and for a name
    that cannot be written exactly.
    """
    if why := obstacle(network):
        raise Refused(f"network {clean(network.name)} cannot be opened by any policy: {why}")
    others = [other for other in networks if other.id != network.id]
    for found in (by_labels(network), by_name(network.name)):
        if found is not None and not any(selects(found.as_policy(), other) for other in others):
            return found
    if any(other.name == network.name for other in others):
        raise Refused(f"two networks of Docker are called {clean(network.name)}: remove one, or rename it")
    raise Refused(
        f"the name {clean(network.name)} cannot be written into the configuration: "
        f"printable UTF-8 on one line, at most {values.MAX_TEXT} characters"
    )


def by_labels(network: Network) -> Selection | None:
    """Return the selection by Compose's two labels; None where the network does not bear both, in plain text."""
    labels = dict(network.labels)
    pairs = [(key, labels.get(key, "")) for key in (PROJECT, NETWORK)]
    if all(value and _is_writable(f"{key}={value}") for key, value in pairs):
        return Selection(labels=tuple(pairs))
    return None


def by_name(name: str) -> Selection | None:
    """Return the selection by this very name, whatever glob characters it has; None for one that cannot be written."""
    glob = _GLOB.sub(r"[\1]", name)
    return Selection(names=(glob,)) if name.strip() and _is_writable(glob) else None


def _is_writable(text: str) -> bool:
    return is_clean(text) and len(text) <= values.MAX_TEXT
