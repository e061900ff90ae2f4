"""A whole life at random: networks come and go, others edit, commits fail at any point. What must hold at every moment:

1. Nothing is opened that is not desired.
2. Nothing is accepted without its translation that was not so before: nat opens before filter, and closes after it.
3. Foreign rules are as they were.
4. A pass that nobody disturbs makes the tables what is desired, and the next one writes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import ip_network
from itertools import product

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from dmsfw.decide.grants import grants
from dmsfw.enforce.iptables import Iptables
from dmsfw.enforce.render import TABLES, RuleSpec, TableKey, hook
from dmsfw.enforce.tables import Entry
from dmsfw.errors import EnforceError, TableChanged, TableRefused
from dmsfw.model import Network, Policy, PortRange, Settings, Snapshot, Uplink, Uplinks, version_of
from dmsfw.reconciler import ATTEMPTS, preview, reconcile
from tests.contract.fake import FakeTables, entry_of, foreign_entry, fresh
from tests.unit.enforce_support import AHEAD, FILTER, NAT, NAT6, OWNERS, STRAYS, ZONES, altered, foreign

UNTRANSLATED = (PortRange(25, 25),)
"""Ports of the one policy whose traffic is not to be translated, and of no other."""

NETWORKS = (
    Network("1", "one", device="br-1", subnets=(ip_network("10.1.0.0/24"),)),
    Network("2", "two", device="br-2", subnets=(ip_network("10.2.0.0/24"), ip_network("fd02::/64"))),
    Network("3", "one", device="br-3", subnets=(ip_network("10.1.0.0/24"),)),
    Network("4", "six", device="br-4", subnets=(ip_network("2001:db8::/64"),)),
    Network("5", "inner", device="br-5", subnets=(ip_network("10.5.0.0/24"),), internal=True),
)
POLICIES = (
    Policy("mail", networks=("*",), ports=(PortRange(465, 465),)),
    Policy("mail too", networks=("one",), ports=(PortRange(465, 465),)),
    Policy("plain", networks=("two",), ports=UNTRANSLATED, masq=False),
    Policy("web", networks=("t*",), ports=(PortRange(80, 80),)),
)
UPLINKS = (Uplink("wan", "wan0"), Uplink("wan2", "wan1"))
Fault = Callable[[FakeTables, TableKey], None]


def changed(_: FakeTables, __: TableKey) -> None:
    raise TableChanged("somebody wrote")


def refused(_: FakeTables, __: TableKey) -> None:
    raise TableRefused("the kernel refuses")


def disturbed(tables: FakeTables, key: TableKey) -> None:
    tables.insert(key, key.builtin, 0, foreign_entry("-i eth5 -j DROP"))


def passed(_: FakeTables, __: TableKey) -> None:
    """No fault."""


HOW = ("gone", "twice", "altered")
FAULTS: tuple[Fault, ...] = (passed, changed, refused, disturbed)


def active(tables: FakeTables, key: TableKey) -> set[RuleSpec]:
    """Our rules that packets meet, whatever their comments say."""
    chains = tables.tables.get(key, {})
    if not any(entry.target == key.own for entry in chains.get(key.builtin, ())):
        return set()
    specs = (entry.key for entry in chains.get(key.own, ()))
    return {replace(spec, comment="") for spec in specs if isinstance(spec, RuleSpec)}


def needs_translation(spec: RuleSpec) -> bool:
    if "NEW" not in spec.states or spec.ports == UNTRANSLATED:
        return False
    return spec.version == 4 or str(spec.source).startswith("fd")


def untranslated(tables: FakeTables) -> set[RuleSpec]:
    found = set()
    for key in TABLES:
        if key.name == "filter":
            translations = active(tables, TableKey(key.version, "nat"))
            for spec in filter(needs_translation, active(tables, key)):
                twin = replace(
                    spec, table="nat", chain="DMSFW-POSTROUTING", target="MASQUERADE", in_device="", states=()
                )
                if twin not in translations:
                    found.add(spec)
    return found


def chosen(policy: Policy, network: Network) -> bool:
    names = {"mail": {"one", "two", "six"}, "mail too": {"one"}, "plain": {"two"}, "web": {"two"}}
    return network.name in names[policy.name] and not network.internal


class Life(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.tables = FakeTables()
        self.enforcer = Iptables(self.tables)
        self.networks: set[Network] = set()
        self.policies: tuple[Policy, ...] = POLICIES[:1]
        self.uplinks: tuple[Uplink, ...] = UPLINKS[:1]
        self.faults: list[Fault] = []
        self.failed: set[TableKey] = set()
        self.tables.before_commit = self.before
        self.tables.after_commit = self.after

    @initialize(firewall3=st.booleans())
    def begin(self, *, firewall3: bool) -> None:
        if firewall3:
            for index, text in enumerate((AHEAD[0], AHEAD[2], *ZONES)):
                self.tables.insert(FILTER, "FORWARD", index, foreign_entry(text))

    def snapshot(self) -> Snapshot:
        networks = tuple(sorted(self.networks, key=lambda network: network.id))
        return Snapshot(Settings(policies=self.policies), networks, Uplinks(chosen=self.uplinks))

    def desired(self) -> dict[TableKey, Counter[RuleSpec]]:
        """What is to stand there, comments aside, written down without the code that is tested."""
        found: dict[TableKey, Counter[RuleSpec]] = {key: Counter() for key in TABLES}
        for network in self.networks:
            asking = [policy for policy in self.policies if chosen(policy, network)]
            for spec in {spec for policy in asking for spec in self._asked(policy, network)}:
                found[spec.key][spec] += 1
        return found

    def _asked(self, policy: Policy, network: Network) -> Iterator[RuleSpec]:
        for uplink, subnet in product(self.uplinks, network.subnets):
            version = version_of(subnet)
            bare = RuleSpec(version, "filter", "DMSFW-FORWARD", "ACCEPT")
            out = replace(bare, out_device=uplink.device, source=subnet, proto="tcp", ports=policy.ports)
            yield replace(out, in_device=network.device, states=("NEW", "RELATED", "ESTABLISHED"))
            back = replace(bare, in_device=uplink.device, out_device=network.device, destination=subnet)
            yield replace(back, states=("RELATED", "ESTABLISHED"))
            if policy.masq and (version == 4 or str(subnet).startswith("fd")):
                yield replace(out, table="nat", chain="DMSFW-POSTROUTING", target="MASQUERADE")

    def standing(self) -> dict[TableKey, Counter[RuleSpec]]:
        found: dict[TableKey, Counter[RuleSpec]] = {}
        for key in TABLES:
            entries = self.tables.tables.get(key, {}).get(key.own, ())
            found[key] = Counter(replace(e.key, comment="") for e in entries if isinstance(e.key, RuleSpec))
            assert sum(found[key].values()) == len(entries)
        return found

    def before(self, key: TableKey) -> None:
        fault = self.faults.pop(0) if self.faults else passed
        if fault is not passed:
            self.failed.add(key)
        fault(self.tables, key)
        self.open_before = active(self.tables, key)
        self.untranslated_before = untranslated(self.tables)
        self.foreign_before = self.foreign()

    def after(self, key: TableKey) -> None:
        opened = active(self.tables, key) - self.open_before
        assert opened <= set(self.desired()[key]), "opened what is not desired"
        assert untranslated(self.tables) <= self.untranslated_before, "accepted without its translation"
        assert self.foreign() == self.foreign_before

    def foreign(self) -> dict[TableKey, dict[str, list[Entry]]]:
        return {key: foreign(key, chains) for key, chains in self.tables.tables.items()}

    @rule(network=st.sampled_from(NETWORKS))
    def a_network_comes_or_goes(self, network: Network) -> None:
        self.networks ^= {network}

    @rule(policies=st.lists(st.sampled_from(POLICIES), unique=True))
    def the_configuration_changes(self, policies: list[Policy]) -> None:
        self.policies = tuple(policies)

    @rule(uplinks=st.lists(st.sampled_from(UPLINKS), unique=True))
    def the_uplinks_change(self, uplinks: list[Uplink]) -> None:
        self.uplinks = tuple(uplinks)

    @rule(key=st.sampled_from(TABLES))
    def the_firewall_is_flushed(self, key: TableKey) -> None:
        if self.tables.exists(key):
            self.tables.tables[key] = fresh(key)

    @rule(key=st.sampled_from(TABLES), at=st.integers(0, 9), what=st.sampled_from(OWNERS[:3]))
    def somebody_adds_a_rule(self, key: TableKey, at: int, what: str) -> None:
        self.tables.insert(key, key.builtin, at, foreign_entry(what))

    @rule(key=st.sampled_from(TABLES), at=st.integers(0, 9), in_own=st.booleans(), how=st.sampled_from(HOW))
    def somebody_spoils_a_rule_of_ours(self, key: TableKey, at: int, *, in_own: bool, how: str) -> None:
        name = key.own if in_own else key.builtin
        entries = list(self.tables.tables.get(key, {}).get(name, ()))
        ours = [index for index, entry in enumerate(entries) if isinstance(entry.key, RuleSpec)]
        if ours:
            index = ours[at % len(ours)]
            spec = entries.pop(index).key
            assert isinstance(spec, RuleSpec)
            instead = {"gone": [], "twice": [spec, spec], "altered": [altered(spec)]}[how]
            entries[index:index] = map(entry_of, instead)
            self.tables.tables[key][name] = tuple(entries)

    @rule(key=st.sampled_from(TABLES))
    def a_crash_left_a_stray(self, key: TableKey) -> None:
        self.tables.insert(key, "zone_wan", 0, foreign_entry(STRAYS[0]))

    @rule(faults=st.lists(st.sampled_from(FAULTS), max_size=8))
    def a_pass_is_disturbed(self, faults: list[Fault]) -> None:
        self.faults, self.failed = faults, set()
        try:
            reconcile(self, self.enforcer)
        except EnforceError:
            assert self.failed
        self.faults = []

    @rule()
    def the_nat_table_is_refused(self) -> None:
        def no_nat(key: TableKey) -> None:
            if key.name == "nat":
                raise TableRefused("no module")
            self.before(key)

        self.tables.before_commit = no_nat
        try:
            reconcile(self, self.enforcer)
        except TableRefused:
            for key in TABLES:
                if key.name == "filter":
                    assert set(self.standing()[key]) <= set(self.desired()[key]), "closing goes on without nat"
        finally:
            self.tables.before_commit = self.before

    @rule(restart=st.booleans())
    def a_pass_is_left_in_peace(self, *, restart: bool) -> None:
        if restart:
            self.enforcer = Iptables(self.tables)
        expected = preview(self, self.enforcer).plan.changes
        outcome = reconcile(self, self.enforcer)
        assert outcome.plan.changes == expected
        assert self.standing() == self.desired()
        for key in TABLES:
            builtin = self.tables.tables.get(key, {}).get(key.builtin, ())
            assert [e.key for e in builtin if e.target == key.own] == ([hook(key)] if self.desired()[key] else [])
            assert (key.own in self.tables.tables.get(key, {})) is bool(self.desired()[key])
        assert untranslated(self.tables) == set()
        commits = len(self.tables.commits)
        assert not reconcile(self, self.enforcer).plan
        assert not self.enforcer.changed()
        assert len(self.tables.commits) == commits

    @invariant()
    def the_lock_is_free(self) -> None:
        assert not self.tables.held


Life.TestCase.settings = settings(max_examples=120, stateful_step_count=25, deadline=None)
TestLife = Life.TestCase


class Still:
    """A world in which nothing happens."""

    def __init__(self, *policies: Policy) -> None:
        self.policies = policies

    def snapshot(self) -> Snapshot:
        return Snapshot(Settings(policies=self.policies), NETWORKS[:2], Uplinks(chosen=UPLINKS[:1]))


def test_a_lost_race_is_planned_again() -> None:
    tables = FakeTables()
    races = iter([True, True])

    def lost(key: TableKey) -> None:
        if next(races, False):
            changed(tables, key)

    tables.before_commit = lost
    assert reconcile(Still(*POLICIES), Iptables(tables)).plan.changes
    assert not reconcile(Still(*POLICIES), Iptables(tables)).plan


def test_a_race_that_is_lost_again_and_again_is_given_up() -> None:
    tables = FakeTables()
    tries = []

    def lost(key: TableKey) -> None:
        tries.append(key)
        changed(tables, key)

    tables.before_commit = lost
    with pytest.raises(TableChanged, match=f"lost the race {ATTEMPTS} times: somebody wrote"):
        reconcile(Still(POLICIES[0]), Iptables(tables))
    assert tries.count(NAT) == 2 * ATTEMPTS, "each attempt compares once more under the lock"
    assert tries.count(NAT6) == 2 * ATTEMPTS
    assert set(tries) == {NAT, NAT6}
    assert tables.tables == {key: fresh(key) for key in TABLES}


def test_grants_of_a_world_are_told_with_its_plan() -> None:
    world = Still(POLICIES[0])
    outcome = preview(world, Iptables(FakeTables()))
    assert outcome.snapshot == world.snapshot()
    assert outcome.grants == grants(world.snapshot())
    assert outcome.plan.rules == 9
