"""What was learnt of rules in earlier readings."""

from __future__ import annotations


class Memory:
    """Keys of rules that were taken apart before, by their bytes: a table is read over and over, and little changes.

    For one address family. Jumps are never kept: their bytes alone do not tell where they lead.
    """

    LIMIT = 2048
    """Rules of a generation; two are kept, so what was met lately stays, and rules of networks long gone do not."""

    def __init__(self) -> None:
        self._young: dict[bytes, bytes] = {}
        self._old: dict[bytes, bytes] = {}

    def get(self, raw: bytes) -> bytes | None:
        """The key of a rule of these bytes, counters left out."""
        key = self._young.get(raw)
        if key is None and (key := self._old.get(raw)) is not None:
            self.keep(raw, key)
        return key

    def keep(self, raw: bytes, key: bytes) -> None:
        """Remember a key."""
        if len(self._young) >= self.LIMIT:
            self._old, self._young = self._young, {}
        self._young[raw] = key
