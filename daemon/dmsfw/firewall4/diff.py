"""What is there against what should be: the commands of one transaction, and the plan that tells them. Pure.

Ours are: every set and chain named `dmsfw<number>_...`, every rule that jumps to such a chain, and every rule whose
comment begins with `dmsfw:`. Everything else is other people's and stays as it is.

1. Jumps, chains and sets of another version go, with what is in them.
2. Our own chains hold exactly the constant rules, and one jump leads to each, in its place.
3. Our sets hold exactly the elements that are due.
4. Where nothing is due and no include file brings them, neither sets nor chains nor jumps are left.
5. Where the kernel has no such sets, our chains hold rules instead, all of them made anew when one changes.
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
from dmsfw.firewall4.rules import HOOKS, Hook
from dmsfw.firewall4.sets import SETS, SetSpec

OWN_CHAINS = frozenset(hook.own for hook in HOOKS)


def edits(image: TableImage, wanted: Wanted) -> Edits:
    """All that has to be done. Raises: TableRefused when this is no table of firewall4's."""
    done = Edits()
    due = [hook for hook in HOOKS if wanted.due]
    jumps = {hook.chain: _kept_jump(image, hook, wanted) for hook in due}
    broken = [hook for hook in due if not _is_whole(image, hook, wanted)]
    _remove_rules(done, image, [rule for rule in jumps.values() if rule is not None])
    _remove_chains(done, image, broken, keep=OWN_CHAINS if due else frozenset())
    _remove_sets(done, image, keep=wanted.with_sets)
    if wanted.with_sets:
        _make_sets(done, image)
        _fill_sets(done, image, wanted.rendered.elements)
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
    """Whether our chain is there, holds the constant rules, and looks up sets that may stay."""
    chain = image.chains.get(hook.own)
    content = wanted.content(hook)
    if chain is None or chain.hook or len(chain.rules) != len(content) or (wanted.with_sets and _odd_sets(image)):
        return False
    return all(wanted.says(rule, rule_wanted) for rule, rule_wanted in zip(chain.rules, content, strict=True))


def _odd_sets(image: TableImage) -> list[ListedSet]:
    """Sets of our names that are of another make."""
    return [one for one in image.sets.values() if one.name in SETS and one.definition != definition(SETS[one.name])]


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
    for chain in image.chains.values():
        if chain in gone or chain in odd or chain.name in anew:
            done.do("flush", "chain", {"name": chain.name})
    for chain in [*gone, *odd]:
        done.do("delete", "chain", {"name": chain.name})
        done.tell("-", f"delete chain {PLACE} {chain.name}")


def _remove_sets(done: Edits, image: TableImage, *, keep: bool) -> None:
    """Sets that nobody's rule names any more go; of others, which would fail the transaction, what is in them does."""
    odd = _odd_sets(image)
    for one in image.sets.values():
        if not rules.is_own_name(one.name) or (keep and one.name in SETS and one not in odd):
            continue
        if _is_named_by_others(image, one.name):
            _delete_elements(done, one, one.elements)
        else:
            done.do("delete", "set", {"name": one.name})
            done.tell("-", f"delete set {PLACE} {one.name}")


def _is_named_by_others(image: TableImage, name: str) -> bool:
    foreign = (rule for rule in image.rules if not rules.is_own_name(rule.chain) and not rule.comment.startswith(OWNER))
    return any(f'"@{name}"' in json.dumps(rule.expr) for rule in foreign)


def _make_sets(done: Edits, image: TableImage) -> None:
    odd = [one.name for one in _odd_sets(image)]
    for spec in SETS.values():
        if spec.name not in image.sets or spec.name in odd:
            done.do("add", "set", {"name": spec.name, **definition(spec)})
            done.tell("+", f"add set {PLACE} {spec.name} {{ type {' . '.join(spec.types)}; flags interval; }}")


def _fill_sets(done: Edits, image: TableImage, elements: Mapping[str, Mapping[Box, str]]) -> None:
    odd = [one.name for one in _odd_sets(image)]
    for name, due in elements.items():
        listed = image.sets.get(name)
        there = () if listed is None or name in odd else listed.elements
        standing = {one.box for one in there if one.box is not None and due.get(one.box) == one.comment}
        if listed is not None and len(standing) < len(there):
            _delete_elements(done, listed, [one for one in there if one.box not in standing])
        if len(standing) < len(due):
            _add_elements(done, SETS[name], {box: said for box, said in due.items() if box not in standing})


def _delete_elements(done: Edits, listed: ListedSet, stale: Sequence[Element]) -> None:
    if stale:
        done.do("delete", "element", {"name": listed.name, "elem": [one.value for one in stale]})
    for one in stale:
        said = text_of(one.box, SETS[listed.name]) if one.box is not None else json.dumps(one.value)
        done.tell("-", f"delete element {PLACE} {listed.name} {{ {said} }}", _why(one.comment))


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
