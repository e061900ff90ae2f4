"""What every implementation of enforce.tables.Tables has to do: run over the tables in memory and over the kernel's."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network

import pytest

from dmsfw.decide.grants import grants
from dmsfw.enforce.iptables import Iptables
from dmsfw.enforce.render import TABLES, RuleSpec, TableKey, hook, render
from dmsfw.enforce.tables import CreateChain, Delete, DeleteChain, Edit, Image, Insert
from dmsfw.errors import TableChanged, TableRefused
from dmsfw.model import Grant, PortRange
from tests.contract.benches import Bench, foreign_rules, own_rules
from tests.unit.decide_support import Case, cases

FILTER, NAT, FILTER6, NAT6 = TableKey(4, "filter"), TableKey(4, "nat"), TableKey(6, "filter"), TableKey(6, "nat")
EVERY_CASE = pytest.mark.parametrize("case", cases(), ids=repr)
EVERY_TABLE = pytest.mark.parametrize("key", TABLES, ids=lambda key: f"{key.command}-{key.name}")

FOREIGN = (
    "-N zone_wan",
    '-A FORWARD -m comment --comment "!fw3: Custom forwarding rule chain" -j ACCEPT',
    "-A FORWARD -i eth1 -j DROP",
    "-A zone_wan -o eth1 -j RETURN",
)


def grant(port: int = 465, bridge: str = "br-a", subnet: str = "10.1.0.0/24") -> Grant:
    return Grant("a", bridge, ip_network(subnet), "wan0", "tcp", (PortRange(port, port),), whys=(f"p: {port}",))


def specs_of(*every: Grant) -> dict[TableKey, tuple[RuleSpec, ...]]:
    return render(every)


def commit(bench: Bench, key: TableKey, *edits: Edit, image: Image | None = None) -> None:
    with bench.tables.locked():
        bench.tables.commit(key, image or bench.tables.read(key), edits)


def chain(bench: Bench, key: TableKey, name: str) -> list[object]:
    entries = bench.tables.read(key).chain(name)
    assert entries is not None
    return [entry.key for entry in entries]


def texts(lines: Sequence[str]) -> list[str]:
    return [line.partition("] ")[2] for line in lines]


@EVERY_TABLE
def test_a_chain_is_made_and_removed(bench: Bench, key: TableKey) -> None:
    assert bench.tables.read(key).chain(key.own) is None
    commit(bench, key, CreateChain(key.own))
    assert bench.tables.read(key).chain(key.own) == ()
    commit(bench, key, DeleteChain(key.own))
    assert bench.tables.read(key).chain(key.own) is None


@EVERY_TABLE
def test_rules_are_inserted_appended_and_deleted_by_place(bench: Bench, key: TableKey) -> None:
    one, two, three = (specs_of(grant(port), grant(port, subnet="fd00::/64"))[key][0] for port in (1, 2, 3))
    commit(bench, key, CreateChain(key.own), Insert(one), Insert(two), Insert(three, 1))
    keys = [bench.tables.key_of(spec) for spec in (one, three, two)]
    assert chain(bench, key, key.own) == keys
    there = bench.tables.read(key).chain(key.own)
    assert there
    commit(bench, key, Delete(key.own, 1, there[1]))
    assert chain(bench, key, key.own) == [keys[0], keys[2]]


@EVERY_CASE
def test_every_rule_reads_back_as_it_was_meant(bench: Bench, case: Case) -> None:
    for key, specs in render(grants(case.snapshot)).items():
        if specs:
            commit(bench, key, CreateChain(key.own), *map(Insert, specs), Insert(hook(key), 0))
            assert chain(bench, key, key.own) == [bench.tables.key_of(spec) for spec in specs]
            assert chain(bench, key, key.builtin) == [bench.tables.key_of(hook(key))]
            shown = [line for line in texts(bench.saved(key)) if line.startswith(f"-A {key.own} ")]
            assert shown == [spec.text for spec in specs]
            assert hook(key).text in texts(bench.saved(key))


@EVERY_CASE
def test_two_rules_that_say_something_else_never_have_one_key(bench: Bench, case: Case) -> None:
    for key, specs in render(grants(case.snapshot)).items():
        assert len({bench.tables.key_of(spec) for spec in (*specs, hook(key))}) == len(specs) + 1


def test_an_entry_tells_what_it_is(bench: Bench) -> None:
    key, specs = FILTER, specs_of(grant())[FILTER]
    commit(bench, key, CreateChain(key.own), *map(Insert, specs), Insert(hook(key), 0))
    traffic, replies = bench.tables.read(key).chain(key.own) or ()
    (jump,) = bench.tables.read(key).chain("FORWARD") or ()
    assert (traffic.target, traffic.owned_id, traffic.comment) == ("ACCEPT", grant().id, specs[0].comment)
    assert traffic.states == {"NEW", "RELATED", "ESTABLISHED"}
    assert replies.states == {"RELATED", "ESTABLISHED"}
    assert (jump.target, jump.states, bool(jump.owned_id)) == (key.own, frozenset(), True)
    assert (traffic.packets, traffic.octets) == (0, 0)


def test_reading_and_planning_make_no_table(bench: Bench) -> None:
    assert not any(bench.tables.exists(key) for key in TABLES)
    plan = Iptables(bench.tables).plan([grant(), grant(subnet="fd00::/64")])
    assert plan.rules == 6
    assert Iptables(bench.tables).converge(()).changes == ()
    assert Iptables(bench.tables).packets() == {}
    assert bench.made() == set()


def test_only_tables_in_which_a_rule_is_due_are_made(bench: Bench) -> None:
    Iptables(bench.tables).converge([grant()])
    assert bench.made() == {FILTER, NAT}
    Iptables(bench.tables).converge([grant(subnet="2001:db8::/64")])
    assert bench.made() == {FILTER, NAT, FILTER6}


@pytest.mark.parametrize("late", [*FOREIGN[1:], "-I FORWARD 1 -i eth9 -j DROP", "-N other", "-D FORWARD 2"])
def test_a_stale_image_is_not_committed(bench: Bench, late: str) -> None:
    bench.foreign(FILTER, *FOREIGN)
    image = bench.tables.read(FILTER)
    bench.foreign(FILTER, late)
    before = bench.saved(FILTER)
    with pytest.raises(TableChanged):
        commit(bench, FILTER, CreateChain(FILTER.own), image=image)
    assert bench.saved(FILTER) == before


def test_a_foreign_rule_in_the_place_of_another_of_the_same_size_makes_the_image_stale(bench: Bench) -> None:
    bench.foreign(FILTER, *FOREIGN)
    image = bench.tables.read(FILTER)
    bench.foreign(FILTER, "-D FORWARD 2", "-A FORWARD -i eth2 -j DROP")
    with pytest.raises(TableChanged):
        commit(bench, FILTER, CreateChain(FILTER.own), image=image)
    assert "-A FORWARD -i eth2 -j DROP" in texts(bench.saved(FILTER))


def test_counters_do_not_make_an_image_stale_and_are_kept(bench: Bench) -> None:
    bench.foreign(FILTER, *FOREIGN)
    Iptables(bench.tables).converge([grant()])
    print_before = bench.tables.mark(FILTER)
    image = bench.tables.read(FILTER)
    bench.pass_one(FILTER)
    assert bench.tables.mark(FILTER) == print_before
    before = bench.saved(FILTER)
    assert [line for line in before if not line.startswith("[0:0]")]
    commit(bench, FILTER, Insert(specs_of(grant(25))[FILTER][0]), image=image)
    after = bench.saved(FILTER)
    assert set(before) < set(after)
    assert foreign_rules(before) == foreign_rules(after)


@EVERY_TABLE
def test_every_edit_changes_the_fingerprint(bench: Bench, key: TableKey) -> None:
    one, two = (specs_of(grant(port), grant(port, subnet="fd00::/64"))[key][0] for port in (1, 2))
    seen = [bench.tables.mark(key)]
    edits: list[tuple[Edit, ...]] = [
        (CreateChain(key.own),),
        (Insert(one),),
        (Insert(two),),
        (Insert(hook(key), 0),),
    ]
    for edit in edits:
        commit(bench, key, *edit)
        seen.append(bench.tables.mark(key))
    first, second = bench.tables.read(key).chain(key.own) or ()
    commit(bench, key, Delete(key.own, 0, first), Insert(one))  # another order
    seen.append(bench.tables.mark(key))
    commit(bench, key, Delete(key.own, 0, second))
    seen.append(bench.tables.mark(key))
    assert len(set(seen)) == len(seen)


def test_rules_of_ours_in_foreign_chains_are_found(bench: Bench) -> None:
    bench.foreign(
        FILTER,
        *FOREIGN,
        '-A zone_wan -i eth7 -m comment --comment "dmsfw:0123456789ab stray" -j ACCEPT',
        '-A zone_wan -i eth7 -m comment --comment "dmsfw:0123456789abc no id" -j ACCEPT',
        '-A zone_wan -i eth7 -m comment --comment "not dmsfw:0123456789ab" -j ACCEPT',
        f"-N {FILTER.own}",
        f"-A zone_wan -j {FILTER.own}",
        f"-A INPUT -j {FILTER.own}",
        f"-A FORWARD -j {FILTER.own}",
        '-A DMSFW-FORWARD -i eth7 -m comment --comment "dmsfw:0123456789ab inside" -j ACCEPT',
    )
    found = bench.tables.read(FILTER).ours_outside(FILTER.own, "FORWARD")
    assert sorted(found) == [("INPUT", 0), ("zone_wan", 1), ("zone_wan", 4)]


def test_foreign_rules_stand_as_they_stood_through_a_whole_life(bench: Bench) -> None:
    bench.foreign(FILTER, *FOREIGN)
    bench.foreign(NAT, "-A POSTROUTING -o eth1 -j MASQUERADE")
    before = {key: bench.saved(key) for key in (FILTER, NAT)}
    enforcer = Iptables(bench.tables)
    for wanted in ([grant()], [grant(), grant(25)], [grant(25)], [grant(bridge="br-b")], []):
        plan = enforcer.converge(wanted)
        assert plan
        assert not enforcer.converge(wanted).changes
        assert not enforcer.changed()
        for key, lines in before.items():
            assert foreign_rules(bench.saved(key)) == lines
            assert len(own_rules(bench.saved(key))) == len(specs_of(*wanted)[key]) + bool(wanted)
    assert {key: bench.saved(key) for key in (FILTER, NAT)} == before


def test_a_plan_names_every_command(bench: Bench) -> None:
    bench.foreign(FILTER, "-N mine", '-A mine -i eth7 -m comment --comment "dmsfw:0123456789ab old" -j ACCEPT')
    changes = [str(change) for change in Iptables(bench.tables).converge([grant()]).changes]
    assert changes == [
        "+ iptables -t nat -N DMSFW-POSTROUTING",
        f"+ iptables -t nat {specs_of(grant())[NAT][0].text}",
        f"+ iptables -t nat {hook(NAT).text.replace('-A POSTROUTING', '-I POSTROUTING 1')}",
        "+ iptables -t filter -N DMSFW-FORWARD",
        *(f"+ iptables -t filter {spec.text}" for spec in specs_of(grant())[FILTER]),
        '- iptables -t filter -D mine -i eth7 -m comment --comment "dmsfw:0123456789ab old" -j ACCEPT',
        f"+ iptables -t filter {hook(FILTER).text.replace('-A FORWARD', '-I FORWARD 1')}",
    ]
    removed = [str(change) for change in Iptables(bench.tables).converge([]).changes]
    assert removed[-1] == "- iptables -t filter -X DMSFW-FORWARD"


def test_somebody_elses_edit_is_seen(bench: Bench) -> None:
    enforcer = Iptables(bench.tables)
    enforcer.converge([grant()])
    assert not enforcer.changed()
    assert not enforcer.touched()
    bench.foreign(FILTER, "-A FORWARD -i eth1 -j DROP")
    assert enforcer.changed()
    assert enforcer.touched()
    enforcer.converge([grant()])
    assert not enforcer.changed()
    assert not enforcer.touched()
    bench.foreign(NAT6, "-A POSTROUTING -o eth1 -j ACCEPT")
    assert enforcer.changed()
    assert enforcer.touched()


def test_a_packet_that_is_counted_touches_nothing(bench: Bench) -> None:
    bench.foreign(FILTER, "-A FORWARD")
    enforcer = Iptables(bench.tables)
    enforcer.converge([grant()])
    bench.pass_one(FILTER)
    assert not enforcer.touched()


def test_what_is_not_done_yet_counts_as_touched(bench: Bench) -> None:
    enforcer = Iptables(bench.tables)
    bench.foreign(NAT, "-A POSTROUTING -o eth1 -j ACCEPT")
    assert enforcer.touched()


def test_edits_that_cannot_be_made_leave_the_table_as_it_was(bench: Bench) -> None:
    bench.foreign(FILTER, *FOREIGN)
    before = bench.saved(FILTER)
    (drop,) = (entry for entry in bench.tables.read(FILTER).chain("FORWARD") or () if entry.target == "DROP")
    for edits in (
        [DeleteChain("nowhere")],
        [CreateChain("zone_wan")],
        [CreateChain(FILTER.own), Insert(specs_of(grant())[FILTER][0]), DeleteChain(FILTER.own)],
        [CreateChain(FILTER.own), Delete("FORWARD", 7, drop)],
        [Insert(hook(FILTER), 0)],
    ):
        with pytest.raises(TableRefused):
            commit(bench, FILTER, *edits)  # type: ignore[arg-type]
        assert bench.saved(FILTER) == before
