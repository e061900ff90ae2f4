"""A packet's way as people read it: a line for each rule that it met, and one sentence at the end."""

from __future__ import annotations

from dataclasses import replace

from dmsfw.report.text import clean
from dmsfw.trace.packet import ECHO_REQUEST, Packet
from dmsfw.trace.result import End, Step, Verdict, Way

RULE_LIMIT = 600
"""Characters of a rule: one with a full comment and two matches has 450."""

COLOURS = {Verdict.PASSES: "\x1b[32m", Verdict.UNCERTAIN: "\x1b[33m"}
STOPPED = "\x1b[31m"
RESET = "\x1b[0m"

VERBS = {
    Verdict.PASSES: "accepts it",
    Verdict.DROPPED: "drops it",
    Verdict.REJECTED: "refuses it",
    Verdict.UNREACHABLE: "has no way for it",
    Verdict.UNCERTAIN: "may end it",
}


def render(way: Way, *, colour: bool = False) -> list[str]:
    """All of it, line by line; what is foreign in it has been cleaned."""
    lines = [packet_text(way.packet)]
    hook = ""
    for step in way.steps:
        if step.hook != hook:
            hook = step.hook
            lines.append(hook)
        lines.append(step_text(step))
    lines += [f"note: {clean(note, RULE_LIMIT)}" for note in way.notes]
    verdict = sentence(way)
    paint = COLOURS.get(way.verdict, STOPPED)
    return [*lines, f"{paint}{verdict}{RESET}" if colour else verdict]


def packet_text(packet: Packet) -> str:
    """`tcp 172.18.0.2 -> 220.197.33.205 port 465, in by br-a, NEW`."""
    source = f"{packet.src}" + ("" if packet.sport is None else f" port {packet.sport}")
    target = f"{packet.dst}" + ("" if packet.dport is None else f" port {packet.dport}")
    kind = ""
    if packet.icmp is not None:
        echo = packet.icmp == ECHO_REQUEST[packet.family]
        kind = " echo-request" if echo else " type {}/{}".format(*packet.icmp)
    devices = "".join(
        f", {way} by {clean(device)}"
        for way, device in (("in", packet.in_device), ("out", packet.out_device))
        if device
    )
    mark = f", mark 0x{packet.mark:x}" if packet.mark else ""
    return f"{packet.proto}{kind} {source} -> {target}{devices}, {packet.ctstate}{mark}"


def step_text(step: Step) -> str:
    """One line for a rule: where it stands, what it says, its packets, and what it does."""
    indent = "  " * (step.depth + 1)
    doubt = "" if step.sure else "? "
    why = f" ({clean(step.why, RULE_LIMIT)})" if step.why else ""
    rule = clean(step.rule, RULE_LIMIT)
    if step.place is None:
        return f"{indent}{doubt}{clean(step.does, RULE_LIMIT)}: {rule}{why}"
    variant = f"{step.place.variant} " if step.place.variant else ""
    element = f" (element {clean(step.element, RULE_LIMIT)})" if step.element else ""
    does = clean(step.does, RULE_LIMIT)
    return f"{indent}{doubt}{variant}{clean(step.place)}: {rule}{element}{_counted(step)} {does}{why}"


def _counted(step: Step) -> str:
    if step.packets is None:
        return ":" if step.element or step.rule else ""
    return f" [{step.packets} packet" + ("]" if step.packets == 1 else "s]")


def rule_name(step: Step) -> str:
    """`FORWARD #8 (!fw3 reject)`, or `the policy of FORWARD`; what routes has no number."""
    if step.place is None:
        return "the routing decision" if step.hook == "routing" else clean(step.rule)
    table = "" if step.place.table == "filter" else f"{clean(step.place.table)} "
    variant = f"{step.place.variant} " if step.place.variant else ""
    if step.place.number == 0:
        return f"{variant}the policy of {table}{clean(step.place.chain)}"
    comment = f" ({clean(step.comment)})" if step.comment else ""
    return f"{variant}rule {table}{clean(step.place.chain)} #{step.place.number}{comment}"


def ending(end: End) -> str:
    """What decides about one end: `rule FORWARD #6 (!fw3) leads to rule reject #1 (!fw3), which refuses it`."""
    if end.decides is None:
        return "nothing stops it"
    last = end.decides
    if not last.hook:
        return clean(last.rule, RULE_LIMIT)
    says = f"{clean(last.does, RULE_LIMIT)}" if end.verdict is not Verdict.PASSES else VERBS[end.verdict]
    if last.hook == "routing" and last.why:
        return f"{last.why}, which may send it elsewhere" if "bridge" not in last.why else last.why
    if len(end.trail) == 1:
        because = f": {clean(last.rule, RULE_LIMIT)}" if last.hook == "routing" and last.rule else ""
        return f"{rule_name(last)} {says}{because}"
    return f"{rule_name(end.trail[0])} leads to {rule_name(last)}, which {says}"


def sentence(way: Way) -> str:
    """The verdict in one sentence."""
    if way.verdict is Verdict.PASSES:
        leaves = " or ".join(dict.fromkeys(map(_leaves, way.ends)))
        accepted = [ending(replace(way.end, trail=trail)) for trail in (way.end.trail, *way.besides)]
        return f"It passes: {', and '.join((*accepted, leaves))}."
    if way.stopped:
        return f"It does not pass: {' or '.join(dict.fromkeys(map(ending, way.ends)))}."
    return f"It is not known whether it passes: {' or '.join(dict.fromkeys(map(ending, way.ends)))}."


def _leaves(end: End) -> str:
    packet = end.packet
    if end.local:
        return "the host itself takes it"
    source = "" if "SNAT" not in (packet.connection.nat or ()) else _source(packet)
    return f"it leaves by {clean(packet.out_device)}{source}"


def _source(packet: Packet) -> str:
    return " with the device's address" if "src" in packet.unknown else f" from {packet.src}"
