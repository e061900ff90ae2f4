"""The status document: everything that `dmsfw status` shows, as values that survive a trip through a JSON file."""

# Annotations are values here, not texts: `codec` checks every field of a file against them.

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from dmsfw.decide.clockwork import COMPARE_S
from dmsfw.errors import UsageError
from dmsfw.model import Detour, Uplink
from dmsfw.report import codec

State = Literal["in sync", "idle", "degraded", "disabled", "stopped", "starting"]

FORMAT = 1
"""Number of the document's format; a file of another is not read."""

STALE_PASSES = 2
"""A file older than so many passes take without any event is the file of a daemon that hangs, or that waits."""

EXIT_IN_SYNC, EXIT_OTHERWISE, EXIT_STOPPED = 0, 1, 3
"""Exit codes of `dmsfw status`; 3 as LSB has it for a service that does not run."""


class UnreadableStatus(UsageError):
    """The status file is of another version, or not a status at all; the message says what to do."""


@dataclass(frozen=True, slots=True)
class NetworkStatus:
    """A selected network. `grants` are ids, the keys of the packet counters; `packets` None: not counted."""

    name: str
    device: str
    subnets: tuple[str, ...] = ()
    sentences: tuple[str, ...] = ()
    grants: tuple[str, ...] = ()
    packets: int | None = None


@dataclass(frozen=True, slots=True)
class IdlePolicy:
    """A policy that selects nothing, and what it looks for: `key=value` or `key` labels, name globs."""

    name: str
    labels: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UnselectedNetwork:
    """A bridge network that no policy selects, and the lines to paste to change that (none: unwritable name)."""

    name: str
    device: str
    subnets: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SkippedNetwork:
    """A network that a policy selects and that cannot be opened."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """One source. `age_s`: seconds since its last good reading, None before the first. `error`: why it fails now."""

    name: str
    age_s: float | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Pass:
    """The last pass. `at`: wall-clock time, ISO 8601. `changes`: rules written."""

    at: str
    duration_ms: float
    trigger: str
    changes: int = 0


@dataclass(frozen=True, slots=True)
class Status:
    """The whole document.

    `remedies`: lines to paste that mend a reason. `ahead`: rules of others that a packet meets before ours.
    `written_at`: epoch seconds. `firewalls`: what the rules are in.
    """

    version: str
    pid: int
    state: State
    reasons: tuple[str, ...] = ()
    remedies: tuple[str, ...] = ()
    uplinks: tuple[Uplink, ...] = ()
    missing_uplinks: tuple[str, ...] = ()
    networks: tuple[NetworkStatus, ...] = ()
    idle_policies: tuple[IdlePolicy, ...] = ()
    unselected: tuple[UnselectedNetwork, ...] = ()
    skipped: tuple[SkippedNetwork, ...] = ()
    ahead: tuple[str, ...] = ()
    detours: tuple[Detour, ...] = ()
    sources: tuple[SourceStatus, ...] = ()
    rules: int = 0
    passes: int = 0
    last_pass: Pass | None = None
    last_error: str = ""
    resync_s: int = 60
    firewalls: tuple[str, ...] = ()
    written_at: float = 0.0
    format: int = FORMAT


def as_seen(status: Status, *, running: bool, now_s: float) -> Status:
    """Return the status as a reader must take it, the ages of the sources up to `now_s` (epoch seconds).

    `running`: what the lock tells; of a daemon that has ended the file tells nothing that still
    holds. A file too old is that of a daemon that hangs.
    """
    if not running:
        why = "it is not running: start it with `/etc/init.d/dmsfw start`"
        return Status(version=status.version, pid=0, state="stopped", reasons=(why,), written_at=status.written_at)
    age_s = max(0.0, now_s - status.written_at)
    status = replace(status, sources=tuple(_older(source, age_s) for source in status.sources))
    due_s = min(status.resync_s, round(COMPARE_S))
    if age_s <= STALE_PASSES * due_s:
        return status
    stale = f"its last pass was {age_s:.0f} s ago, one is due every {due_s} s: see `logread -e dmsfw`"
    return replace(status, state="degraded", reasons=(stale, *status.reasons))


def with_packets(status: Status, packets: Mapping[str, int]) -> Status:
    """Fill in the kernel's packet counters, given by grant id. A network none of whose grants is counted stays None."""
    return replace(status, networks=tuple(_counted(network, packets) for network in status.networks))


def exit_code(status: Status) -> int:
    """0 in sync, 3 not running, 1 anything else that runs."""
    return {"in sync": EXIT_IN_SYNC, "stopped": EXIT_STOPPED}.get(status.state, EXIT_OTHERWISE)


def to_json(status: Status) -> str:
    """Write the document; keys are the fields of `Status`."""
    return codec.dumps(status)


def from_json(text: str) -> Status:
    """Read a document that this version wrote. Keys that are not known are passed over.

    Raises: UnreadableStatus for another format, or for anything that is no status.
    """
    try:
        found = codec.parse(text)
        if found.get("format") != FORMAT:
            raise UnreadableStatus("the status file is of another version: run `/etc/init.d/dmsfw restart`")
        return codec.build(Status, found)
    except codec.Malformed as error:
        raise UnreadableStatus(f"the status file is damaged ({error}): run `/etc/init.d/dmsfw restart`") from error


def _counted(network: NetworkStatus, packets: Mapping[str, int]) -> NetworkStatus:
    found = [packets[grant] for grant in network.grants if grant in packets]
    return replace(network, packets=sum(found)) if found else network


def _older(source: SourceStatus, by_s: float) -> SourceStatus:
    return source if source.age_s is None else replace(source, age_s=source.age_s + by_s)
