"""What each outcome says about the place of the fault. Pure."""

from __future__ import annotations

from dmsfw.doctor.findings import Trial
from dmsfw.doctor.hello import first_word
from dmsfw.doctor.probe import Outcome, Probe
from dmsfw.report.text import clean

SAYS: dict[Outcome, str] = {
    "connects": "connects",
    "refused": "refused",
    "reset": "connected, then reset",
    "closed": "connected, then closed at once",
    "silent": "connected, then silence",
    "timeout": "no answer",
    "unreachable": "unreachable",
    "prohibited": "prohibited",
    "no route": "no route",
    "denied": "not allowed to send",
    "failed": "failed",
}

FROM_INSIDE: dict[Outcome, str] = {
    "refused": "somebody says no at once: on the host it connects, so it is no closed port, but a rule that rejects",
    "reset": "the connection is cut behind the handshake: a proxy or a filter on the way, or the server",
    "closed": "whoever took the connection ended it: a proxy on the way, or the server",
    "silent": "small packets pass and the first large ones do not, or the server answers nobody from there",
    "timeout": "it is dropped on its way out, or the answer on its way back: a rule that drops, or a missing NAT",
    "unreachable": "a router on the way has no way further, or a rule that rejects says so",
    "prohibited": "a rule on the way rejects it, and says that it does",
    "no route": "the container itself knows no way there: nothing was sent",
    "denied": "a rule in the container's own network, a VPN's say, forbids it: nothing was sent",
    "failed": "nothing was learned about the place of the fault",
}
"""Where the host connects and the container does not."""


NO_WITNESS = "a rule or a route for the router's own packets keeps the host from it: that says nothing of the container"


def line(probe: Probe) -> str:
    """Say in one line what came of an attempt."""
    took = f" in {probe.ms:g} ms" if probe.outcome in {"connects", "refused"} else f" ({probe.ms / 1000:.1f} s)"
    took = "" if probe.outcome in {"no route", "denied"} else took
    said = f"{SAYS[probe.outcome]}{took}"
    if probe.heard:
        said += f"; it says: {clean(probe.heard)}"
    if probe.detail:
        said += f" ({clean(probe.detail)})"
    return said + _small(probe)


def _small(probe: Probe) -> str:
    if probe.outcome != "silent":
        return ""
    waited = "the TLS hello" if first_word(probe.port) == "tls" else "the greeting"
    again = "comes when asked for in small packets" if probe.small else "does not come in small packets either"
    return f": {waited} {again}"


def meaning(trial: Trial) -> str:
    """What both attempts together say about the place of the fault; nothing where one is missing."""
    if trial.host is None or trial.inside is None:
        return ""
    if trial.inside.connects:
        return "" if trial.host.connects else "the container gets where the host itself does not"
    if trial.address.is_loopback or trial.address.is_unspecified:
        return "the container means itself by that, and the host itself: these are two places"
    if trial.inside.outcome == "no route" and trial.address.version == 6:  # noqa: PLR2004 - the IP version
        return "the container has no IPv6: nothing was sent"
    if not trial.host.connects:
        return (
            NO_WITNESS
            if trial.host_is_kept
            else "the host does not get there either: no rule for containers is to blame"
        )
    return FROM_INSIDE[trial.inside.outcome]
