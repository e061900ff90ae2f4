"""The enforcer over tables in memory: the order of commits, what a fault stops and what it does not."""

from __future__ import annotations

import pytest

from dmsfw.enforce import diff
from dmsfw.enforce.iptables import Iptables
from dmsfw.enforce.render import TABLES, TableKey, hook, render
from dmsfw.errors import EnforceError, TableChanged, TableRefused
from dmsfw.model import Grant, Plan
from tests.contract.fake import FakeTables, foreign_entry, fresh
from tests.unit.enforce_support import AHEAD, FILTER, FILTER6, NAT, NAT6, STRAYS, ZONES, altered, grant

SIX = grant(subnet="fd00::/64")


def refusing(*keys: TableKey, error: EnforceError | None = None) -> FakeTables:
    tables = FakeTables()
    refuse(tables, *keys, error=error)
    return tables


def refuse(tables: FakeTables, *keys: TableKey, error: EnforceError | None = None) -> None:
    def stop(key: TableKey) -> None:
        if key in keys:
            raise error or TableRefused(f"{key.command} {key.name}")

    tables.before_commit = stop


def converged(*grants: Grant) -> tuple[FakeTables, Iptables]:
    tables = FakeTables()
    enforcer = Iptables(tables)
    enforcer.converge(grants)
    tables.commits.clear()
    return tables, enforcer


def own(tables: FakeTables, key: TableKey) -> set[object]:
    return set(tables.specs(key, key.own))


def test_opening_nat_goes_before_filter() -> None:
    tables = FakeTables()
    Iptables(tables).converge([grant(), SIX])
    assert tables.commits == [NAT, FILTER, NAT6, FILTER6]


def test_closing_filter_goes_before_nat() -> None:
    tables, enforcer = converged(grant(), grant(25), SIX)
    enforcer.converge([grant()])
    assert tables.commits == [FILTER, NAT, FILTER6, NAT6]


def test_when_it_opens_and_closes_nat_opens_first_and_closes_last() -> None:
    tables, enforcer = converged(grant(465))
    seen = []
    tables.after_commit = lambda key: seen.append((key, len(own(tables, NAT)), len(own(tables, FILTER))))
    enforcer.converge([grant(587)])
    assert seen == [(NAT, 2, 2), (FILTER, 2, 2), (NAT, 1, 2)]


def test_a_hook_that_was_gone_does_not_bring_stale_rules_back_into_force() -> None:
    tables, enforcer = converged(grant(465))
    tables.tables[NAT][NAT.builtin] = ()
    seen = []
    tables.after_commit = lambda key: seen.append((key, len(own(tables, NAT))))
    enforcer.converge([grant(587)])
    assert seen == [(NAT, 1), (FILTER, 1)]


def test_nothing_to_do_commits_nothing() -> None:
    tables, enforcer = converged(grant(), SIX)
    assert not enforcer.converge([grant(), SIX]).changes
    assert not tables.commits


def test_a_table_that_nothing_new_is_due_in_is_not_compared_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tables, enforcer = converged(grant(), SIX)
    compared: list[TableKey] = []
    edits = diff.edits
    monkeypatch.setattr(diff, "edits", lambda key, *rest: compared.append(key) or edits(key, *rest))
    enforcer.converge([grant(), grant(587), SIX])
    assert set(compared) == {NAT, FILTER}
    tables.tables[FILTER6][FILTER6.own] = ()
    assert enforcer.converge([grant(), SIX]).changes
    assert FILTER6 in compared


def test_a_nat_table_that_fails_keeps_filter_shut_but_not_the_other_family() -> None:
    tables = refusing(NAT)
    with pytest.raises(TableRefused, match="iptables nat"):
        Iptables(tables).converge([grant(), SIX])
    assert own(tables, FILTER) == set()
    assert len(own(tables, FILTER6)) == 2


def test_a_nat_table_that_fails_does_not_keep_filter_from_closing() -> None:
    tables, enforcer = converged(grant(465), grant(587))
    refuse(tables, NAT)
    with pytest.raises(TableRefused):
        enforcer.converge([grant(465), grant(25)])
    assert own(tables, FILTER) == set(render([grant(465)])[FILTER])
    assert len(own(tables, NAT)) == 2


def test_a_nat_table_that_cannot_be_read_does_not_keep_filter_from_closing() -> None:
    tables, enforcer = converged(grant(465), grant(587))

    def stop(key: TableKey) -> None:
        if key == NAT:
            raise TableRefused("gone")

    tables.before_read = stop
    with pytest.raises(TableRefused, match="gone"):
        enforcer.converge([grant(465)])
    assert own(tables, FILTER) == set(render([grant(465)])[FILTER])


