"""What was found becomes a sentence, a remedy and an exit code. Pure.

Exit code 0: it connects. 1: it does not, and why is known. 2: it is not known.
"""

from __future__ import annotations

import shlex
from dataclasses import replace

from dmsfw.doctor import amend, causes, remedies
from dmsfw.doctor.containers import NO_BRIDGE
from dmsfw.doctor.findings import Findings, Trial
from dmsfw.doctor.meanings import SAYS
from dmsfw.doctor.outcome import (
    CONNECTS,
    KNOWN,
    NO_ANSWER_DUE,
    NOT_KNOWN_OF_OWN,
    NOT_OURS,
    UNKNOWN,
    Verdict,
    beyond,
    keeps_host,
    of_own,
    refusal,
    with_remedy,
)
from dmsfw.doctor.remedies import Means
from dmsfw.doctor.resolv import EMBEDDED
from dmsfw.doctor.target import shown
from dmsfw.doctor.ways import Passage
from dmsfw.report.text import clean, is_clean

NOTHING_TO_TRY = "nothing could be tried: no address of the target is of a family that the host has"

NO_RULES_OF_OURS = "dmsfw opens only what is forwarded: whoever made this rule for the router's own packets knows why"


def judge(found: Findings, means: Means) -> Verdict:
    """The verdict over everything that was found."""
    reached = _of_network(found, means)
    return _while_paused(found, reached) if found.container.is_paused else reached


def _while_paused(found: Findings, reached: Verdict) -> Verdict:
    """The attempts were ours, from the container's network: the container itself makes none."""
    container = found.container
    line = f"docker unpause {shlex.quote(container.name if is_clean(container.name) else container.id)}"
    paused = f"{clean(container.name)} is paused, so nothing in it connects (`{line}`)"
    if reached.exit_code == CONNECTS:
        sentence = f"{paused}; from its network {found.target.proto} {found.target} is reached"
        return replace(reached, exit_code=KNOWN, sentence=sentence, lines=(line,))
    return replace(reached, sentence=f"{paused}; besides, {reached.sentence}", lines=(line, *reached.lines))


def _of_network(found: Findings, means: Means) -> Verdict:
    """The verdict over what the container's network lets through, whether the container runs or not."""
    if found.container.mode in NO_BRIDGE:
        return _without_bridge(found)
    good = [trial for trial in found.trials if trial.inside is not None and trial.inside.connects]
    bad = [trial for trial in found.trials if trial.inside is not None and not trial.inside.connects]
    names = _of_names(found, means)
    if names is not None:
        return names
    if good:
        return _connects(found, good, bad)
    if not bad:
        return Verdict(UNKNOWN, NOTHING_TO_TRY)
    most = min(map(_tells_less, bad))
    verdicts = [causes.of_trial(found, trial, means) for trial in bad if _tells_less(trial) == most]
    return min(verdicts, key=lambda one: one.exit_code)


def _tells_less(trial: Trial) -> tuple[bool, bool]:
    """Where one address is sent to, that another has no route is no answer; nor is what the host does not get to.

    A name with an IPv6 address has such a one wherever there is no IPv6.
    """
    nothing_sent = trial.inside is not None and trial.inside.outcome == "no route"
    is_kept = trial.host_is_kept and not trial.has_no_six
    return nothing_sent, trial.host is None or not (trial.host.connects or is_kept)


def _without_bridge(found: Findings) -> Verdict:
    """The host's own network, or none at all."""
    who = f"{clean(found.container.name)} {NO_BRIDGE[found.container.mode]}"
    if found.container.mode == "none":
        return Verdict(KNOWN, f"{who}: it connects to nothing", advice=("give it a network",))
    probes = [trial.host for trial in found.trials if trial.host is not None]
    if any(probe.connects for probe in probes):
        return Verdict(CONNECTS, f"{who}, and the host connects: no rule for containers is met")
    if not probes:
        return _untried(found, who)
    trials = [trial for trial in found.trials if not trial.has_no_six] or found.trials
    probes = [trial.host for trial in trials if trial.host is not None]
    kept = next(filter(None, (keeps_host(trial, "the host's") for trial in trials)), "")
    if kept:
        return Verdict(KNOWN, f"{who}, and {kept}", advice=(NO_RULES_OF_OURS,))
    doubts = tuple(dict.fromkeys(text for trial in trials for text in of_own(trial)))
    code, why = (UNKNOWN, NOT_KNOWN_OF_OWN) if doubts else (KNOWN, NOT_OURS)
    if found.target.proto == "udp" and all(probe.outcome == "timeout" for probe in probes) and not doubts:
        code, why = UNKNOWN, NO_ANSWER_DUE
    return Verdict(code, f"{who}, and the host does not connect ({SAYS[probes[0].outcome]}): {why}", advice=doubts)


