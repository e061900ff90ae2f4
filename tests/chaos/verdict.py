"""Whether the tables are as they must be: every way in which they are not, as a sentence each."""

from __future__ import annotations

import re
from collections import Counter

from tests.chaos.expected import KEYS, Expected
from tests.chaos.tables import BUILTIN, OURS, Key, Tables

COMMENT = re.compile(r' -m comment --comment "dmsfw:[0-9a-f]{12} [^"]+"')
FIREWALL3 = '--comment "!fw3'
GOES_AHEAD = ("-j forwarding_rule", "-j FLOWOFFLOAD", "--ctstate RELATED,ESTABLISHED", "--ctstate INVALID")
"""firewall3's rules in FORWARD that the hook stands behind; it stands ahead of all others."""


def faults(tables: Tables, wanted: Expected) -> list[str]:
    """Compare; an empty list: in sync, nothing stale, each hook once and in its place."""
    return [fault for key in KEYS for fault in _table(tables, key, wanted.rules[key])] + _elsewhere(tables)


def _table(tables: Tables, key: Key, wanted: tuple[str, ...]) -> list[str]:
    where, builtin = f"{key[0]} {key[1]}", BUILTIN[key[1]]
    own = f"DMSFW-{builtin}"
    there = tables.rules(key, own)
    found = [f"{where}: no comment of dmsfw's: {line}" for line in there if not COMMENT.search(line)]
    is_, should = Counter(COMMENT.sub("", line) for line in there), Counter(wanted)
    found += [f"{where}: missing: {line}" for line in (should - is_).elements()]
    found += [f"{where}: stale: {line}" for line in (is_ - should).elements()]
    if (f":{own} -" in tables.lines.get(key, ())) != bool(wanted):
        found.append(f"{where}: chain {own} is there: {not wanted}, due: {bool(wanted)}")
    return found + [f"{where}: {fault}" for fault in _hook(tables.rules(key, builtin), own, key[1], due=bool(wanted))]


def _hook(rules: list[str], own: str, table: str, *, due: bool) -> list[str]:
    at = [index for index, line in enumerate(rules) if line.endswith(f"-j {own}")]
    if len(at) != due:
        return [f"{len(at)} hooks to {own}, due: {int(due)}"]
    if not due:
        return []
    ahead, behind = rules[: at[0]], rules[at[0] + 1 :]
    misplaced = [line for line in behind if FIREWALL3 in line and (table == "nat" or _goes_ahead(line))]
    if table == "filter":
        misplaced += [line for line in ahead if FIREWALL3 in line and not _goes_ahead(line)]
    return [f"the hook stands on the wrong side of: {line}" for line in misplaced]


def _goes_ahead(line: str) -> bool:
    return any(sign in line for sign in GOES_AHEAD)


def _elsewhere(tables: Tables) -> list[str]:
    """Lines of ours in tables and chains where none may be."""
    found = []
    for key, lines in tables.ours.items():
        own = f"DMSFW-{BUILTIN.get(key[1], '')}"
        for line in lines:
            hook = line.startswith(f"-A {own[6:]} ") and line.endswith(f"-j {own}")
            if not (key in KEYS and (hook or line.startswith((f":{own} ", f"-A {own} ")))):
                found.append(f"{key[0]} {key[1]}: ours in the wrong place: {line}")
    return found


def untranslated(tables: Tables) -> set[str]:
    """Accepting rules of ours that packets meet, and whose twin that masquerades they do not meet."""
    found = set()
    for family in (4, 6):
        if not _is_hooked(tables, (family, "filter")):
            continue
        hooked = _is_hooked(tables, (family, "nat"))
        twins = set(map(_said, tables.rules((family, "nat"), "DMSFW-POSTROUTING"))) if hooked else set()
        for line in tables.rules((family, "filter"), "DMSFW-FORWARD"):
            if "--ctstate NEW" in line and _said(line) not in twins:
                found.add(COMMENT.sub("", line))
    return found


def _said(line: str) -> str:
    """What both twins say: source, way out, protocol and ports."""
    line = re.sub(r" -m conntrack --ctstate \S+| -i \S+", "", COMMENT.sub("", line))
    return re.sub(r"^-A \S+ | -j \S+$", "", line)


def _is_hooked(tables: Tables, key: Key) -> bool:
    own = f"DMSFW-{BUILTIN[key[1]]}"
    return any(line.endswith(f"-j {own}") for line in tables.rules(key, BUILTIN[key[1]]))


def strangers(before: Tables, after: Tables, wanted: Tables) -> list[str]:
    """Lines of ours that were neither there before nor are wanted: nothing may be opened on the way."""
    known = {line for tables in (before, wanted) for lines in tables.ours.values() for line in lines}
    return [line for lines in after.ours.values() for line in lines if line not in known and OURS.search(line)]
