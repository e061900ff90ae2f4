"""All tables of the router at one moment, as iptables-save prints them; whose each line is."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.lab import Router

Key = tuple[int, str]
"""Address family and table, such as (4, "nat")."""

SAVE = """
for family in 4 6; do
    ip=ip; [ $family = 4 ] || ip=ip6
    for table in $(cat /proc/net/${ip}_tables_names 2>/dev/null); do
        echo "# $family $table"
        ${ip}tables-save -c -t $table
    done
done
"""
RESTORE = {4: "iptables-restore", 6: "ip6tables-restore"}
OURS = re.compile(r"DMSFW-|dmsfw:[0-9a-f]{12}")
"""What makes a line dmsfw's: its chains, and the comment of its rules."""
COUNTERS = re.compile(r"^\[\d+:\d+\] ")
POLICY_COUNTERS = re.compile(r" \[\d+:\d+\]$")
BUILTIN = {"filter": "FORWARD", "nat": "POSTROUTING"}


@dataclass(frozen=True)
class Tables:
    """Lines of chains and rules, in order, by table. `counted` has them with counters."""

    counted: dict[Key, tuple[str, ...]]

    @property
    def lines(self) -> dict[Key, tuple[str, ...]]:
        """The lines without counters."""
        return {key: tuple(map(bare, lines)) for key, lines in self.counted.items()}

    @property
    def ours(self) -> dict[Key, tuple[str, ...]]:
        """Our lines; tables in which it has none are left out."""
        found = {key: tuple(line for line in lines if OURS.search(line)) for key, lines in self.lines.items()}
        return {key: lines for key, lines in found.items() if lines}

    @property
    def foreign(self) -> dict[Key, tuple[str, ...]]:
        """Everybody else's lines, in order; of a table that nobody has filled only the built-in chains."""
        return {key: tuple(line for line in lines if not OURS.search(line)) for key, lines in self.lines.items()}

    def rules(self, key: Key, chain: str) -> list[str]:
        """The rules of one chain, in order."""
        return [line for line in self.lines.get(key, ()) if line.startswith(f"-A {chain} ")]


def bare(line: str) -> str:
    """A line without its counters."""
    return POLICY_COUNTERS.sub("", COUNTERS.sub("", line))


def read(router: Router) -> Tables:
    """Read every table that there is. It takes no lock, so the daemon does not hear of it, and makes no table."""
    counted: dict[Key, list[str]] = {}
    lines: list[str] = []
    for line in router.sh(SAVE).stdout.splitlines():
        words = line.split()
        if line.startswith("# ") and len(words) == 3 and words[1] in "46":
            lines = counted.setdefault((int(words[1]), words[2]), [])
        elif line.startswith((":", "[")):
            lines.append(line)
    return Tables({key: tuple(found) for key, found in counted.items()})


def write(router: Router, tables: Tables) -> None:
    """Make the tables what they were at a moment, counters too; a table that was not there is emptied."""
    script = []
    for (family, table), lines in (read(router).foreign | tables.counted).items():
        chains = lines if (family, table) in tables.counted else [line for line in lines if " - " not in line]
        text = "\n".join([f"*{table}", *chains, "COMMIT"])
        script.append(f"{RESTORE[family]} -w -c <<'TABLE'\n{text}\nTABLE")
    router.sh("\n".join(script))


def differences(before: dict[Key, tuple[str, ...]], after: dict[Key, tuple[str, ...]]) -> list[str]:
    """What of the lines has gone, come or moved, for a person to read; empty when nothing did."""
    found = []
    for key in sorted(before.keys() | after.keys()):
        was, now = before.get(key, ()), after.get(key, ())
        if was == now:
            continue
        gone, come = [line for line in was if line not in now], [line for line in now if line not in was]
        where = f"{key[0]} {key[1]}"
        found += [f"{where}: gone: {line}" for line in gone] + [f"{where}: come: {line}" for line in come]
        if not gone and not come:
            found.append(f"{where}: the order or the number of equal lines is another")
    return found
