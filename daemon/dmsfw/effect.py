"""Whether an edit of the configuration is in force: by the daemon's word, and by what the tables do to a packet."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from dmsfw import instance
from dmsfw.bulletin import STATUS_NAME
from dmsfw.decide.grants import grants
from dmsfw.doctor.everyone import State, judged, ports_to_try
from dmsfw.edit.ports import EVERY, joined, without
from dmsfw.errors import DmsfwError, ObserveError, UsageError
from dmsfw.model import Grant, Settings, Snapshot
from dmsfw.observe.world import World
from dmsfw.report import files
from dmsfw.report import status as statuses
from dmsfw.report.text import clean
from dmsfw.trace import Host

WAIT_S = 10.0
"""How long the daemon may take. A pass takes milliseconds; one that was refused is tried again within 10 s."""

STEP_S = 0.05
"""How often its status is read meanwhile."""

Served = dict[str, set[str]]
"""The ids of the grants on each bridge of one name."""


class Effect(NamedTuple):
    """What came of it. `running`: there is a daemon. `taken`: it does what was written.

    `before` and `due` are the grants of the network then and now, as this process counts them. `reasons` say why the
    daemon is not in sync, or why none of this could be found out.
    """

    running: bool
    taken: bool = False
    before: tuple[Grant, ...] = ()
    due: tuple[Grant, ...] = ()
    reasons: tuple[str, ...] = ()

    @property
    def gone(self) -> tuple[Grant, ...]:
        """What was granted and is not any more, port range by port range."""
        return tuple(_without(self.before, self.due))

    @property
    def new(self) -> tuple[Grant, ...]:
        """What is granted now and was not before."""
        return tuple(_without(self.due, self.before))


class Judgement(NamedTuple):
    """What the tables do to a packet that a grant is, or was, for."""

    what: str
    uplink: str
    state: State
    why: str


def effect(run_dir: Path, before: Settings, after: Settings, name: str, within_s: float = WAIT_S) -> Effect:
    """Wait until a running daemon serves the network called `name` as `after` says. Raises: UsageError."""
    running = instance.is_running(run_dir)
    try:
        snapshot = World.read_once(after) if after.enabled else Snapshot(after)
    except ObserveError as error:
        return Effect(running, reasons=(str(error),))
    due, was = _of(snapshot, name), _of(replace(snapshot, settings=before), name)
    if not running:
        return Effect(running, before=was, due=due)
    ends_at = time.monotonic() + within_s
    while True:
        served, reasons = _served(run_dir / STATUS_NAME, clean(name))
        taken = served == _by_bridge(due)
        if taken or time.monotonic() >= ends_at:
            return Effect(running, taken, was, due, reasons)
        time.sleep(STEP_S)


def judgements(asked: Sequence[Grant], host: Host) -> Iterator[Judgement]:
    """Follow a packet to both ends of each range, for every subnet and uplink."""
    seen: dict[Judgement, None] = {}
    for grant in asked:
        for port in ports_to_try(grant):
            text = grant.proto if port is None else f"{grant.proto} {port}"
            place = "" if grant.destination is None else f" at {grant.destination}"
            seen[Judgement(f"{text}{place}", grant.uplink, *_judged(grant, port, host))] = None
    yield from seen


def _judged(grant: Grant, port: int | None, host: Host) -> tuple[State, str]:
    try:
        return judged(grant, port, host)
    except DmsfwError as error:
        return "not known", str(error)


def _of(snapshot: Snapshot, name: str) -> tuple[Grant, ...]:
    return tuple(grant for grant in grants(snapshot) if grant.network == name)


def _without(these: Sequence[Grant], others: Sequence[Grant]) -> Iterator[Grant]:
    """What `these` allow and `others` do not: each grant with the ports that are left of it."""
    for grant in these:
        alike = [one for one in others if replace(one, ports=(), whys=()) == replace(grant, ports=(), whys=())]
        if not alike:
            yield grant
        elif left := without(grant.ports or EVERY, joined(one.ports or EVERY for one in alike)):
            yield replace(grant, ports=left)


def _by_bridge(due: Sequence[Grant]) -> Served:
    ids: Served = defaultdict(set)
    for grant in due:
        ids[grant.bridge].add(grant.id)
    return ids


def _served(path: Path, name: str) -> tuple[Served | None, tuple[str, ...]]:
    """What the status file has of a network; None while it cannot be read."""
    try:
        status = statuses.from_json(files.read(path))
    except (OSError, UsageError) as error:
        return None, (str(error),)
    mine = (network for network in status.networks if network.name == name and network.grants)
    return {network.device: set(network.grants) for network in mine}, status.reasons
