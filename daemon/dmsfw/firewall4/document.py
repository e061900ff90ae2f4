"""nft's listing in JSON becomes the table as it is. Pure.

The listing is other people's text as well (their comments, their devices' names): whatever is not of the form that is
looked for is passed over, or is an element that nobody wants and that is deleted as it was listed.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from dmsfw.errors import TableRefused
from dmsfw.firewall4 import FAMILY, TABLE
from dmsfw.firewall4.boxes import Box
from dmsfw.firewall4.keys import Json, box_of
from dmsfw.firewall4.sets import SETS, SetSpec

Entry = tuple[str, dict[str, Json]]
"""What kind of thing is listed, and what is said of it."""

ODD = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What comes of reading a document that is not of the form that was looked for."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule. `expr` as nft lists it."""

    chain: str
    handle: int
    comment: str
    expr: Json


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain; `hook` and `kind` are empty where nothing but a jump leads to it."""

    name: str
    hook: str = ""
    kind: str = ""
    rules: tuple[Rule, ...] = ()


class Element(NamedTuple):
    """An element: its value as listed; `box` None: not of a form that we write."""

    value: Json
    box: Box | None
    comment: str = ""


@dataclass(frozen=True, slots=True)
class ListedSet:
    """A set. `definition`: types and all that changes its meaning; equal to `definition(spec)` for ours."""

    name: str
    definition: Json
    elements: tuple[Element, ...] = ()


@dataclass(frozen=True)
class TableImage:
    """firewall4's table, read at one moment. `dormant`: nothing in it filters; no listing tells it rightly."""

    chains: Mapping[str, Chain] = field(default_factory=dict)
    sets: Mapping[str, ListedSet] = field(default_factory=dict)
    dormant: bool = False

    @property
    def rules(self) -> Iterator[Rule]:
        """All rules of all chains."""
        for chain in self.chains.values():
            yield from chain.rules


def definition(spec: SetSpec) -> Json:
    """What the listing of a set of ours says of it."""
    return {"type": list(spec.types), "flags": ["interval"]}


def parse(text: str) -> TableImage:
    """Read `nft -j list table`. Raises: TableRefused for anything that is no such listing."""
    mine = _read_entries(text)
    try:
        rules: dict[str, list[Rule]] = defaultdict(list)
        for rule in (_rule(body) for kind, body in mine if kind == "rule"):
            rules[rule.chain].append(rule)
        chains = (_chain(body, rules) for kind, body in mine if kind == "chain")
        return TableImage({chain.name: chain for chain in chains}, _sets(mine))
    except ODD as error:
        raise _unreadable(error) from error


def parse_sets(text: str) -> dict[str, ListedSet]:
    """Read the listing of some sets, by name. Raises: TableRefused."""
    try:
        return _sets(_read_entries(text))
    except ODD as error:
        raise _unreadable(error) from error


def _read_entries(text: str) -> list[Entry]:
    """What is of this table in one JSON document or in several, one behind the other. Raises: TableRefused."""
    try:
        entries = [item for document in _documents(text) for entry in document["nftables"] for item in entry.items()]
        return [(kind, body) for kind, body in entries if _is_ours(kind, body)]
    except ODD as error:
        raise _unreadable(error) from error


def _documents(text: str) -> Iterator[Json]:
    """One at least. Raises: ValueError, RecursionError."""
    decoder, at = json.JSONDecoder(), 0
    while at < len(text) or not at:
        document, at = decoder.raw_decode(text, at)
        yield document
        while text[at : at + 1].isspace():
            at += 1


def _unreadable(error: Exception) -> TableRefused:
    return TableRefused(f"nft's list of table {FAMILY} {TABLE} cannot be read: {type(error).__name__}")


def _sets(mine: Iterable[Entry]) -> dict[str, ListedSet]:
    sets = (_set(body) for kind, body in mine if kind in {"set", "map"})
    return {each.name: each for each in sets}


def _is_ours(kind: str, body: Json) -> bool:
    if kind not in {"chain", "rule", "set", "map"} or not isinstance(body, dict):
        return False
    return bool(body["family"] == FAMILY and body["table"] == TABLE)


def _rule(body: dict[str, Json]) -> Rule:
    return Rule(str(body["chain"]), int(body["handle"]), str(body.get("comment", "")), body.get("expr", []))


def _chain(body: dict[str, Json], rules: Mapping[str, Sequence[Rule]]) -> Chain:
    name = str(body["name"])
    return Chain(name, str(body.get("hook", "")), str(body.get("type", "")), tuple(rules.get(name, ())))


def _set(body: dict[str, Json]) -> ListedSet:
    name = str(body["name"])
    spec = SETS.get(name)
    said = {key: body[key] for key in ("type", "flags", "map", "stmt", "timeout", "size") if key in body}
    if isinstance(said.get("flags"), str):  # nft 1.1.4 and 1.1.5 say a single one so
        said["flags"] = [said["flags"]]
    elements = body.get("elem", []) if name.startswith("dmsfw") else []
    return ListedSet(name, said, tuple(_element(each, spec) for each in elements))


def _element(listed: Json, spec: SetSpec | None) -> Element:
    body = listed["elem"] if isinstance(listed, dict) and "elem" in listed else {"val": listed}
    value = body["val"]
    return Element(value, None if spec is None else box_of(value, spec), str(body.get("comment", "")))
