"""Which firewall is served, and what becomes of the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from dmsfw.backend import LEFT_OUT, Backend
from dmsfw.errors import EnforceError, TableChanged, TableRefused
from dmsfw.model import BackendChoice, Change, Grant, Plan
from tests.unit.test_firewall4 import GRANT


@dataclass
class Recorder:
    """One firewall that notes what it is asked."""

    table: bool = False
    left: tuple[Change, ...] = ()
    fault: EnforceError | None = None
    wrote: bool = False
    asked: list[tuple[str, int]] = field(default_factory=list)

    def prepare(self) -> None:
        self.asked.append(("prepare", 0))

    def plan(self, grants: Sequence[Grant]) -> Plan:
        return Plan(self.left, len(grants))

    def converge(self, grants: Sequence[Grant]) -> Plan:
        self.asked.append(("converge", len(grants)))
        if self.fault is not None:
            raise self.fault
        return Plan((), len(grants), (("br-a", 1),))

    def changed(self) -> bool:
        return self.wrote

    def packets(self) -> dict[str, int]:
        return {"a": 1}

    def touched(self) -> bool:
        return self.wrote


@dataclass
class Host:
    choice: BackendChoice = "auto"
    installed: bool = False
    nft: bool = False
    legacy: bool = False
    iptables: Recorder = field(default_factory=Recorder)
    firewall4: Recorder = field(default_factory=Recorder)

    @property
    def backend(self) -> Backend:
        return Backend(
            self.iptables,
            lambda: self.firewall4,
            lambda: self.choice,
            has_table=lambda: self.firewall4.table,
            installed=lambda: self.installed,
            has_nft=lambda: self.nft,
            legacy_filters=lambda: self.legacy,
        )


@pytest.mark.parametrize(
    ("host", "served"),
    [
        (Host(), ("iptables",)),
        (Host(nft=True), ("iptables",)),
        (Host(nft=True, firewall4=Recorder(table=True)), ("firewall4 (nftables)",)),
        (Host(installed=True), ("firewall4 (nftables)",)),
        (Host(installed=True, legacy=True), ("iptables", "firewall4 (nftables)")),
        (Host("iptables", installed=True), ("iptables",)),
        (Host("nftables"), ("firewall4 (nftables)",)),
    ],
)
def test_what_filters_is_served(host: Host, served: tuple[str, ...]) -> None:
    assert host.backend.converge([GRANT]).served == served
    assert (("converge", 1) in host.iptables.asked) == ("iptables" in served)
    assert (("converge", 1) in host.firewall4.asked) == ("firewall4 (nftables)" in served)


def test_what_is_not_served_is_cleaned_of_what_is_ours() -> None:
    left = Host(installed=True, iptables=Recorder(left=(Change("-", "ipv4 filter", "x"),)))
    left.backend.converge([GRANT])
    assert left.iptables.asked == [("converge", 0)]
    clean = Host(installed=True)
    clean.backend.converge([GRANT])
    assert clean.iptables.asked == []  # python-iptables is not loaded for nothing
    forced = Host("iptables", nft=True, firewall4=Recorder(table=True))
    assert forced.backend.converge([GRANT]).notes == (LEFT_OUT,)
    assert forced.firewall4.asked == [("converge", 0)]


def test_a_firewall_that_is_swapped_counts_as_changed() -> None:
    host = Host(nft=True)
    backend = host.backend
    backend.converge([GRANT])
    assert not backend.changed()
    host.installed = True
    assert backend.changed()
    backend.converge([GRANT])
    assert not backend.changed()
    host.firewall4.wrote = True
    assert backend.changed()


def test_a_fault_of_one_leaves_the_other_its_turn() -> None:
    host = Host(installed=True, legacy=True, firewall4=Recorder(fault=TableRefused("no nft")))
    with pytest.raises(TableRefused) as raised:
        host.backend.converge([GRANT])
    assert host.iptables.asked == [("converge", 1)]
    assert isinstance(raised.value.done, Plan)
    host.iptables.fault = TableChanged("lost")
    with pytest.raises(TableChanged):
        host.backend.converge([GRANT])


def test_a_counter_is_that_of_iptables() -> None:
    assert Host().backend.packets() == {"a": 1}
    assert Host(installed=True).backend.packets() == {}


def test_a_firewall_that_comes_to_a_machine_without_nftables_is_chosen_by_the_next_pass() -> None:
    host = Host()
    backend = host.backend
    backend.converge([GRANT])
    host.installed = True
    assert not backend.changed()  # the look each second costs nothing for it
    assert backend.converge([GRANT]).served == ("firewall4 (nftables)",)
    assert not backend.changed()
    host.iptables.wrote = host.legacy = True
    assert backend.changed()


def test_the_content_is_asked_of_whatever_is_served() -> None:
    for host in (Host(), Host(installed=True), Host(installed=True, legacy=True)):
        backend = host.backend
        backend.converge([GRANT])
        assert not backend.touched()
        (host.firewall4 if host.installed else host.iptables).wrote = True
        assert backend.touched()
        host.legacy = not host.legacy
        assert backend.touched()
