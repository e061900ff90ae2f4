"""Where the kernel has no sets with ranges in their keys: a rule for each grant and range of ports. Pure.

Rules are written as nft lists them, so that they are known again: `tcp dport`, and no `meta l4proto` before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dmsfw.decide.marks import comment, masqueraded
from dmsfw.firewall4.keys import Json, addresses, words
from dmsfw.firewall4.render import COMMENT_BYTES, proto_number, span_of
from dmsfw.model import Grant, PortRange, version_of

Rule = dict[str, Json]

PROTOCOLS = {4: "ip", 6: "ip6"}
"""The address families in nft's tongue."""


def content(grants: Iterable[Grant], chain: str) -> list[Rule]:
    """The rules of our chain behind one of firewall4's; of srcnat only what is masqueraded."""
    chosen = [grant for grant in grants if chain == "forward" or masqueraded(grant)]
    return [_rule(grant, ports, chain) for grant in chosen for ports in grant.ports or (None,)]


def text_of(rule: Rule) -> str:
    """A rule in nft's own tongue, for people."""
    return " ".join(map(_statement, rule["expr"]))


def _rule(grant: Grant, ports: PortRange | None, chain: str) -> Rule:
    verdict: list[Json] = [{"counter": None}, {"accept": None}] if chain == "forward" else [{"masquerade": None}]
    matches = [{"match": {"op": "==", "left": left, "right": right}} for left, right in _matches(grant, ports)]
    said = comment(grant.id, " / ".join(grant.whys), COMMENT_BYTES)
    return {"comment": said, "expr": [*matches, *verdict]}


def _matches(grant: Grant, ports: PortRange | None) -> Iterator[tuple[Json, Json]]:
    version = version_of(grant.subnet)
    protocol = PROTOCOLS[version]
    yield {"meta": {"key": "iifname"}}, grant.bridge
    yield {"meta": {"key": "oifname"}}, grant.uplink
    yield {"payload": {"protocol": protocol, "field": "saddr"}}, addresses(span_of(grant.subnet), version)
    if grant.destination is not None:
        yield {"payload": {"protocol": protocol, "field": "daddr"}}, addresses(span_of(grant.destination), version)
    if ports is not None:
        said: Json = ports.first if ports.first == ports.last else {"range": [ports.first, ports.last]}
        yield {"payload": {"protocol": grant.proto, "field": "dport"}}, said
    elif grant.proto != "all":
        yield {"meta": {"key": "l4proto"}}, proto_number(grant)


def _statement(part: Json) -> str:
    if "match" not in part:
        return str(next(iter(part)))
    left = part["match"]["left"]
    field = left["meta"]["key"] if "meta" in left else f"{left['payload']['protocol']} {left['payload']['field']}"
    return f"{field} {words(part['match']['right'])}"
