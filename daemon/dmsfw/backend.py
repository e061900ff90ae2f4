"""Which firewall the rules go into: iptables, firewall4's table, or both where a packet must pass both.

1. Chosen by what filters here, and asked anew in every pass: a firewall may be swapped under a running daemon.
2. Where only firewall4 filters, iptables is neither written nor loaded; where there is none, nftables is not asked.
3. The one that is not chosen is left without rules of ours.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import NamedTuple, Protocol

from dmsfw.enforce import Iptables, legacy
from dmsfw.enforce.nftables import FIREWALL4
from dmsfw.errors import EnforceError, TableChanged, TableRefused
from dmsfw.firewall4.netlink import Question
from dmsfw.model import BackendChoice, Grant, Plan
from dmsfw.ports import WatchfulEnforcer

IPTABLES, NFTABLES = "iptables", "firewall4 (nftables)"

LEFT_OUT = (
    "firewall4 filters here, and option backend 'iptables' leaves it out: it rejects what dmsfw accepts; "
    "write option backend 'auto'"
)


class Enforcer(WatchfulEnforcer, Protocol):
    """One firewall."""

    def packets(self) -> dict[str, int]:
        """Packets passed, by grant. Raises: EnforceError."""


class Chosen(NamedTuple):
    """Which ones are served. `asked`: nftables may be asked at all, since there is a sign of it.

    `left_out`: firewall4's table is there, and is not to be served.
    """

    iptables: bool
    nftables: bool
    asked: bool
    left_out: bool = False

    @property
    def notes(self) -> tuple[str, ...]:
        """What does not go with this choice."""
        return (LEFT_OUT,) if self.left_out else ()

    @property
    def names(self) -> tuple[str, ...]:
        """For people."""
        return tuple(name for name, served in ((IPTABLES, self.iptables), (NFTABLES, self.nftables)) if served)


def has_signs() -> bool:
    """Tell whether firewall4 is installed here."""
    return _is_on_path("fw4") or any(path.exists() for path in FIREWALL4)


def _is_on_path(program: str) -> bool:
    """Asked in every pass: shutil.which takes four times as long."""
    return any(os.access(f"{folder}/{program}", os.X_OK) for folder in os.get_exec_path())


class Backend:
    """Enforces in whichever firewall filters.

    `choice`: the option `backend`, asked each time. `firewall4` gives always the same one; its modules are loaded by
    the first call. `has_table`: whether firewall4's table is there; it may raise TableRefused.
    """

    def __init__(
        self,
        iptables: Enforcer,
        firewall4: Callable[[], Enforcer],
        choice: Callable[[], BackendChoice] = lambda: "auto",
        *,
        has_table: Callable[[], bool] | None = None,
        installed: Callable[[], bool] = has_signs,
        has_nft: Callable[[], bool] = lambda: _is_on_path("nft"),
        legacy_filters: Callable[[], bool] = legacy.filters,
    ) -> None:
        self.iptables, self.firewall4, self.choice = iptables, firewall4, choice
        self.has_table = has_table or Question().has_table
        self.installed, self.has_nft, self.legacy_filters = installed, has_nft, legacy_filters
        self._last: Chosen | None = None

    @classmethod
    def of_this_host(
        cls,
        choice: Callable[[], BackendChoice] = lambda: "auto",
        slow: Callable[[float], None] = lambda _: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> Backend:
        """The firewalls of this machine. `slow` and `stop`: see XtablesLock; `stop` gives up a wait for nft, too."""
        return cls(Iptables.of_this_host(slow=slow, stop=stop), cache(partial(_firewall4, stop)), choice)

    def prepare(self) -> None:
        """Get ready, so that the first event need not wait."""
        chosen = self._choose()
        if chosen.iptables:
            self.iptables.prepare()
        if chosen.nftables:
            self.firewall4().prepare()

    def plan(self, grants: Sequence[Grant]) -> Plan:
        """What `converge` would change; nothing is written. Raises: EnforceError."""
        chosen = self._choose()
        return _merged(chosen, self._steps(chosen, grants, lambda enforcer: enforcer.plan))

    def converge(self, grants: Sequence[Grant]) -> Plan:
        """Bring every firewall that filters to the grants, and tell what had to change. Idempotent.

        Raises: as the enforcers do, after each of them had its turn.
        """
        chosen = self._last = self._choose()
        return _merged(chosen, self._steps(chosen, grants, lambda enforcer: enforcer.converge))

    def changed(self) -> bool:
        """Tell whether somebody wrote since the last `converge`, or another firewall filters now. Cheap.

        Where there was no sign of nftables, none is looked for: firewall4's lock wakes a pass, which looks.
        Raises: EnforceError.
        """
        if self._last is None:
            return True
        if not self._last.asked:
            return self.iptables.changed()
        chosen = self._choose(has_nft=True)
        if chosen != self._last:
            return True
        return (chosen.iptables and self.iptables.changed()) or (chosen.nftables and self.firewall4().changed())

    def touched(self) -> bool:
        """Tell whether anything is other than the last `converge` left it, by its content. Raises: EnforceError."""
        chosen = self._choose()
        if chosen != self._last:
            return True
        return (chosen.iptables and self.iptables.touched()) or (chosen.nftables and self.firewall4().touched())

    def packets(self) -> dict[str, int]:
        """Packets that owned rules have passed, by id, as far as they are counted. Raises: EnforceError."""
        return self.iptables.packets() if self._choose().iptables else {}

    def _choose(self, *, has_nft: bool = False) -> Chosen:
        """What filters now. `has_nft`: known to be there, and not looked for: that takes longer than all the rest."""
        choice, installed = self.choice(), self.installed()
        asked = installed or has_nft or self.has_nft()
        if choice == "nftables":
            return Chosen(iptables=False, nftables=True, asked=True)
        there = asked and self._has_table()
        if choice == "iptables":
            return Chosen(iptables=True, nftables=False, asked=asked, left_out=there)
        nftables = there or installed
        return Chosen(iptables=not nftables or self.legacy_filters(), nftables=nftables, asked=asked)

    def _has_table(self) -> bool:
        try:
            return self.has_table()
        except TableRefused:
            return False

    def _steps(
        self, chosen: Chosen, grants: Sequence[Grant], way: Callable[[Enforcer], Callable[[Sequence[Grant]], Plan]]
    ) -> Iterator[Plan | EnforceError]:
        """What each firewall did. One that is not chosen is cleaned, if there is anything of ours."""
        if chosen.nftables:
            yield _tried(way(self.firewall4()), grants)
        elif chosen.left_out:
            yield _tried(way(self.firewall4()), ())
        if chosen.iptables:
            yield _tried(way(self.iptables), grants)
        elif chosen.nftables and self._has_leftovers():
            yield _tried(way(self.iptables), ())

    def _has_leftovers(self) -> bool:
        """Looks without loading python-iptables."""
        try:
            return bool(self.iptables.plan(()))
        except EnforceError:
            return False


def _firewall4(stop: Callable[[], bool]) -> Enforcer:
    from dmsfw.firewall4.enforcer import Firewall4  # noqa: PLC0415 - 1 MB that a router with firewall3 need not load
    from dmsfw.firewall4.program import Nft  # noqa: PLC0415 - the same

    return Firewall4(Nft(stop))


def _tried(what: Callable[[Sequence[Grant]], Plan], grants: Sequence[Grant]) -> Plan | EnforceError:
    try:
        return what(grants)
    except EnforceError as error:
        return error


def _merged(chosen: Chosen, steps: Iterator[Plan | EnforceError]) -> Plan:
    """One plan of all. Raises: the error that decides what is to be done: a lost race, else the first one."""
    found = list(steps)
    errors = [one for one in found if isinstance(one, EnforceError)]
    done = [one for one in found if isinstance(one, Plan)]
    done += [one.done for one in errors if isinstance(one, TableRefused) and isinstance(one.done, Plan)]
    plan = replace(
        _sum(done), served=chosen.names, notes=(*chosen.notes, *(note for one in done for note in one.notes))
    )
    if not errors:
        return plan
    first = next((error for error in errors if isinstance(error, TableChanged)), errors[0])
    if isinstance(first, TableRefused) and done:
        first.done = plan
    raise first


def _sum(plans: Sequence[Plan]) -> Plan:
    bridges: dict[str, int] = {}
    for plan in plans:
        for bridge, count in plan.rules_by_bridge:
            bridges[bridge] = bridges.get(bridge, 0) + count
    return Plan(
        changes=tuple(change for plan in plans for change in plan.changes),
        rules=sum(plan.rules for plan in plans),
        rules_by_bridge=tuple(sorted(bridges.items())),
        ahead=tuple(rule for plan in plans for rule in plan.ahead),
    )
