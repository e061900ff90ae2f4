"""What is there against what should be, as the edits that lead from one to the other. Pure.

1. The own chain holds exactly the wanted rules. Those that stay are not touched, so they keep their counters; their
   order means nothing, since all of them accept (or masquerade) and none overlaps to another end.
2. The hook stands once, and in its place. Nothing wanted: neither hook nor chain.
3. A rule of ours anywhere else goes.
4. A second diff after the edits is empty.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import NamedTuple

from dmsfw.enforce.place import ahead, gap
from dmsfw.enforce.render import RuleSpec, TableKey
from dmsfw.enforce.tables import CreateChain, Delete, DeleteChain, Edit, Entry, Image, Insert


class Wanted(NamedTuple):
    """The rules that one table is to hold, by what they will look like, and its hook."""

    rules: Mapping[Hashable, RuleSpec]
    hook: RuleSpec
    hook_key: Hashable


def edits(key: TableKey, image: Image, wanted: Wanted) -> tuple[Edit, ...]:
    """The edits that bring one table to what is wanted; none when it is there already."""
    own = image.chain(key.own)
    result: list[Edit] = []
    if wanted.rules and own is None:
        result.append(CreateChain(key.own))
    result += _own_chain(key, own or (), wanted.rules)
    result += _strays(key, image)
    result += _hook(key, image.chain(key.builtin) or (), wanted)
    if not wanted.rules and own is not None:
        result.append(DeleteChain(key.own))
    return tuple(result)


OWNERS_CHAINS = frozenset({"forwarding_rule", "postrouting_rule", "DOCKER-USER"})
"""Chains that firewall3 and Docker leave to the owner; a jump to one tells nothing, what stands in it decides."""


def others_ahead(key: TableKey, image: Image, hook_key: Hashable) -> tuple[tuple[str, Entry], ...]:
    """(chain, rule) of others that a packet meets before our hook, the owner's chains included; none without a hook."""
    entries = image.chain(key.builtin) or ()
    hooks = (index for index, entry in enumerate(entries) if entry.target == key.own and entry.key == hook_key)
    hook_at = next(hooks, None)
    if hook_at is None:
        return ()
    foreign = [entry for entry in entries[:hook_at] if not _is_ours(key, entry)]
    chains = dict.fromkeys(entry.target for entry in foreign if entry.target in OWNERS_CHAINS)
    owners = [(chain, entry) for chain in chains for entry in image.chain(chain) or () if entry.target != "RETURN"]
    met = [(key.builtin, entry) for entry in ahead(key.name, foreign, len(foreign))]
    return (*met, *owners)


def _own_chain(key: TableKey, entries: Sequence[Entry], rules: Mapping[Hashable, RuleSpec]) -> Iterator[Edit]:
    missing = Counter(dict.fromkeys(rules, 1))
    stale: list[Delete] = []
    for index, entry in enumerate(entries):
        if missing[entry.key] > 0:
            missing[entry.key] -= 1
        else:
            stale.append(Delete(key.own, index, entry))
    yield from reversed(stale)
    yield from (Insert(rules[rule]) for rule in rules if missing[rule] > 0)


def _strays(key: TableKey, image: Image) -> Iterator[Edit]:
    for chain, index in sorted(image.ours_outside(key.own, key.builtin), reverse=True):
        yield Delete(chain, index, (image.chain(chain) or ())[index])


def _hook(key: TableKey, entries: Sequence[Entry], wanted: Wanted) -> Iterator[Edit]:
    foreign = [entry for entry in entries if not _is_ours(key, entry)]
    place = gap(key.name, foreign)
    kept = _standing_hook(key, entries, wanted.hook_key, range(place.first, place.last + 1)) if wanted.rules else None
    for index in reversed(range(len(entries))):
        if index != kept and _is_ours(key, entries[index]):
            yield Delete(key.builtin, index, entries[index])
    if wanted.rules and kept is None:
        yield Insert(wanted.hook, place.best)


def _standing_hook(key: TableKey, entries: Sequence[Entry], hook_key: Hashable, places: range) -> int | None:
    """The first hook that is in its place."""
    foreign_ahead = 0
    for index, entry in enumerate(entries):
        if entry.target == key.own and entry.key == hook_key and foreign_ahead in places:
            return index
        foreign_ahead += not _is_ours(key, entry)
    return None


def _is_ours(key: TableKey, entry: Entry) -> bool:
    return entry.target == key.own or bool(entry.owned_id)
