"""What is there against what should be: the commands of one transaction, and the plan that tells them. Pure.

Ours are: every set and chain named `dmsfw<number>_...`, every rule that jumps to such a chain, and every rule whose
comment begins with `dmsfw:`. Everything else is other people's and stays as it is.

1. Jumps, chains and sets of another version go, with what is in them.
2. Our own chains hold exactly the constant rules, and one jump leads to each, in its place.
3. Our sets hold exactly the elements that are due.
4. Where nothing is due and no include file brings them, neither sets nor chains nor jumps are left.
5. Where the kernel has no such sets, our chains hold rules instead, all of them made anew when one changes.
6. A set that is of another make, or holds what nft's JSON cannot name, or much that has to go, is made anew: an element
   that goes is looked for among all the others, a set that goes is not.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from dmsfw.decide.marks import OWNER
from dmsfw.firewall4 import plain, rules
from dmsfw.firewall4.boxes import Box
from dmsfw.firewall4.document import Chain, Element, ListedSet, Rule, TableImage, definition
from dmsfw.firewall4.edits import PLACE, Edits, Wanted
from dmsfw.firewall4.keys import Json, text_of, value_of
from dmsfw.firewall4.names import is_sayable
from dmsfw.firewall4.rules import HOOKS, Hook
from dmsfw.firewall4.sets import SETS, SetSpec

MANY, ADDS = 100_000, 1000
"""Looks at an element that are never too many (a tenth of a second); and how many of them one that is added costs."""

OWN_CHAINS = frozenset(hook.own for hook in HOOKS)


def edits(image: TableImage, wanted: Wanted) -> Edits:
    """All that has to be done. Raises: TableRefused when this is no table of firewall4's."""
    done = Edits()
    due = HOOKS if wanted.is_due(image) else ()
    with_sets = bool(due) and wanted.plainly is None
    stale = _stale(image, wanted) if with_sets else {}
    anew = _anew(image, stale)
    jumps = {hook.chain: _kept_jump(image, hook, wanted) for hook in due}
    broken = [hook for hook in due if anew or not _is_whole(image, hook, wanted)]
    _remove_rules(done, image, [rule for rule in jumps.values() if rule is not None])
    _remove_chains(done, image, broken, keep=OWN_CHAINS if due else frozenset())
    _remove_sets(done, image, frozenset(SETS) - anew if with_sets else frozenset())
    if with_sets:
        _make_sets(done, image, anew)
        _fill_sets(done, image, wanted, {name: gone for name, gone in stale.items() if name not in anew})
    for hook in broken:
        _make_chain(done, image, hook, wanted)
    for hook in due:
        if jumps[hook.chain] is None:
            _make_jump(done, hook)
    return done


def _kept_jump(image: TableImage, hook: Hook, wanted: Wanted) -> Rule | None:
    """The jump that may stay: the first one that says what it should, in its place."""
    chain = rules.chain_of(image, hook)
    good = (rule for rule in chain.rules if wanted.says(rule, hook.jump))
    return next((rule for rule in good if rules.in_place(chain, rule, first=hook.first)), None)


def _is_whole(image: TableImage, hook: Hook, wanted: Wanted) -> bool:
    """Whether our chain is there and holds the constant rules."""
    chain = image.chains.get(hook.own)
    content = wanted.content(hook)
    if chain is None or chain.hook or len(chain.rules) != len(content):
        return False
    return all(wanted.says(rule, rule_wanted) for rule, rule_wanted in zip(chain.rules, content, strict=True))


def _stale(image: TableImage, wanted: Wanted) -> dict[str, list[Element]]:
    """What has to go from each of our sets that is there."""
    return {
        name: [one for one in image.sets[name].elements if one.box is None or due.get(one.box) != one.comment]
        for name, due in wanted.rendered.elements.items()
        if name in image.sets
    }


def _anew(image: TableImage, stale: Mapping[str, Sequence[Element]]) -> frozenset[str]:
    """The sets that have to be made anew."""
    return frozenset(name for name, gone in stale.items() if not _may_stay(image.sets[name], gone))


def _may_stay(listed: ListedSet, stale: Sequence[Element]) -> bool:
    there, gone = len(listed.elements), len(stale)
    if listed.definition != definition(SETS[listed.name]) or gone * there > max(MANY, ADDS * (there - gone)):
        return False
    return all(
        one.box is not None and all(is_sayable(part) for part in one.box if isinstance(part, str)) for one in stale
    )


def _remove_rules(done: Edits, image: TableImage, kept: Sequence[Rule]) -> None:
    for rule in image.rules:
        ours = rule.comment.startswith(OWNER) or rules.leads_to_us(rule)
        if ours and rule not in kept and not rules.is_own_name(rule.chain):
            done.do("delete", "rule", {"chain": rule.chain, "handle": rule.handle})
            done.tell("-", f"delete rule {PLACE} {rule.chain} handle {rule.handle}", rule.comment)


def _remove_chains(done: Edits, image: TableImage, broken: Sequence[Hook], keep: frozenset[str]) -> None:
    """Empty what goes or is made anew, first of all, since what a rule names cannot be deleted."""
    anew = {hook.own for hook in broken}
    gone = [chain for chain in image.chains.values() if rules.is_own_name(chain.name) and chain.name not in keep]
    odd = [chain for chain in image.chains.values() if chain.name in keep and chain.hook]
    used = [chain for chain in gone if _is_mapped_to_by_others(image, chain.name)]
    for chain in image.chains.values():
        if chain.name in anew or (chain in [*gone, *odd] and (chain.rules or chain not in used)):
            done.do("flush", "chain", {"name": chain.name})
    for chain in [*gone, *odd]:
        if chain not in used:
            done.do("delete", "chain", {"name": chain.name})
            done.tell("-", f"delete chain {PLACE} {chain.name}")
        elif chain.rules:
            done.tell("-", f"flush chain {PLACE} {chain.name}")


