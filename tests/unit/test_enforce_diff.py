"""From any table to any wanted set: what stands there after the edits is compared with what is wanted."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings

from dmsfw.enforce import diff
from dmsfw.enforce.render import RuleSpec, TableKey, hook
from dmsfw.enforce.tables import CreateChain, Delete, DeleteChain, Edit, Insert
from tests.contract.fake import Chains, FakeImage, FakeTables, entry_of, foreign_entry, fresh
from tests.unit.enforce_support import (
    AHEAD,
    FILTER,
    NAT,
    SPECS,
    STRAYS,
    ZONES,
    State,
    altered,
    foreign,
    planted,
    states,
)

UNHURRIED = settings(deadline=None)


def wanted_of(key: TableKey, specs: tuple[RuleSpec, ...]) -> diff.Wanted:
    return diff.Wanted({spec: spec for spec in specs}, hook(key), hook(key) if specs else None)


def edits_for(state: State, chains: Chains | None = None) -> tuple[Edit, ...]:
    image = FakeImage(state.chains if chains is None else chains)
    return diff.edits(state.key, image, wanted_of(state.key, state.wanted))


def applied(state: State) -> Chains:
    tables = FakeTables({state.key: dict(state.chains)})
    with tables.locked():
        tables.commit(state.key, tables.read(state.key), edits_for(state))
    return tables.tables[state.key]


@UNHURRIED
@given(states())
def test_the_own_chain_holds_exactly_what_is_wanted(state: State) -> None:
    own = applied(state).get(state.key.own)
    if state.wanted:
        assert own is not None
        assert Counter(entry.key for entry in own) == Counter(state.wanted)
    else:
        assert own is None


@UNHURRIED
@given(states())
def test_nothing_of_ours_stands_elsewhere_but_one_hook(state: State) -> None:
    chains = applied(state)
    found = {
        name: [entry.key for entry in entries if planted(state.key, entry)]
        for name, entries in chains.items()
        if name != state.key.own
    }
    due = [hook(state.key)] if state.wanted else []
    assert {name: keys for name, keys in found.items() if keys} == ({state.key.builtin: due} if due else {})


@UNHURRIED
@given(states())
def test_the_hook_stands_between_firewall3s_rules(state: State) -> None:
    entries = [entry.key for entry in applied(state)[state.key.builtin]]
    if state.wanted:
        at = entries.index(hook(state.key))
        assert all(entries.index(text) < at for text in state.ahead)
        assert all(entries.index(text) > at for text in state.behind)


@UNHURRIED
@given(states())
def test_foreign_rules_keep_order_content_and_counters(state: State) -> None:
    assert foreign(state.key, applied(state)) == state.foreign


@UNHURRIED
@given(states())
def test_rules_that_stay_keep_their_counters(state: State) -> None:
    before = state.chains.get(state.key.own, ())
    for entry in applied(state).get(state.key.own, ()):
        there = [one.packets for one in before if one.key == entry.key]
        assert entry.packets == (there[0] if there else 0)


@UNHURRIED
@given(states())
def test_a_second_diff_is_empty(state: State) -> None:
    assert edits_for(state, applied(state)) == ()


@UNHURRIED
@given(states())
def test_edits_touch_only_what_is_ours(state: State) -> None:
    for edit in edits_for(state):
        if isinstance(edit, Delete):
            assert edit.chain == state.key.own or planted(state.key, edit.entry)
        elif isinstance(edit, Insert):
            assert edit.spec in (*state.wanted, hook(state.key))
        else:
            assert edit.chain == state.key.own


def table(key: TableKey, builtin: list[object], own: tuple[RuleSpec, ...] | None = SPECS[FILTER]) -> Chains:
    chains = fresh(key)
    if own is not None:
        chains[key.own] = tuple(map(entry_of, own))
    chains[key.builtin] = tuple(
        foreign_entry(one) if isinstance(one, str) else entry_of(one)  # type: ignore[arg-type]
        for one in builtin
    )
    return chains


def test_an_empty_table_gets_chain_rules_and_hook_in_this_order() -> None:
    specs = SPECS[FILTER]
    found = diff.edits(FILTER, FakeImage(fresh(FILTER)), wanted_of(FILTER, specs))
    assert found == (CreateChain("DMSFW-FORWARD"), *map(Insert, specs), Insert(hook(FILTER), 0))


def test_when_nothing_is_wanted_everything_of_ours_goes_and_the_chain_last() -> None:
    image = FakeImage(table(FILTER, [hook(FILTER), STRAYS[0], "-j DROP"]))
    found = diff.edits(FILTER, image, wanted_of(FILTER, ()))
    assert all(isinstance(edit, Delete) for edit in found[:-1])
    assert len(found) == len(SPECS[FILTER]) + 3
    assert found[-1] == DeleteChain("DMSFW-FORWARD")


@pytest.mark.parametrize("at", [0, 1, 2])
def test_what_others_put_ahead_is_left_ahead(at: int) -> None:
    builtin: list[object] = [AHEAD[0], AHEAD[2], hook(FILTER), *ZONES]
    builtin.insert(at, "-i eth7 -j DROP")
    assert diff.edits(FILTER, FakeImage(table(FILTER, builtin)), wanted_of(FILTER, SPECS[FILTER])) == ()


@pytest.mark.parametrize(
    ("builtin", "expected"),
    [
        ([hook(FILTER), AHEAD[0], AHEAD[2], *ZONES], 2),
        ([AHEAD[0], hook(FILTER), AHEAD[2], *ZONES], 2),
        ([AHEAD[0], AHEAD[2], hook(FILTER), AHEAD[3], *ZONES], 3),
        ([AHEAD[0], AHEAD[2], *ZONES, hook(FILTER)], 2),
        ([AHEAD[0], AHEAD[2], ZONES[0], hook(FILTER), *ZONES[1:]], 2),
        ([AHEAD[0], AHEAD[1], AHEAD[2], AHEAD[3], *ZONES], 4),
        (["-j DROP", "-j DOCKER-USER", "-j DROP"], 2),
        (["-j DROP"], 0),
        ([altered(hook(FILTER)), "-j DROP"], 0),
    ],
)
def test_a_hook_on_the_wrong_side_or_missing_is_put_in_its_place(builtin: list[object], expected: int) -> None:
    found = diff.edits(FILTER, FakeImage(table(FILTER, builtin)), wanted_of(FILTER, SPECS[FILTER]))
    assert found[-1] == Insert(hook(FILTER), expected)


def test_a_doubled_hook_stands_once_and_the_first_in_its_place_stays() -> None:
    builtin = [hook(FILTER), AHEAD[0], AHEAD[2], hook(FILTER), hook(FILTER), *ZONES]
    found = diff.edits(FILTER, FakeImage(table(FILTER, builtin)), wanted_of(FILTER, SPECS[FILTER]))
    assert [(edit.index, edit.entry.key) for edit in found if isinstance(edit, Delete)] == [
        (4, hook(FILTER)),
        (0, hook(FILTER)),
    ]


def test_the_nat_hook_may_stand_anywhere_behind_firewall3() -> None:
    fw3 = '-m comment --comment "!fw3" -j zone'
    own = SPECS[NAT]
    for builtin, drift in (
        ([fw3, "-j SNAT", hook(NAT)], False),
        ([fw3, hook(NAT), "-j SNAT"], False),
        ([hook(NAT), fw3, "-j SNAT"], True),
        ([hook(NAT), "-j SNAT"], False),
        ([fw3, "-j SNAT"], True),
    ):
        found = diff.edits(NAT, FakeImage(table(NAT, list(builtin), own)), wanted_of(NAT, own))
        assert bool(found) is drift
        if drift:
            assert found[-1] == Insert(hook(NAT), 2)


def test_rules_of_others_ahead_are_told_without_firewall3s_frame_and_ours() -> None:
    builtin = [AHEAD[0], "-j DROP", AHEAD[2], STRAYS[0], hook(FILTER), "-j LATER"]
    found = diff.others_ahead(FILTER, FakeImage(table(FILTER, builtin)), hook(FILTER))
    assert [entry.text for _, entry in found] == ["-j DROP"]
    assert diff.others_ahead(FILTER, FakeImage(fresh(FILTER)), hook(FILTER)) == ()


def test_a_zone_of_firewall3_that_stands_ahead_is_told_of() -> None:
    builtin = [AHEAD[0], ZONES[0], hook(FILTER)]
    found = diff.others_ahead(FILTER, FakeImage(table(FILTER, builtin)), hook(FILTER))
    assert [entry.text for _, entry in found] == [ZONES[0]]
    fw3 = '-m comment --comment "!fw3" -j zone'
    assert diff.others_ahead(NAT, FakeImage(table(NAT, [fw3, hook(NAT)], SPECS[NAT])), hook(NAT)) == ()


def test_what_stands_in_the_owners_own_chains_is_told_as_well() -> None:
    builtin = [AHEAD[0], AHEAD[2], hook(FILTER), *ZONES]
    chains = table(FILTER, builtin) | {"forwarding_rule": (foreign_entry("-s 10.0.0.9 -j DROP"),)}
    found = diff.others_ahead(FILTER, FakeImage(chains), hook(FILTER))
    assert [(chain, entry.text) for chain, entry in found] == [("forwarding_rule", "-s 10.0.0.9 -j DROP")]
