"""nft's JSON: its listing becomes the table as it is, a set's keys become JSON. Pure.

The listing is other people's text as well (their comments, their devices' names): whatever is not of the form that is
looked for is passed over, or is an element that nobody wants and that is deleted as it was listed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network, summarize_address_range
from typing import Any

from dmsfw.errors import TableRefused
from dmsfw.firewall4.boxes import Box, Span
from dmsfw.firewall4.render import address_text, span_of
from dmsfw.firewall4.sets import FAMILY, SETS, TABLE, Part, SetSpec

Json = Any
"""A piece of a JSON document."""


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


@dataclass(frozen=True, slots=True)
class Element:
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
    """firewall4's table, read at one moment."""

    chains: Mapping[str, Chain] = field(default_factory=dict)
    sets: Mapping[str, ListedSet] = field(default_factory=dict)

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
    try:
        entries = json.loads(text)["nftables"]
        found = [(kind, body) for entry in entries for kind, body in entry.items() if isinstance(body, dict)]
        mine = [(kind, body) for kind, body in found if _is_ours(kind, body)]
        rules = [_rule(body) for kind, body in mine if kind == "rule"]
        chains = (_chain(body, rules) for kind, body in mine if kind == "chain")
        sets = (_set(body) for kind, body in mine if kind in {"set", "map"})
        return TableImage({chain.name: chain for chain in chains}, {each.name: each for each in sets})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise TableRefused(f"nft's list of table {FAMILY} {TABLE} cannot be read: {type(error).__name__}") from error


def value_of(box: Box, spec: SetSpec) -> Json:
    """A key in JSON."""
    return {"concat": [_part(part, which, spec) for part, which in zip(box, spec.parts, strict=True)]}


def box_of(value: Json, spec: SetSpec) -> Box | None:
    """The key that a listed value stands for; None when it is none that we would write."""
    try:
        parts = value["concat"]
        return tuple(_read(part, which, spec) for part, which in zip(parts, spec.parts, strict=True))
    except (ValueError, KeyError, TypeError):
        return None


def text_of(box: Box, spec: SetSpec) -> str:
    """A key as nft's own tongue has it, for people."""
    return " . ".join(_words(_part(part, which, spec)) for part, which in zip(box, spec.parts, strict=True))


def _is_ours(kind: str, body: dict[str, Json]) -> bool:
    return kind in {"chain", "rule", "set", "map"} and body["family"] == FAMILY and body["table"] == TABLE


def _rule(body: dict[str, Json]) -> Rule:
    return Rule(str(body["chain"]), int(body["handle"]), str(body.get("comment", "")), body.get("expr", []))


def _chain(body: dict[str, Json], rules: Iterable[Rule]) -> Chain:
    name = str(body["name"])
    mine = tuple(rule for rule in rules if rule.chain == name)
    return Chain(name, str(body.get("hook", "")), str(body.get("type", "")), mine)


def _set(body: dict[str, Json]) -> ListedSet:
    name = str(body["name"])
    spec = SETS.get(name)
    said = {key: body[key] for key in ("type", "flags", "map", "stmt", "timeout", "size") if key in body}
    elements = body.get("elem", []) if name.startswith("dmsfw") else []
    return ListedSet(name, said, tuple(_element(each, spec) for each in elements))


def _element(listed: Json, spec: SetSpec | None) -> Element:
    body = listed["elem"] if isinstance(listed, dict) and "elem" in listed else {"val": listed}
    value = body["val"]
    return Element(value, None if spec is None else box_of(value, spec), str(body.get("comment", "")))


def _part(part: str | Span, which: Part, spec: SetSpec) -> Json:
    if isinstance(part, str):
        return part
    if which not in {"saddr", "daddr"}:
        return part.first if part.first == part.last else {"range": [part.first, part.last]}
    first, last = (address_text(number, spec.version) for number in part)
    if first == last:
        return first
    networks: list[IPv4Network | IPv6Network] = list(summarize_address_range(ip_address(first), ip_address(last)))
    if len(networks) == 1:
        return {"prefix": {"addr": first, "len": networks[0].prefixlen}}
    return {"range": [first, last]}


def _read(part: Json, which: Part, spec: SetSpec) -> str | Span:
    """Raises: ValueError, KeyError, TypeError."""
    if which in {"iif", "oif"}:
        if not isinstance(part, str):
            raise TypeError(which)
        return part
    if isinstance(part, dict) and "prefix" in part:
        return span_of(ip_network(f"{part['prefix']['addr']}/{part['prefix']['len']}"))
    first, last = part["range"] if isinstance(part, dict) else (part, part)
    return Span(_number(first, which, spec), _number(last, which, spec))


def _number(value: Json, which: Part, spec: SetSpec) -> int:
    if which in {"saddr", "daddr"}:
        address = ip_address(str(value))
        if address.version != spec.version:
            raise ValueError(value)
        return int(address)
    return int(value)


def _words(value: Json) -> str:
    if isinstance(value, dict) and "prefix" in value:
        return f"{value['prefix']['addr']}/{value['prefix']['len']}"
    if isinstance(value, dict):
        return "-".join(map(str, value["range"]))
    return f'"{value}"' if isinstance(value, str) and not _is_address(value) else str(value)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
