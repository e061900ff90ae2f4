"""nftables' listings made of a few words, and what a packet comes to in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dmsfw.trace import Way
from dmsfw.trace.nft.listing import parse
from dmsfw.trace.nft.model import Nftables
from dmsfw.trace.shell import Said
from tests.unit.trace_support import packet, way

RECORDED = (Path(__file__).parents[1] / "cases" / "trace" / "fw4.nft.json").read_text()
LISTING = "nft -j list ruleset"
PPPOE = {"ip -4 route get": Said(0, "192.0.2.25 from 10.1.0.2 via 192.0.2.254 dev pppoe-wan\n")}


def table(name: str = "t", family: str = "inet", **more: Any) -> dict[str, Any]:
    return {"table": {"family": family, "name": name, "handle": 1, **more}}


def base(hook: str = "forward", prio: int = 0, kind: str = "filter", policy: str = "accept", **more: Any) -> Any:
    plain = {"family": "inet", "table": "t", "name": hook, "handle": 1, "type": kind, "hook": hook, "prio": prio}
    return {"chain": {**plain, "policy": policy, **more}}


def chain(name: str) -> dict[str, Any]:
    return {"chain": {"family": "inet", "table": "t", "name": name, "handle": 9}}


def rule(*statements: Any, chain: str = "forward", **more: Any) -> dict[str, Any]:
    plain = {"family": "inet", "table": "t", "chain": chain, "handle": 5}
    return {"rule": {**plain, "expr": list(statements), **more}}


def match(left: Any, right: Any, op: str = "==") -> dict[str, Any]:
    return {"match": {"op": op, "left": left, "right": right}}


def meta(key: str) -> dict[str, Any]:
    return {"meta": {"key": key}}


def payload(protocol: str, field: str) -> dict[str, Any]:
    return {"payload": {"protocol": protocol, "field": field}}


def ct(key: str, **more: Any) -> dict[str, Any]:
    return {"ct": {"key": key, **more}}


def listed(*entries: Any) -> str:
    return json.dumps({"nftables": [{"metainfo": {"version": "1.0.6"}}, *entries]})


def nftables(text: str = RECORDED) -> Nftables:
    found = parse(text)
    assert found is not None
    return found


def through(text: str, *tables: str, said: dict[str, Said] | None = None, **given: Any) -> Way:
    """The way of a packet through nftables as it is listed, and through legacy tables."""
    return way(packet(**given), *tables, said={LISTING: Said(0, text), **(said or {})})


def asked(statement: Any, **given: Any) -> bool | None:
    """Whether a packet matches a statement: it is dropped if it does."""
    found = through(listed(table(), base(), rule(statement, {"drop": None})), **given)
    dropped = [end.verdict.value == "dropped" for end in found.ends]
    return None if len(found.ends) > 1 else dropped[0]
