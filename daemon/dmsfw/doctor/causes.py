"""Why one address is not reached: the checks in the order in which a packet meets what they check. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from dmsfw.doctor import refusals
from dmsfw.doctor.findings import Findings, Trial
from dmsfw.doctor.meanings import SAYS
from dmsfw.doctor.outcome import (
    KNOWN,
    NO_ANSWER_DUE,
    NOT_KNOWN_OF_OWN,
    NOT_OURS,
    UNKNOWN,
    Verdict,
    network_of,
    of_own,
    refusal,
)
from dmsfw.doctor.remedies import Means
from dmsfw.doctor.target import shown
from dmsfw.report.text import clean
from dmsfw.trace import Verdict as Fate

PAST_US = (
    "DNAT sends it back into its own bridge, to {there.destination}, with its own address {there.source}: the answer "
    "goes past the router, untranslated, and fits no connection"
)


def of_trial(found: Findings, trial: Trial, means: Means) -> Verdict:
    """The verdict for an address that the container does not get to."""
    checks: tuple[Callable[[Findings, Trial, Means], Verdict | None], ...] = (
        _is_itself, _host_fails, _internal, _no_route, _left_docker, _bridge_is_down, _not_forwarded, refusals.stopped,
        _taken_over, _answered_past_us, refusals.untranslated, _answer_stopped, _black_hole, _other_firewall,
        _uncertain,
    )  # fmt: skip
    verdicts = (check(found, trial, means) for check in checks)
    verdict = next((one for one in verdicts if one is not None), None) or _unknown(found, trial)
    return replace(verdict, advice=(*verdict.advice, *of_own(trial)))


def _is_itself(found: Findings, trial: Trial, _: Means) -> Verdict | None:
    """Loopback never leaves the container: whatever listens there on the host is another machine's."""
    if not (trial.address.is_loopback or trial.address.is_unspecified) or trial.inside is None:
        return None
    where = f"{shown(trial.address)}:{found.target.port}"
    sentence = f"{where} is the container itself, seen from inside it, and there it does not connect"
    advice = "a program of the router is reached at the gateway of the container's network, a container by its name"
    return Verdict(KNOWN, f"{sentence} ({SAYS[trial.inside.outcome]})", advice=(advice,))


def _host_fails(found: Findings, trial: Trial, _: Means) -> Verdict | None:
    if trial.host is None or trial.host.connects or trial.host_is_kept:
        return None
    where = f"{shown(trial.address)}:{found.target.port}"
    is_sure = trial.own is None or trial.own.verdict is Fate.PASSES
    why = NOT_OURS if is_sure else NOT_KNOWN_OF_OWN
    sentence = f"the host itself cannot connect to {where} ({SAYS[trial.host.outcome]}): {why}"
    if found.target.proto == "udp" and trial.host.outcome == "timeout":
        return None  # nobody has to answer a datagram
    stopped = trial.ways is not None and trial.ways.there.stopped
    besides = f"besides, {refusal(trial.ways.there)} the container's packets" if trial.ways and stopped else ""
    return Verdict(KNOWN if is_sure else UNKNOWN, sentence, advice=(besides,) if besides else ())


def _internal(found: Findings, trial: Trial, means: Means) -> Verdict | None:
    """Newer Engines give the container no default route there, older ones do and drop what takes it."""
    network, ids = network_of(trial), {endpoint.network_id for endpoint in found.container.endpoints}
    mine = [network] if network else [one for one in means.networks if one.id in ids]
    if not mine or not all(one.internal for one in mine):
        return None
    names = ", ".join(clean(one.name) for one in mine)
    sentence = f"network {names} is internal: Docker promises that it has no way out"
    return Verdict(KNOWN, sentence, advice=("connect the container to another network besides",))


def _no_route(found: Findings, trial: Trial, means: Means) -> Verdict | None:
    """Faults within the container: it sends nothing."""
    if trial.inside is None or trial.inside.outcome not in {"no route", "denied"}:
        return None
    if trial.inside.outcome == "denied":
        return Verdict(KNOWN, "a rule or a route in the container's own network forbids it: a VPN's in it, say")
    ids = {endpoint.network_id for endpoint in found.container.endpoints}
    mine = [network for network in means.networks if network.id in ids]
    names = ", ".join(clean(network.name) for network in mine) or "none"
    sentence = f"the container has no route to {shown(trial.address)}"
    return Verdict(KNOWN, f"{sentence}: its networks ({names}) give it no way out by IPv{trial.address.version}")


def _left_docker(_: Findings, trial: Trial, __: Means) -> Verdict | None:
    """It leaves by something else than a bridge."""
    network = network_of(trial)
    if trial.leaving and trial.leaving.source and network is None:
        sentence = f"it leaves from {trial.leaving.source}, which is on no network of Docker's: a VPN's in it, say"
        return Verdict(UNKNOWN, sentence)
    if network is not None and network.driver != "bridge":
        sentence = f"it leaves by network {clean(network.name)} of the driver {clean(network.driver)}"
        return Verdict(UNKNOWN, f"{sentence}: no FORWARD rule of this router decides about its packets")
    return None


