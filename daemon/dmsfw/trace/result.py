"""What came of a packet: the rules that it met, and how it ends."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import Enum

from dmsfw.trace.packet import Packet


class Verdict(str, Enum):
    """How a packet ends."""

    PASSES = "passes"
    DROPPED = "dropped"
    REJECTED = "rejected"
    UNREACHABLE = "unreachable"
    """The routing decision has no way for it, or the host does not forward."""
    UNCERTAIN = "uncertain"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a rule stands. `number` counts from 1, as iptables does; 0 is the policy of a built-in or base chain.

    `table` of nftables: its family and name (`inet fw4`).
    """

    table: str
    chain: str
    number: int
    variant: str = ""
    """legacy or nft, where the host has rules of both."""

    def __str__(self) -> str:
        what = f"#{self.number}" if self.number else "policy"
        return f"{self.table} {self.chain} {what}"


@dataclass(frozen=True, slots=True)
class Step:
    """A rule that the packet met, or a decision on its way.

    `hook` is the built-in chain that led here, `rule` the rule as iptables-save or nft prints it, without its counters;
    `does` says what it does to the packet; `sure` is False where that hangs on something not known (`why`).
    `packets` None: it does not count. `element`: of a set of nftables, the element that the packet is.
    `depth` counts the jumps that led into its chain. A step without `place` is a decision of the kernel's (routing).
    """

    hook: str
    place: Place | None
    rule: str
    comment: str
    packets: int | None
    does: str
    sure: bool = True
    why: str = ""
    depth: int = 0
    element: str = ""


@dataclass(frozen=True, slots=True)
class End:
    """One way for it to end. `trail`: the step that decides, and those that led to it, outermost first.

    `packet` is what leaves, or what was stopped; `local`: the host itself takes it. `sure`: it ends no other way.
    """

    verdict: Verdict
    trail: tuple[Step, ...]
    packet: Packet
    local: bool = False
    sure: bool = True

    @property
    def decides(self) -> Step | None:
        """The step that decides."""
        return self.trail[-1] if self.trail else None


@dataclass(frozen=True, slots=True)
class Way:
    """The whole way of a packet: every step in order, and every end that it may come to (one, where all is known)."""

    packet: Packet
    steps: tuple[Step, ...]
    ends: tuple[End, ...]
    notes: tuple[str, ...] = field(default=())
    """What had to be assumed, and what else decides (nftables)."""
    besides: tuple[tuple[Step, ...], ...] = field(default=())
    """Trails to what lets it pass in other tables than that of its end's: a packet needs the word of each."""

    @property
    def verdict(self) -> Verdict:
        """The verdict of all its ends, or UNCERTAIN where they differ."""
        verdicts = {end.verdict for end in self.ends}
        return verdicts.pop() if len(verdicts) == 1 else Verdict.UNCERTAIN

    @property
    def end(self) -> End:
        """The likeliest end as far as shares go; the only one, where all is known."""
        return self.ends[0]

    @property
    def stopped(self) -> bool:
        """It does not pass, whichever of its ends it comes to."""
        return all(end.verdict not in {Verdict.PASSES, Verdict.UNCERTAIN} for end in self.ends)

    @property
    def exit_code(self) -> int:
        """0 it passes, 1 it does not, 2 that is not known."""
        if self.verdict is Verdict.PASSES:
            return 0
        return 1 if self.stopped else 2

    def as_dict(self) -> dict[str, object]:
        """For programs: JSON's own types only."""
        return {
            "verdict": self.verdict.value,
            "packet": _plain(self.packet),
            "steps": [_step(step) for step in self.steps],
            "ends": [_end(end) for end in self.ends],
            "notes": list(self.notes),
        }


def _end(end: End) -> dict[str, object]:
    return {
        "verdict": end.verdict.value,
        "sure": end.sure,
        "local": end.local,
        "decides": _step(end.decides) if end.decides else None,
        "trail": [_step(step) for step in end.trail],
        "packet": _plain(end.packet),
    }


def _step(step: Step) -> dict[str, object]:
    return asdict(step)


def _plain(packet: Packet) -> dict[str, object]:
    """The fields that a reader asks about."""
    return {
        "in": packet.in_device,
        "out": packet.out_device,
        "src": str(packet.src),
        "dst": str(packet.dst),
        "proto": packet.proto,
        "sport": packet.sport,
        "dport": packet.dport,
        "ctstate": packet.ctstate,
        "mark": packet.mark,
        "not_known": sorted(packet.unknown),
    }
