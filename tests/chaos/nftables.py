"""firewall4's table at one moment, as nft lists it, and whether it is as it must be. Shares no code with dmsfw.

What is constant is held against what the package's include files gave when firewall4 loaded them without dmsfw.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.chaos.expected import Expected
from tests.lab import Router

READ = """
cat /proc/net/ip_tables_names /proc/net/ip6_tables_names 2>/dev/null || true
[ ! -e /usr/share/nftables.d/table-pre/10-dmsfw.nft ] || echo included
echo
nft -j list ruleset
"""
INCLUDED = "included"
COMMENT = re.compile(r"dmsfw:[0-9a-f]{12} .+")
JUMPS = {"forward": "dmsfw1_forward", "srcnat": "dmsfw1_srcnat"}
OWNERS_INCLUDES = """
cd /usr/share/nftables.d
mkdir -p chain-pre/input
echo 'ip saddr 192.0.2.4 tcp dport 25 accept comment "mine: dmsfw"' >chain-pre/forward/20-owner.nft
echo 'ip saddr 192.0.2.7 accept' >chain-post/srcnat/20-owner.nft
"""
COUNTED = ("handle", "counter")


@dataclass(frozen=True)
class Ruleset:
    """All entries of the ruleset, in order, without handles and counts. `legacy`: names of tables of iptables.

    `included`: whether the include files are there.
    """

    entries: tuple[tuple[str, Any], ...] = ()
    legacy: tuple[str, ...] = ()
    included: bool = True

    @property
    def ours(self) -> tuple[tuple[str, Any], ...]:
        """Every entry that names us."""
        return tuple(entry for entry in self.entries if _is_ours(entry[1]))

    @property
    def foreign(self) -> tuple[str, ...]:
        """All others."""
        return tuple(json.dumps(entry) for entry in self.entries if not _is_ours(entry[1]))

    @property
    def constant(self) -> Counter[str]:
        """What is ours but elements."""
        bare = ((kind, {key: part for key, part in body.items() if key != "elem"}) for kind, body in self.ours)
        return Counter(map(json.dumps, bare))

    @property
    def elements(self) -> Iterator[tuple[str, str]]:
        """Each element of ours: in words, and its comment."""
        for kind, body in self.ours:
            for listed in body.get("elem", ()) if kind == "set" else ():
                element = listed["elem"] if isinstance(listed, dict) and "elem" in listed else {"val": listed}
                value = element["val"]
                parts = value["concat"] if isinstance(value, dict) and "concat" in value else [value]
                key = " . ".join(map(_words, parts))
                yield f"{body['name']}: {key}", element.get("comment", "")

    @property
    def has_table(self) -> bool:
        """Whether firewall4 is loaded."""
        return any(kind == "table" and (body["family"], body["name"]) == ("inet", "fw4") for kind, body in self.entries)

    def rules(self, chain: str) -> list[str]:
        """The rules of one of firewall4's chains, in order."""
        return [json.dumps(body) for kind, body in self.entries if kind == "rule" and body["chain"] == chain]


def read(router: Router) -> Ruleset:
    """Read all of it. The daemon does not hear of it, and no table is made."""
    head, _, text = router.sh(READ).stdout.partition("\n{")
    entries = ((kind, _bare(body)) for entry in json.loads("{" + text)["nftables"] for kind, body in entry.items())
    words = head.split()
    return Ruleset(tuple(entries), tuple(word for word in words if word != INCLUDED), INCLUDED in words)


def faults(found: Ruleset, wanted: Expected, before: Ruleset) -> list[str]:
    """Compare; an empty list: in sync, nothing stale, each jump once and in its place. Nothing is due of a stopped one.

    `before`: the ruleset as the include files alone make it.
    """
    wrong = [f"a table of iptables was made: {name}" for name in found.legacy]
    if not found.has_table:
        return wrong
    is_, should = Counter(words for words, _ in found.elements), Counter(wanted.elements)
    wrong += [f"missing: {words}" for words in (should - is_).elements()]
    wrong += [f"stale: {words}" for words in (is_ - should).elements()]
    wrong += [f"no comment of dmsfw's: {words}" for words, said in found.elements if not COMMENT.fullmatch(said)]
    due = found.included or bool(wanted.elements)
    constant = before.constant if due else Counter()
    wrong += [f"gone: {line}" for line in (constant - found.constant).elements()]
    wrong += [f"come: {line}" for line in (found.constant - constant).elements()]
    if not due:
        return wrong
    return wrong + [fault for chain, own in JUMPS.items() for fault in _jump(found.rules(chain), own, chain)]


def _jump(rules: list[str], own: str, chain: str) -> Iterator[str]:
    """Ahead of all that firewall4 says itself in forward, behind all of it in srcnat."""
    at = [index for index, rule in enumerate(rules) if f'"{own}"' in rule]
    if len(at) != 1:
        yield f"{len(at)} jumps to {own}"
        return
    beyond = rules[: at[0]] if chain == "forward" else rules[at[0] + 1 :]
    yield from (f"the jump to {own} stands on the wrong side of: {rule}" for rule in beyond if '"!fw4' in rule)


def _is_ours(body: Any) -> bool:
    text = json.dumps(body)
    return "dmsfw0_" in text or "dmsfw1_" in text or '"dmsfw:' in text


def _bare(body: Any) -> Any:
    if isinstance(body, list):
        return [_bare(part) for part in body]
    if isinstance(body, dict):
        return {key: _bare(part) for key, part in body.items() if key not in COUNTED}
    return body


def _words(part: Any) -> str:
    if isinstance(part, dict) and "prefix" in part:
        return f"{part['prefix']['addr']}/{part['prefix']['len']}"
    if isinstance(part, dict) and "range" in part:
        return "-".join(map(str, part["range"]))
    return json.dumps(part) if isinstance(part, dict) else str(part)