def test_a_filter_table_that_fails_keeps_nat_from_closing() -> None:
    tables, enforcer = converged(grant(465), grant(587))
    refuse(tables, FILTER)
    with pytest.raises(TableRefused):
        enforcer.converge([grant(465)])
    assert len(own(tables, NAT)) == 2


def test_a_filter_table_that_cannot_be_read_keeps_nat_from_closing() -> None:
    tables, enforcer = converged(grant(465), grant(587))
    broken = True

    def stop(key: TableKey) -> None:
        if broken and key == FILTER:
            raise TableRefused("gone")

    tables.before_read = stop
    with pytest.raises(TableRefused, match="gone"):
        enforcer.converge([grant(465)])
    assert len(own(tables, NAT)) == 2
    assert not tables.commits


def test_while_nat_fails_a_hook_on_the_wrong_side_still_leads_to_what_stays() -> None:
    tables, enforcer = converged(grant())
    for index, text in enumerate((AHEAD[0], AHEAD[2], *ZONES), 1):
        tables.insert(FILTER, "FORWARD", index, foreign_entry(text))
    tables.tables[NAT] = fresh(NAT)
    refuse(tables, NAT)
    with pytest.raises(TableRefused):
        enforcer.converge([grant()])
    assert tables.specs(FILTER, "FORWARD")[0] == hook(FILTER)
    refuse(tables)
    enforcer.converge([grant()])
    assert tables.specs(FILTER, "FORWARD")[2] == hook(FILTER)


def test_while_nat_fails_a_stray_rule_of_ours_is_closed_all_the_same() -> None:
    tables, enforcer = converged(grant())
    tables.insert(FILTER, "FORWARD", 0, foreign_entry(STRAYS[0]))
    tables.tables[NAT] = fresh(NAT)
    refuse(tables, NAT)
    with pytest.raises(TableRefused):
        enforcer.converge([grant()])
    assert tables.specs(FILTER, "FORWARD") == (hook(FILTER),)


def test_a_change_by_others_goes_before_a_refusal() -> None:
    tables = FakeTables()

    def stop(key: TableKey) -> None:
        raise TableRefused("no module") if key == NAT else TableChanged("somebody wrote")

    tables.before_commit = stop
    with pytest.raises(TableChanged):
        Iptables(tables).converge([grant(), SIX])


def test_a_refusal_after_which_everything_stands_there_is_none() -> None:
    """EINVAL from a commit can mean that it is in, and only the counters are lost."""
    tables = FakeTables()

    def lying(key: TableKey) -> None:
        raise TableRefused(f"{key.command} {key.name}")

    tables.after_commit = lying
    plan = Iptables(tables).converge([grant()])
    assert len(plan.changes) == 7
    assert not Iptables(tables).plan([grant()])


def test_what_is_not_there_after_a_commit_is_a_change_by_others() -> None:
    tables = FakeTables()

    def wiped(key: TableKey) -> None:
        tables.tables[key] = fresh(key)

    tables.after_commit = wiped
    with pytest.raises(TableChanged, match="not as it was written a moment ago"):
        Iptables(tables).converge([grant()])


