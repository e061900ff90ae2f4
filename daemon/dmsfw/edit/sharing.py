"""A section that means other networks too: what that is, and lines to paste for whoever wants one of them out. Pure."""

from __future__ import annotations

from dataclasses import replace

from dmsfw.decide.grants import selects
from dmsfw.edit.selection import by_name
from dmsfw.edit.wish import Wish
from dmsfw.model import Policy
from dmsfw.report.hints import quoted
from dmsfw.report.sentence import joined
from dmsfw.report.text import clean

MOST_NAMES = 5
"""Other networks that are named."""


def way_out(policy: Policy, wish: Wish) -> str:
    """Say that `policy` means more than the wish's network, and what can be done. It is not done."""
    others = sorted(clean(one.name) for one in wish.others if selects(policy, one))
    if others:
        named = joined([*others[:MOST_NAMES], *(["more"] if len(others) > MOST_NAMES else [])])
        return f"selects {named} as well: {_without_the_name(policy, wish) or _by_hand(wish)}"
    off = f"uci set {quoted(f'dmsfw.{policy.name}.enabled')}='0'; uci commit dmsfw"
    return f"may select other networks as well: {_without_the_name(policy, wish) or f'switch it off with `{off}`'}"


def _without_the_name(policy: Policy, wish: Wish) -> str:
    """The line that takes this very name out, where that closes the network and leaves something."""
    name = by_name(wish.network.name)
    if name is None or name.names[0] not in policy.networks:
        return ""
    rest = replace(policy, networks=tuple(one for one in policy.networks if one not in name.names))
    if selects(rest, wish.network) or not (rest.labels or rest.networks):
        return ""
    option = quoted(f"dmsfw.{policy.name}.network")
    return f"take this one out of it with `uci del_list {option}={quoted(name.names[0])}; uci commit dmsfw`"


def _by_hand(wish: Wish) -> str:
    return f"narrow its labels or names so that {clean(wish.network.name)} is not among them"