def _bridge_is_down(_: Findings, trial: Trial, __: Means) -> Verdict | None:
    bridge, network = trial.bridge, network_of(trial)
    if bridge is None or network is None or bridge.up:
        return None
    if not bridge.exists:
        sentence = f"the bridge {bridge.device} of network {clean(network.name)} does not exist"
        return Verdict(KNOWN, sentence, ("/etc/init.d/dockerd restart",), ("Docker makes it anew when it starts",))
    sentence = f"the bridge {bridge.device} of network {clean(network.name)} is down"
    return Verdict(KNOWN, sentence, (f"ip link set {bridge.device} up",))


def _not_forwarded(_: Findings, trial: Trial, __: Means) -> Verdict | None:
    if trial.switches is None or trial.switches.forwards is not False or _is_local(trial):
        return None
    key = "net.ipv4.ip_forward" if trial.switches.version == 4 else "net.ipv6.conf.all.forwarding"  # noqa: PLR2004
    sentence = f"the router forwards nothing that comes in by the container's bridge: {key} is 0"
    return Verdict(KNOWN, sentence, (f"sysctl -w {key}=1",), ("whoever switched it off may do it again",))


def _taken_over(_: Findings, trial: Trial, __: Means) -> Verdict | None:
    """REDIRECT or TPROXY: a program of the router answers in the server's place.

    Where TPROXY's program listens is not known; where it does not, the kernel drops the packet in its name.
    """
    there = trial.ways.there if trial.ways else None
    if there is None or not there.taken or not (there.local or there.verdict is Fate.UNCERTAIN):
        return None
    said = SAYS[trial.inside.outcome] if trial.inside else "it fails"
    sentence = f"rule {there.taken} gives the connection to a program on the router, a proxy ({said} there)"
    return Verdict(KNOWN, sentence, advice=("see whether the proxy runs, or exempt the container's subnet from it",))


def _answered_past_us(_: Findings, trial: Trial, __: Means) -> Verdict | None:
    if trial.ways is None or not trial.ways.past_us:
        return None
    advice = (
        "whoever made the DNAT has to masquerade what goes back into its bridge (NAT loopback, hairpin NAT)",
        "or let the container connect to the other one by its name",
    )
    return Verdict(KNOWN, PAST_US.format(there=trial.ways.there), advice=advice)


def _answer_stopped(_: Findings, trial: Trial, __: Means) -> Verdict | None:
    back = trial.ways.back if trial.ways else None
    if back is None or not back.stopped:
        return None
    sentence = f"the packet passes, and {refusal(back)} the answer on its way back"
    return Verdict(KNOWN, sentence, advice=("answers are RELATED,ESTABLISHED: a rule has to accept these first",))


def _black_hole(_: Findings, trial: Trial, __: Means) -> Verdict | None:
    if trial.inside is None or trial.inside.outcome != "silent" or not trial.inside.small:
        return None
    device = trial.ways.there.device if trial.ways else ""
    sentence = "small packets pass and large ones do not: an MTU black hole on the container's way"
    lines = (f"iptables -t mangle -I FORWARD -o {device} -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1360",)
    advice = "to keep it: option mtu_fix '1' in the zone wan of /etc/config/firewall, or a smaller MTU for the network"
    return Verdict(KNOWN, sentence, lines if device else (), (advice,))


def _uncertain(_: Findings, trial: Trial, __: Means) -> Verdict | None:
    if trial.ways is None or trial.ways.there.verdict is not Fate.UNCERTAIN:
        return None
    there = trial.ways.there
    by = f" by firewall rule {there.rule}" if there.rule else ""
    return Verdict(UNKNOWN, f"it may be stopped{by}: that hangs on what is not known from here", (), there.notes)


def _other_firewall(found: Findings, trial: Trial, _: Means) -> Verdict | None:
    if not found.obstacles or trial.ways is None:
        return None
    return Verdict(UNKNOWN, f"iptables lets it pass, and another firewall may not: {found.obstacles[0]}")


def _unknown(found: Findings, trial: Trial) -> Verdict:
    said = SAYS[trial.inside.outcome] if trial.inside else "it fails"
    if trial.ways is None:
        why = trial.fault or "its way could not be followed"
        return Verdict(UNKNOWN, f"the container does not connect ({said}), and why is not known: {clean(why, 300)}")
    if trial.inside and trial.inside.outcome == "timeout" and found.target.proto == "udp":
        return Verdict(UNKNOWN, NO_ANSWER_DUE)
    sentence = f"the container does not connect ({said}), and why is not known"
    notes = dict.fromkeys((*trial.ways.there.notes, *(trial.ways.back.notes if trial.ways.back else ())))
    if notes:
        passes = "the tables let the packet and its answer pass if what is assumed of them holds"
        return Verdict(UNKNOWN, sentence, advice=(passes, *notes))
    passes = "the tables let the packet and its answer pass: what stops it lies behind the router or in the server"
    return Verdict(UNKNOWN, sentence, advice=(passes,))


def _is_local(trial: Trial) -> bool:
    return trial.ways is not None and trial.ways.there.local
