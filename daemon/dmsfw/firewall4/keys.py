"""A set's keys in nft's JSON, both ways, and in nft's own tongue for people. Pure."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network, summarize_address_range
from typing import Any

from dmsfw.firewall4.boxes import Box, Span
from dmsfw.firewall4.render import address_text, span_of
from dmsfw.firewall4.sets import Part, SetSpec
from dmsfw.model import Version

Json = Any
"""A piece of a JSON document."""

READ_BEFORE = 8192
"""Listed keys whose meaning is remembered: nearly all of a listing was there a moment ago."""

_read_before: dict[tuple[str, str], Box | None] = {}

REMEMBERED = 1024
"""Addresses and subnets that are kept as numbers: all ports of a network bear the same."""


def value_of(box: Box, spec: SetSpec) -> Json:
    """A key in JSON."""
    return {"concat": [_part(part, which, spec) for part, which in zip(box, spec.parts, strict=True)]}


def box_of(value: Json, spec: SetSpec) -> Box | None:
    """The key that a listed value stands for; None when it is none that we would write."""
    said = (spec.name, repr(value))
    if said not in _read_before:
        if len(_read_before) >= READ_BEFORE:
            _read_before.clear()
        _read_before[said] = _box(value, spec)
    return _read_before[said]


def _box(value: Json, spec: SetSpec) -> Box | None:
    try:
        parts = value["concat"]
        return tuple(_read(part, which, spec) for part, which in zip(parts, spec.parts, strict=True))
    except (ValueError, KeyError, TypeError):
        return None


def text_of(box: Box, spec: SetSpec) -> str:
    """A key as nft's own tongue has it, for people."""
    return " . ".join(words(_part(part, which, spec)) for part, which in zip(box, spec.parts, strict=True))


def _part(part: str | Span, which: Part, spec: SetSpec) -> Json:
    if isinstance(part, str):
        return part
    if which not in {"saddr", "daddr"}:
        return part.first if part.first == part.last else {"range": [part.first, part.last]}
    return addresses(part, spec.version)


@lru_cache(REMEMBERED)
def addresses(span: Span, version: Version) -> Json:
    """One address, a subnet where it can be said so, else a range. The same object each time: not to be changed."""
    first, last = (address_text(number, version) for number in span)
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
        return _prefix(str(part["prefix"]["addr"]), int(part["prefix"]["len"]))
    first, last = part["range"] if isinstance(part, dict) else (part, part)
    return Span(_number(first, which, spec), _number(last, which, spec))


def _number(value: Json, which: Part, spec: SetSpec) -> int:
    if which in {"saddr", "daddr"}:
        return _address(str(value), spec.version)
    return int(value)


@lru_cache(REMEMBERED)
def _prefix(address: str, length: int) -> Span:
    """Raises: ValueError."""
    return span_of(ip_network(f"{address}/{length}"))


@lru_cache(REMEMBERED)
def _address(text: str, version: Version) -> int:
    """Raises: ValueError."""
    address = ip_address(text)
    if address.version != version:
        raise ValueError(text)
    return int(address)


def words(value: Json) -> str:
    """A value in nft's own tongue."""
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