def test_a_rule_that_cannot_be_built_is_an_error_of_its_table(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = FakeTables()

    def key_of(spec: object) -> object:
        if getattr(spec, "version", 0) == 4:
            raise TableRefused("python-iptables refuses a rule")
        return spec

    monkeypatch.setattr(tables, "key_of", key_of)
    with pytest.raises(TableRefused, match="refuses a rule"):
        Iptables(tables).converge([grant(), SIX])
    assert tables.commits == [NAT6, FILTER6]
    with pytest.raises(TableRefused, match="refuses a rule"):
        Iptables(tables).plan([grant()])


def test_the_lock_is_held_for_every_commit_and_verification_and_freed_after_a_fault() -> None:
    tables = FakeTables()
    seen: list[bool] = []
    tables.after_commit = lambda _: seen.clear()
    tables.before_read = lambda _: seen.append(tables.held)
    Iptables(tables).converge([grant()])
    assert seen == [True]
    refuse(tables, FILTER)
    with pytest.raises(TableRefused):
        Iptables(tables).converge([])
    assert not tables.held


def test_a_pass_that_has_nothing_to_do_takes_no_lock() -> None:
    tables, enforcer = converged(grant())
    seen: list[bool] = []
    tables.before_read = lambda _: seen.append(tables.held)
    assert not enforcer.converge([grant()])
    assert seen
    assert not any(seen)


def test_a_table_that_changes_before_the_lock_is_had_is_compared_anew_under_it() -> None:
    tables, enforcer = converged(grant())
    strangers = [foreign_entry("-s 192.0.2.9/32 -j DROP")]

    def once(key: TableKey) -> None:
        if strangers and key == FILTER:
            tables.insert(key, "FORWARD", 0, strangers.pop())

    tables.before_commit = once
    assert enforcer.converge([grant(), grant(bridge="br-other", subnet="172.29.0.0/16")])
    assert tables.specs(FILTER, "FORWARD")[0] == "-s 192.0.2.9/32 -j DROP"
    assert not enforcer.converge([grant(), grant(bridge="br-other", subnet="172.29.0.0/16")])


def test_a_plan_takes_no_lock_and_writes_nothing() -> None:
    tables, enforcer = converged(grant())
    tables.before_read = lambda _: None if not tables.held else pytest.fail("a plan takes the lock")
    plan = enforcer.plan([grant(25), SIX])
    assert plan.changes
    assert not tables.commits
    assert set(tables.tables) == {NAT, FILTER}


def test_a_plan_tells_every_change_with_its_why_and_place() -> None:
    _, enforcer = converged(grant(465, why="old: said so"))
    changes = enforcer.plan([grant(587, why="new: said so")]).changes
    assert {(change.sign, change.place, change.why) for change in changes} == {
        ("-", "ipv4 nat", "old: said so"),
        ("+", "ipv4 nat", "new: said so"),
        ("-", "ipv4 filter", "old: said so"),
        ("+", "ipv4 filter", "new: said so"),
    }
    assert all(change.text.startswith("iptables -t ") for change in changes)


def test_a_rule_with_another_comment_is_replaced() -> None:
    tables, enforcer = converged(grant())
    spec = render([grant()])[NAT][0]
    tables.tables[NAT][NAT.own] = (foreign_entry("x"),)
    tables.insert(NAT, NAT.own, 1, foreign_entry(altered(spec).text.partition(f"{NAT.own} ")[2]))
    enforcer.converge([grant()])
    assert tables.specs(NAT, NAT.own) == (spec,)


def test_packets_are_summed_by_id() -> None:
    tables, enforcer = converged(grant(), SIX)
    for key, packets in ((FILTER, 3), (FILTER6, 4)):
        tables.count(key, key.own, 0, packets)
    tables.count(FILTER, FILTER.own, 1, 9)
    counts = enforcer.packets()
    assert counts[grant().id] == 3
    assert counts[SIX.id] == 4
    assert sorted(counts.values()) == [0, 3, 4, 9]


def test_rules_of_others_ahead_are_part_of_a_plan() -> None:
    tables, enforcer = converged(grant())
    tables.insert(FILTER, "FORWARD", 0, foreign_entry("-i eth7 -j DROP"))
    plan = enforcer.converge([grant()])
    assert not plan.changes
    assert plan.ahead == ("iptables -t filter -A FORWARD -i eth7 -j DROP",)
    assert plan.rules == 3


def test_only_the_rules_that_are_wanted_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = FakeTables()
    kept: set[object] = set()
    monkeypatch.setattr(tables, "keep_only", kept.update)
    enforcer = Iptables(tables)
    enforcer.converge([grant()])
    assert kept == set(), "nothing is forgotten before something is due no more"
    enforcer.converge([grant(bridge="br-other")])
    enforcer.converge([grant()])
    specs = {spec for specs in render([grant()]).values() for spec in specs}
    assert kept >= specs | {hook(key) for key in TABLES}


def test_a_table_that_cannot_be_had_hides_nothing_of_what_was_done_in_the_others() -> None:
    tables = refusing(NAT6)
    with pytest.raises(TableRefused) as refused:
        Iptables(tables).converge([grant(), SIX])
    done = refused.value.done
    assert isinstance(done, Plan)
    assert {change.place for change in done.changes} == {"ipv4 nat", "ipv4 filter"}
    assert own(tables, FILTER)
    assert not own(tables, FILTER6)


def test_a_plan_shows_what_the_other_tables_need_beside_the_fault() -> None:
    tables = FakeTables()

    def stop(key: TableKey) -> None:
        if key == FILTER6:
            raise TableRefused("no such table")

    tables.before_read = stop
    Iptables(tables).converge([grant()])
    tables.tables[FILTER6] = fresh(FILTER6)
    with pytest.raises(TableRefused) as refused:
        Iptables(tables).plan([grant(587), SIX])
    assert isinstance(refused.value.done, Plan)
    assert "ipv4 filter" in {change.place for change in refused.value.done.changes}
