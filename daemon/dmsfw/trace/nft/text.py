"""Rules as `nft -a list ruleset` prints them, or close to that."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

from dmsfw.trace.nft.model import Base, Listed, Rule

BARE = frozenset({"iif", "iifname", "oif", "oifname", "iifgroup", "oifgroup"})
"""Keys that are printed without `meta`."""

QUOTED = frozenset({"iif", "iifname", "oif", "oifname"})
LIMIT = 400
"""Characters of a statement that is printed as it was listed."""

MARK_BITS = "0x{:08x}"
MANY = 24
"""Elements of a set that are printed."""


def rule_text(rule: Rule) -> str:
    """A rule in one line, its handle at the end, without its counter."""
    words = [_safely(one) for one in rule.body]
    comment = [f'comment "{rule.comment}"'] if rule.comment else []
    return " ".join([*filter(None, words), *comment, f"# handle {rule.handle}"])


def policy_text(base: Base) -> str:
    """The line that makes a base chain."""
    policy = "drop" if base.drops else "accept"
    return f"type {base.kind} hook {base.hook} priority {base.priority}; policy {policy};"


def _safely(one: object) -> str:
    try:
        return _statement(one)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return "(a statement that cannot be read)"


def _statement(one: Listed) -> str:
    if not isinstance(one, dict) or len(one) != 1:
        raise TypeError("no statement")
    kind, body = next(iter(one.items()))
    if kind in STATEMENTS:
        return STATEMENTS[kind](body)
    return kind if body is None else _as_listed(kind, body)


def _as_listed(kind: str, body: object) -> str:
    return f"{kind} {json.dumps(body)[:LIMIT]}"


def _match(body: Listed) -> str:
    left, operator = body["left"], body["op"]
    key = left["meta"]["key"] if "meta" in left else ""
    flags = operator == "in" or "set" in (body["right"] if isinstance(body["right"], dict) else {})
    right = _right(body["right"], key, separator="," if flags else " | ")
    if key == "" and "&" in left and _is_flags(left["&"]) and operator == "==":
        return f"{written(left['&'][0])} {right} / {written(left['&'][1])}"
    sign = "" if operator in {"==", "in"} and "&" not in left else f"{operator} "
    return f"{written(left)} {sign}{right}"


def _is_flags(masked: Listed) -> bool:
    return bool(masked[0].get("payload", {}).get("field") == "flags")


def _right(raw: Listed, key: str = "", separator: str = ",") -> str:
    if key in QUOTED and isinstance(raw, str) and not raw.startswith("@"):
        return f'"{raw}"'
    if key == "mark" and isinstance(raw, int):
        return MARK_BITS.format(raw)
    if isinstance(raw, dict) and "set" in raw:
        return _set(raw["set"], key)
    if isinstance(raw, list):
        return separator.join(written(one) for one in raw)
    return written(raw)


def _set(items: list[Listed], key: str = "") -> str:
    shown = [_item(item, key) for item in items[:MANY]] + (["..."] if len(items) > MANY else [])
    return f"{{ {', '.join(shown)} }}"


def _item(item: Listed, key: str) -> str:
    if isinstance(item, list):
        data = _statement(item[1]) if isinstance(item[1], dict) and "concat" not in item[1] else written(item[1])
        return f"{_right(item[0], key)} : {data}"
    return _right(item, key)


def written(one: Listed) -> str:
    """An expression or a value. Raises: ValueError, TypeError, KeyError."""
    if isinstance(one, dict) and len(one) == 1:
        kind, body = next(iter(one.items()))
        if kind in EXPRESSIONS:
            return EXPRESSIONS[kind](body)
        return _as_listed(kind, body)
    if isinstance(one, list):
        return ",".join(written(part) for part in one)
    return str(one)


def _meta(body: Listed) -> str:
    return body["key"] if body["key"] in BARE else f"meta {body['key']}"


def _payload(body: Listed) -> str:
    if "protocol" not in body:
        return f"@{body['base']},{body['offset']},{body['len']}"
    return f"{body['protocol']} {body['field']}"


def _joined(separator: str) -> Callable[[Iterable[Listed]], str]:
    return lambda parts: separator.join(written(part) for part in parts)


def _ct(body: Listed) -> str:
    return " ".join(filter(None, ("ct", body.get("dir", ""), body["key"])))


def _prefix(body: Listed) -> str:
    return f"{written(body['addr'])}/{body['len']}"


def _fib(body: Listed) -> str:
    return f"fib {' . '.join(body['flags'])} {body['result']}"


def _elem(body: Listed) -> str:
    return written(body["val"]) + (f' comment "{body["comment"]}"' if "comment" in body else "")


def _map(body: Listed) -> str:
    return f"{written(body['key'])} map {_right(body['data'])}"


EXPRESSIONS: dict[str, Callable[[Listed], str]] = {
    "meta": _meta,
    "payload": _payload,
    "ct": _ct,
    "prefix": _prefix,
    "fib": _fib,
    "elem": _elem,
    "map": _map,
    "set": _set,
    "concat": _joined(" . "),
    "range": _joined("-"),
    "tcp option": lambda body: f"tcp option {body['name']} {body['field']}",
    "rt": lambda body: f"rt {body['key']}",
    "&": _joined(" & "),
    "|": _joined(" | "),
    "^": _joined(" ^ "),
}


def _vmap(body: Listed) -> str:
    key = body["key"]["meta"]["key"] if "meta" in body["key"] else ""
    return f"{written(body['key'])} vmap {_right(body['data'], key)}"


def _key(key: Listed) -> str:
    (body,) = key.values()
    return str(body.get("key", ""))


def _mangle(body: Listed) -> str:
    key = body["key"]
    of = _key(key)
    return f"{written(key)} set {_right(body['value'], of)}"


def _reject(body: Listed) -> str:
    if not body or body == {"type": "icmpx", "expr": "port-unreachable"}:
        return "reject"
    kind = str(body["type"])
    return "reject with tcp reset" if kind == "tcp reset" else f"reject with {kind} {written(body['expr'])}"


def _limit(body: Listed) -> str:
    if isinstance(body, str):
        return f"limit name {body}"
    over = "over " if body.get("inv") else ""
    burst = f" burst {body['burst']} packets" if body.get("burst", 5) != 5 else ""  # noqa: PLR2004 - its default
    return f"limit rate {over}{body['rate']}/{body['per']}{burst}"


def _log(body: Listed) -> str:
    return "log" + (f' prefix "{body["prefix"]}"' if body and "prefix" in body else "")


def _translation(kind: str) -> Callable[[Listed], str]:
    def text(body: Listed) -> str:
        if not body:
            return kind
        address = written(body["addr"]) if "addr" in body else ""
        port = f":{written(body['port'])}" if "port" in body else ""
        where = f"[{address}]" if port and address.count(":") > 1 else address
        flags = body.get("flags", [])
        options = " ".join(flags if isinstance(flags, list) else [flags])
        to = f"to {where}{port}" if where or port else ""
        return " ".join(filter(None, (kind, body.get("family", "") if address else "", to, options)))

    return text


STATEMENTS: dict[str, Callable[[Listed], str]] = {
    "match": _match,
    "vmap": _vmap,
    "mangle": _mangle,
    "reject": _reject,
    "limit": _limit,
    "log": _log,
    "counter": lambda body: f'counter name "{body}"' if isinstance(body, str) else "counter",
    "jump": lambda body: f"jump {body['target']}",
    "goto": lambda body: f"goto {body['target']}",
    "ct helper": lambda body: f'ct helper set "{body}"',
    "flow": lambda body: f"flow {body['op']} {body['flowtable']}",
    "set": lambda body: f"{body['op']} {body['set']} {{ {written(body['elem'])} }}",
    **{kind: _translation(kind) for kind in ("snat", "dnat", "masquerade", "redirect")},
}