def _remove_sets(done: Edits, image: TableImage, keep: frozenset[str]) -> None:
    """Sets that nobody's rule names any more go; of others, which would fail the transaction, what is in them does."""
    for one in image.sets.values():
        if not rules.is_own_name(one.name) or one.name in keep:
            continue
        if _is_named_by_others(image, one.name):
            _empty_set(done, one)
        else:
            done.do("delete", "set", {"name": one.name})
            done.tell("-", f"delete set {PLACE} {one.name}")


def _is_named_by_others(image: TableImage, name: str) -> bool:
    return any(json.dumps(f"@{name}") in json.dumps(rule.expr) for rule in _of_others(image))


def _is_mapped_to_by_others(image: TableImage, name: str) -> bool:
    """Whether a verdict map in a rule that stays leads to a chain; a rule that jumps there itself goes."""
    return any(json.dumps({"target": name}) in json.dumps(rule.expr) for rule in _of_others(image))


def _of_others(image: TableImage) -> Iterator[Rule]:
    """The rules that stay whatever becomes of us."""
    for rule in image.rules:
        if not (rules.is_own_name(rule.chain) or rule.comment.startswith(OWNER) or rules.leads_to_us(rule)):
            yield rule


def _empty_set(done: Edits, one: ListedSet) -> None:
    if one.elements:
        done.do("flush", "set", {"name": one.name})
        done.tell("-", f"flush set {PLACE} {one.name}")


def _make_sets(done: Edits, image: TableImage, anew: frozenset[str]) -> None:
    for spec in SETS.values():
        if spec.name not in image.sets or spec.name in anew:
            done.do("add", "set", {"name": spec.name, **definition(spec)})
            done.tell("+", f"add set {PLACE} {spec.name} {{ type {' . '.join(spec.types)}; flags interval; }}")


def _fill_sets(done: Edits, image: TableImage, wanted: Wanted, stale: Mapping[str, Sequence[Element]]) -> None:
    """`stale`: what has to go from each set that stays."""
    for name, due in wanted.rendered.elements.items():
        there = image.sets[name].elements if name in stale else ()
        gone = stale.get(name, ())
        if gone:
            _delete_elements(done, SETS[name], gone)
        if len(there) - len(gone) < len(due):
            standing = {one.box for one in there} - {one.box for one in gone}
            _add_elements(done, SETS[name], {box: said for box, said in due.items() if box not in standing})


def _delete_elements(done: Edits, spec: SetSpec, stale: Sequence[Element]) -> None:
    done.do("delete", "element", {"name": spec.name, "elem": [one.value for one in stale]})
    for one in stale:
        if one.box is not None:  # of another form is none: its set is made anew
            done.tell("-", f"delete element {PLACE} {spec.name} {{ {text_of(one.box, spec)} }}", _why(one.comment))


def _add_elements(done: Edits, spec: SetSpec, due: Mapping[Box, str]) -> None:
    if due:
        elements = [{"elem": {"val": value_of(box, spec), "comment": comment}} for box, comment in due.items()]
        done.do("add", "element", {"name": spec.name, "elem": elements})
    for box, comment in due.items():
        said = f'{text_of(box, spec)} comment "{comment}"'
        done.tell("+", f"add element {PLACE} {spec.name} {{ {said} }}", _why(comment))


def _make_chain(done: Edits, image: TableImage, hook: Hook, wanted: Wanted) -> None:
    found: Chain | None = image.chains.get(hook.own)
    if found is None or found.hook:
        done.do("add", "chain", {"name": hook.own})
    content = wanted.content(hook)
    for rule in content:
        done.do("add", "rule", {"chain": hook.own, **rule})
    if wanted.plainly is None:
        done.tell("+", f"chain {PLACE} {hook.own}: {len(content)} rules that look the sets up")
    for rule in content if wanted.plainly is not None else ():
        done.tell("+", f"add rule {PLACE} {hook.own} {plain.text_of(rule)}", _why(rule["comment"]))


def _make_jump(done: Edits, hook: Hook) -> None:
    verb, state = ("insert", "ct state new ") if hook.first else ("add", "")
    done.do(verb, "rule", {"chain": hook.chain, **hook.jump})
    done.tell("+", f"{verb} rule {PLACE} {hook.chain} {state}jump {hook.own}")


def _why(comment: str) -> str:
    return comment.partition(" ")[2]


def is_plain(image: TableImage) -> bool:
    """Whether our chains were filled after the kernel had refused the sets: rules, and no set that they could name."""
    chains = (image.chains.get(hook.own) for hook in HOOKS)
    return not SETS.keys() & image.sets.keys() and any(chain is not None and chain.rules for chain in chains)


def forms(image: TableImage) -> Iterator[tuple[tuple[str, str], Json]]:
    """How our constant rules are listed, by chain and comment: ask right after they were made, before anybody wrote."""
    for hook in HOOKS:
        for name in (hook.chain, hook.own):
            chain = image.chains.get(name)
            for rule in chain.rules if chain else ():
                if rule.comment.startswith(OWNER):
                    yield (rule.chain, rule.comment), rules.plain(rule.expr)
