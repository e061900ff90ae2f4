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
    """Say what stops a packet: `firewall rule FORWARD #8 (!fw3 reject) refuses`."""
    does = "drops" if passage.verdict is Fate.DROPPED else "refuses"
    return f"firewall rule {passage.rule} {does}" if passage.rule else f"the router {does}"


def of_own(trial: Trial) -> tuple[str, ...]:
    """What is to be said of the rules for the router's own packets, where these keep the host from it, or may."""
    own = trial.own
    if own is None or own.verdict is Fate.PASSES:
        return ()
    return (f"the host is no witness: {refusal(own)} its own packets",) if own.stopped else own.notes


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
