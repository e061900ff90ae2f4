"""`nft -j list ruleset`, read once. What does not look as it should makes the whole listing useless, and no worse."""

from __future__ import annotations

import json
from collections.abc import Callable

from dmsfw.trace.nft.beside import INGOING, OUTGOING
from dmsfw.trace.nft.model import HOOKS, Base, Chain, Nftables, Rule, Store, Table
from dmsfw.trace.shell import Shell

FAMILIES = frozenset({"inet", "ip", "ip6", "bridge", "netdev"})
KINDS = frozenset({"filter", "nat", "route"})
PASSED = frozenset({*HOOKS, *INGOING, *OUTGOING})
POLICIES = frozenset({"accept", "drop"})

Thing = dict[str, object]


def read(shell: Shell) -> Nftables | None:
    """The ruleset; None where there is no nft, none that speaks JSON, or none that makes sense."""
    said = shell.run("nft", "-j", "list", "ruleset")
    return parse(said.out) if said.code == 0 else None


def parse(text: str) -> Nftables | None:
    """The same from the text."""
    try:
        return _read(json.loads(text)["nftables"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _read(entries: object) -> Nftables:
    """Raises: ValueError, KeyError, TypeError."""
    tables: dict[tuple[str, str], Table] = {}
    for entry in _list(entries):
        for kind, thing in _thing(entry).items():
            taker = TAKERS.get(kind)
            if taker is None:
                continue
            body = _thing(thing)
            family = _text(body["family"])
            if family in FAMILIES:
                name = _text(body["name" if kind == "table" else "table"])
                taker(tables.setdefault((family, name), Table(family, name)), body)
    return Nftables(list(tables.values()))


def _table(table: Table, body: Thing) -> None:
    flags = body.get("flags", [])
    table.handle = _number(body.get("handle", 0))
    table.dormant = bool({"dormant", "d"} & set(map(_text, flags if isinstance(flags, list) else [flags])))


def _chain(table: Table, body: Thing) -> None:
    name = _text(body["name"])
    chain = table.chains.setdefault(name, Chain(name))
    chain.handle = _number(body.get("handle", 0))
    if body.get("hook") in PASSED and body.get("type") in KINDS:
        policy = _text(body.get("policy", "accept"))
        if policy not in POLICIES:
            raise ValueError(f"{policy} is no policy")
        priority = _number(body["prio"])
        raw = body.get("dev", [])
        devices = tuple(map(_text, raw if isinstance(raw, list) else [raw]))
        chain.base = Base(_text(body["type"]), _text(body["hook"]), priority, policy == "drop", devices)


def _rule(table: Table, body: Thing) -> None:
    name = _text(body["chain"])
    rules = table.chains.setdefault(name, Chain(name)).rules
    statements = tuple(_list(body.get("expr", [])))
    rules.append(Rule(len(rules) + 1, _number(body.get("handle", 0)), statements, _text(body.get("comment", ""))))


def _store(table: Table, body: Thing) -> None:
    table.stores[_text(body["name"])] = Store(_list(body.get("elem", [])))


def _counter(table: Table, body: Thing) -> None:
    table.counters[_text(body["name"])] = _number(body.get("packets", 0))


def _limit(table: Table, body: Thing) -> None:
    table.limits[_text(body["name"])] = bool(body.get("inv"))


TAKERS: dict[str, Callable[[Table, Thing], None]] = {
    "table": _table,
    "chain": _chain,
    "rule": _rule,
    "set": _store,
    "map": _store,
    "counter": _counter,
    "limit": _limit,
}


def _thing(raw: object) -> Thing:
    if not isinstance(raw, dict):
        raise TypeError("no object")
    return raw


def _list(raw: object) -> list[object]:
    if not isinstance(raw, list):
        raise TypeError("no list")
    return raw


def _text(raw: object) -> str:
    if not isinstance(raw, str):
        raise TypeError("no text")
    return raw


def _number(raw: object) -> int:
    if not isinstance(raw, int):
        raise TypeError("no number")
    return raw
