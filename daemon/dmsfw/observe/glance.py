"""A glance at Docker's events: which of them say of nothing but containers that join and leave a network.

It decides about haste alone: were it wrong, the reading would come all the same, a moment later.
"""

from __future__ import annotations

import re

ACTION = re.compile(rb'"Action":"(\w+)"')
"""Within a name or a label the quotes would be escaped."""

OF_CONTAINERS = frozenset({b"connect", b"disconnect"})
"""What happens to a network's containers and not to the network."""

LONGEST = 2**16
"""Bytes of an event; those of networks have some hundred."""


class Glance:
    """Of one stream, whose pieces are cut anywhere: Docker ends each event with a newline."""

    def __init__(self) -> None:
        self._begun = b""

    def is_minor(self, piece: bytes) -> bool:
        """Tell whether what has come to its end with this piece speaks of containers alone. Garbage does not."""
        whole, end, self._begun = (self._begun + piece).rpartition(b"\n")
        if len(self._begun) > LONGEST:
            self._begun = b""
            return False
        actions = set(ACTION.findall(whole))
        return not end or (bool(actions) and actions <= OF_CONTAINERS)