def _untried(found: Findings, who: str) -> Verdict:
    if found.here is None or found.here.addresses:
        return Verdict(UNKNOWN, f"{who}, and {NOTHING_TO_TRY}")
    return Verdict(KNOWN, f"{who}, and {_unresolved(found)}")


def _unresolved(found: Findings, either: str = "") -> str:
    failure = clean(found.here.failure) if found.here else ""
    why = "the name is wrong, or the router's own name resolution fails"
    return f"{clean(found.target.host)} does not resolve on the host {either}({failure}): {why}"


def _connects(found: Findings, good: list[Trial], bad: list[Trial]) -> Verdict:
    sentence = f"{clean(found.container.name)} connects to {found.target.proto} {found.target}"
    failing = [trial for trial in bad if trial.inside and trial.inside.outcome != "no route"]
    advice = [
        f"by {shown(trial.address)} it does not ({SAYS[trial.inside.outcome]}): a program that tries this first waits"
        for trial in failing
        if trial.inside
    ]
    taken = next((trial.ways.there for trial in good if trial.ways and trial.ways.there.taken), None)
    if taken is not None:
        does, answers = ("may take", "it answers then") if taken.past_proxy else ("takes", "it answers")
        by = f"(rule {taken.taken}): {answers}, not the server"
        advice.append(f"a program on the router {does} the connection over {by}")
    return Verdict(CONNECTS, sentence, advice=tuple(advice))


def _of_names(found: Findings, means: Means) -> Verdict | None:
    """A verdict where the name is the fault; None where it is not."""
    here, there, name = found.here, found.there, clean(found.target.host)
    if here is None or there is None or there.addresses:
        return None
    if not here.addresses:
        return Verdict(KNOWN, _unresolved(found, "either "))
    stopped = next((one for one in found.questions if one.ways.there.stopped), None)
    if stopped is not None:
        return _of_question(found, stopped.server, stopped.ways.there, means)
    returned = next((one for one in found.questions if one.ways.back and one.ways.back.stopped), None)
    if returned is not None and returned.ways.back is not None:
        said = refusal(returned.ways.back)
        return Verdict(KNOWN, f"{name} does not resolve in the container: {said} the answers of {returned.server}")
    if there.failure in {"no such name", "no address"}:
        who = ", ".join(dict.fromkeys(one.server for one in there.asked))
        return Verdict(KNOWN, f"{name} does not resolve in the container: {who} says that there is {there.failure}")
    who = ", ".join(dict.fromkeys(one.server for one in there.asked)) or "none"
    sentence = f"{name} does not resolve in the container ({there.failure}; name server {who}): why is not known"
    return Verdict(UNKNOWN, sentence, advice=_advice_of_resolver(found))


def _of_question(found: Findings, server: str, passage: Passage, means: Means) -> Verdict:
    """Questions to a name server meet a rule: on the way out, or (`local`) at the router's own door."""
    name, where = clean(found.target.host), "the router itself, " if passage.local else ""
    sentence = f"{name} does not resolve in the container: {refusal(passage)} its questions to {where}{server} (udp 53)"
    trial = next((one for one in found.trials if one.leaving and one.leaving.network), None)
    network = trial.leaving.network if trial and trial.leaving else None
    if passage.local or network is None or trial is None:
        advice = (
            "dmsfw opens only what is forwarded: let the firewall accept udp and tcp 53 from the container's bridge"
        )
        return Verdict(KNOWN, sentence, advice=(f"{advice}, or have the container ask another name server",))
    policies = trial.policies
    if policies and policies.allowing:
        remedy = amend.to_add_dns(policies, network, passage, means)
    else:
        remedy = remedies.to_open(network, found.target.proto, found.target.port, means, dns=True)
    return with_remedy(KNOWN, sentence, remedy, *beyond(passage))


def _advice_of_resolver(found: Findings) -> tuple[str, ...]:
    asked = found.there.asked if found.there else ()
    if any(way == "dockerd" for one in asked for _, way in one.ways) and any(one.server == EMBEDDED for one in asked):
        return ("Docker's resolver asks from the host, and no rule is met: look at logread -e dockerd",)
    return ()
