"""What a rule stops, and what leaves untranslated; and what dmsfw is configured to do about it. Pure."""

from __future__ import annotations

from dmsfw.decide.grants import obstacle, selects
from dmsfw.doctor import amend, remedies
from dmsfw.doctor.findings import Findings, Trial
from dmsfw.doctor.outcome import KNOWN, Verdict, beyond, network_of, refusal, with_remedy
from dmsfw.doctor.remedies import Means, Remedy
from dmsfw.doctor.target import shown
from dmsfw.doctor.ways import needs_nat
from dmsfw.model import Network
from dmsfw.report.text import clean
from dmsfw.trace import Verdict as Fate


def stopped(found: Findings, trial: Trial, means: Means) -> Verdict | None:
    """A rule, or the router's routing, ends the way out."""
    if trial.ways is None or not trial.ways.there.stopped:
        return None
    there, network = trial.ways.there, network_of(trial)
    if there.verdict is Fate.UNREACHABLE:
        said = f"the router has no route for the container's packets to {shown(trial.address)}"
        own_pass = ", where its own pass" if trial.host is not None and trial.host.connects else ""
        return Verdict(KNOWN, f"{said}: they stop at its routing{own_pass}")
    if there.local or network is None:
        taken = f", to which rule {there.taken} redirected it" if there.taken else ""
        sentence = f"{refusal(there)} it at the router's own door{taken}: dmsfw opens only what is forwarded"
        return Verdict(KNOWN, sentence)
    why, remedy = _why_stopped(found, trial, network, means)
    return with_remedy(KNOWN, f"{refusal(there)} it: {why}", remedy, *(beyond(there) if remedy.lines else ()))


def _why_stopped(found: Findings, trial: Trial, network: Network, means: Means) -> tuple[str, Remedy]:
    """What dmsfw has to say about a packet that a rule stops, and what would help."""
    proto, port = found.target.proto, trial.port(found.target)
    name, policies = clean(network.name), trial.policies
    what = f"{proto} {port}"
    if why := obstacle(network):
        return f"network {name} cannot be opened ({why})", Remedy()
    if policies is None:
        remedy = remedies.to_open(network, proto, port, means)
        return f"no policy of dmsfw is known to allow {what} for network {name}", remedy
    device = trial.ways.there.device if trial.ways else ""
    if policies.allowing:
        beyond_us = trial.ways is not None and trial.ways.there.beyond
        return _in_spite_of(policies.allowing[0], policies.installed, means, beyond_us=beyond_us)
    foreign = device if policies.is_foreign(device) else ""
    remedy = remedies.to_open(network, proto, port, means, device=foreign)
    if policies.elsewhere:
        return f"dmsfw allows {what} by {', '.join(policies.elsewhere)}, and the route leads by {device}", remedy
    if policies.selecting:
        named = ", ".join(map(clean, policies.selecting))
        return f"policy {named} of dmsfw selects network {name} and does not allow {what}", remedy
    return f"no policy of dmsfw selects network {name}{_but_another(found, network, means)}", remedy


def _but_another(found: Findings, network: Network, means: Means) -> str:
    """A policy may select another of the container's networks, by which it does not leave."""
    ids = {endpoint.network_id for endpoint in found.container.endpoints} - {network.id}
    others = [
        f"policy {clean(policy.name)} selects network {clean(other.name)}"
        for other in means.networks
        if other.id in ids
        for policy in means.settings.active
        if selects(policy, other)
    ]
    return f", by which the container leaves ({others[0]}, by which it does not)" if others else ""


def _in_spite_of(
    policy: str,
    installed: bool | None,  # noqa: FBT001 - as it is known
    means: Means,
    *,
    beyond_us: bool = False,
) -> tuple[str, Remedy]:
    if installed is False:
        why = f"policy {clean(policy)} of dmsfw allows it, and its rules are not in the kernel"
        return why, Remedy(means.start, "" if means.start else "dmsfw runs: look at dmsfw status")
    how = "is in a chain of its own, whose word counts besides" if beyond_us else "goes first and is not dmsfw's"
    why = f"policy {clean(policy)} of dmsfw allows it, but this rule {how}"
    return why, Remedy(why_not="whoever made that rule has to remove it, or to make an exception")


def untranslated(found: Findings, trial: Trial, means: Means) -> Verdict | None:
    """It leaves with an address that nobody outside can answer to."""
    network, ways, leaving = network_of(trial), trial.ways, trial.leaving
    if network is None or ways is None or leaving is None or leaving.source is None or trial.inside is None:
        return None
    kept = ways.there.verdict is Fate.PASSES and not ways.there.translated and not ways.there.local
    if not kept or not needs_nat(leaving.source, trial.address) or trial.inside.outcome != "timeout":
        return None
    sentence = (
        f"the packet passes, and leaves by {ways.there.device} with the container's own address {leaving.source}: "
        "no rule translates it (masquerading), so no answer comes back"
    )
    policies, proto, port = trial.policies, found.target.proto, trial.port(found.target)
    if policies and policies.allowing and policies.installed is False:
        why, remedy = _in_spite_of(policies.allowing[0], policies.installed, means)
        return with_remedy(KNOWN, f"{sentence}; {why}", remedy)
    if policies and policies.allowing and policies.untranslated:
        remedy = amend.to_translate(policies, network, proto, port, means)
        return with_remedy(KNOWN, sentence, remedy)
    return with_remedy(KNOWN, sentence, remedies.to_open(network, proto, port, means))
