"""How an investigation ends, and words that several ends share. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dmsfw.doctor.findings import Trial
from dmsfw.doctor.remedies import Remedy
from dmsfw.doctor.ways import Passage
from dmsfw.model import Network
from dmsfw.trace import Verdict as Fate

CONNECTS, KNOWN, UNKNOWN = 0, 1, 2

NOT_OURS: Final = "not the router's firewall, but its line, the provider or the server"


NOT_KNOWN_OF_OWN: Final = "whether a rule for the router's own packets stops these is not known"


NO_ANSWER_DUE: Final = "the datagram passes the tables, and nobody answers: many services answer no stranger"


BEYOND: Final = (
    "a policy alone does not open it: the rule is in a chain of its own, whose word counts besides; whoever made it "
    "has to remove it, or to make an exception"
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How it ends. `advice`: what else to know or to do, sentences; `lines`: to paste."""

    exit_code: int
    sentence: str
    lines: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """For programs."""
        connects = {CONNECTS: True, KNOWN: False}.get(self.exit_code)
        return {
            "connects": connects,
            "exit_code": self.exit_code,
            "verdict": self.sentence,
            "remedy": list(self.lines),
            "advice": list(self.advice),
        }


def refusal(passage: Passage) -> str:
    """Say what stops a packet: `firewall rule FORWARD #8 (!fw3 reject) refuses`; each where one of two does."""
    said = [_stops(passage.rule, passage.verdict)]
    said += [_stops(rule, verdict) for rule, verdict in passage.others]
    return " or ".join(said)


def _stops(rule: str, verdict: Fate) -> str:
    does = "drops" if verdict is Fate.DROPPED else "refuses"
    return f"firewall rule {rule} {does}" if rule else f"the router {does}"


def of_own(trial: Trial) -> tuple[str, ...]:
    """What is to be said of the rules for the router's own packets, where these keep the host from it, or may."""
    own = trial.own
    doubts = own.notes if own is not None and own.verdict is Fate.UNCERTAIN else ()
    kept = keeps_host(trial, "its own")
    return (f"the host is no witness: {kept}", *doubts) if kept else doubts


def keeps_host(trial: Trial, whose: str) -> str:
    """Say what of the router's own keeps the host from it; empty where nothing is known to. `whose`: its packets."""
    own = trial.own
    if own is not None and own.stopped:
        return f"{refusal(own)} {'the answers to ' if own.answers else ''}{whose} packets"
    if own is not None and own.diverted:
        return _diverts(own, whose)
    if not trial.host_is_forbidden:
        return ""
    perhaps = ", as OpenWrt has one where there is no IPv6" if trial.has_no_six else ""
    return f"a rule or a route of the router forbids {whose} packets{perhaps}"


def _diverts(own: Passage, whose: str) -> str:
    if not own.sent_elsewhere:
        return f"rule {own.taken} gives {whose} packets to a program on the router"
    who = f"rule {own.taken}, which leads to a program on the router," if own.taken else "DNAT"
    return f"{who} sends {whose} packets to {own.destination}"


def beyond(passage: Passage) -> tuple[str, ...]:
    """What has to be said besides where lines to paste are not enough."""
    return (BEYOND,) if passage.beyond else ()


def with_remedy(exit_code: int, sentence: str, remedy: Remedy, *advice: str) -> Verdict:
    """A verdict with its lines to paste and what they do, or with why there are none."""
    said = (*((remedy.why_not,) if remedy.why_not else ()), *remedy.says)
    return Verdict(exit_code, sentence, remedy.lines, (*advice, *said))


def network_of(trial: Trial) -> Network | None:
    """The network that the container leaves by."""
    return trial.leaving.network if trial.leaving else None
