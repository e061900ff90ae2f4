"""Why a pass is due, by name, and what some of these names mean for it."""

from __future__ import annotations

RESYNC = "resync"

CONFIG = frozenset({"start", "config", "signal", RESYNC})
"""The file is read again at the start, since it may have changed while a predecessor was waited for, and with every
resync, since inotify may be had no more."""

REPAIR = frozenset({"xtables", "firewall", "tables", "nftables"})
"""What tells that somebody wrote to the tables."""

NOISE = frozenset({"xtables"})
"""The lock was used, maybe for tables that are not ours: as a container starts, Docker runs iptables a dozen times in
the container's own namespace, for its resolver. Such a wake has a pace of its own, so that no network that comes in
the middle of that waits for it, and earns a pass only where a table was touched."""

ECHOES = frozenset({"nftables"})
"""The kernel tells of every transaction, ours too: only another one's is worth a pass."""
