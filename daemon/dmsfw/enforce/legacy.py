"""Does iptables-legacy filter forwarded packets here? Read from the kernel; python-iptables is not loaded for it."""

from __future__ import annotations

from dmsfw.enforce import sockopt
from dmsfw.enforce.blob import Blob
from dmsfw.enforce.render import TableKey
from dmsfw.errors import EnforceError

KEYS = (TableKey(4, "filter"), TableKey(6, "filter"))


def filters() -> bool:
    """Tell whether a packet may be shut out by a legacy table: FORWARD has rules of others, or drops by its policy."""
    return any(_filters(key) for key in KEYS)


def _filters(key: TableKey) -> bool:
    try:
        return sockopt.exists(key) and decides(sockopt.read(key), key)
    except EnforceError:
        return False


def decides(table: Blob, key: TableKey) -> bool:
    """Tell whether FORWARD does more than accept all. A hook of ours does not count."""
    others = (entry for entry in table.chain(key.builtin) or () if entry.target != key.own and not entry.owned_id)
    return table.drops(key.builtin) or next(others, None) is not None
