"""Each step in words, for people: what was done, what came of it, what it means."""

from __future__ import annotations

from collections.abc import Sequence

from dmsfw.doctor import meanings as means
from dmsfw.doctor import sentences
from dmsfw.doctor.containers import Networks
from dmsfw.doctor.everyone import Row
from dmsfw.doctor.findings import Findings, Trial
from dmsfw.doctor.names import Lookup
from dmsfw.doctor.outcome import CONNECTS, KNOWN, Verdict
from dmsfw.doctor.probe import Probe
from dmsfw.doctor.screen import BOLD, GREEN, RED, YELLOW, Screen
from dmsfw.doctor.target import shown
from dmsfw.doctor.ways import Passage, telling
from dmsfw.report.text import clean, display_width, pad
from dmsfw.trace import Verdict as Fate
from dmsfw.trace import Way
from dmsfw.trace.text import render, step_text

DEEPEST = 8
"""Chains within chains by which a line is moved to the right at most."""


def question(screen: Screen, found: Findings) -> None:
    """What is asked."""
    shares = f" (on the network of {clean(found.container.shares)})" if found.container.shares else ""
    paused = ", which is paused," if found.container.is_paused else ""
    name = clean(found.container.name)
    screen.say(f"Does container {name}{shares}{paused} reach {found.target.proto} {found.target}?", BOLD, 0)
    if found.remark:
        screen.say(found.remark, YELLOW, 0)


def here(screen: Screen, found: Findings) -> None:
    """The name on the host."""
    if found.here is not None:
        screen.say(sentences.resolved(found.target.host, found.here, "to the host"))
        _fake(screen, found.here)


def there(screen: Screen, found: Findings) -> None:
    """The name in the container, and by which way it asks."""
    if found.there is None:
        return
    screen.say(sentences.resolved(found.target.host, found.there, "to the container"))
    for asked in found.there.asked:
        screen.say(sentences.asks(asked))
    if found.here and found.there.addresses and set(found.here.addresses) != set(found.there.addresses):
        screen.say("these are other addresses than the host has", YELLOW)
    _fake(screen, found.there)


def attempts(screen: Screen, probes: Sequence[Probe | None]) -> None:
    """What came of the attempts."""
    for probe in filter(None, probes):
        where = f"[{probe.address}]" if ":" in probe.address else probe.address
        screen.say(f"{where}:{probe.port}: {means.line(probe)}", GREEN if probe.connects else RED)


def own(screen: Screen, found: Findings) -> None:
    """The way of the host's own packets that are stopped, rule by rule."""
    for trial in found.trials:
        if trial.own is not None and (trial.own.verdict is not Fate.PASSES or trial.own.diverted):
            what = "the answer to the router's own packet" if trial.own.answers else "the router's own packet"
            screen.say(f"{what} to {shown(trial.address)}:{found.target.port}", BOLD)
            _passage(screen, trial.own)


def meanings(screen: Screen, found: Findings) -> None:
    """What both together say."""
    screen.title("3. What that says")
    said = [(trial, means.meaning(trial)) for trial in found.trials]
    for trial, text in said:
        if text:
            screen.say(f"{shown(trial.address)}: {text}")
    if not any(text for _, text in said):
        screen.say("both get there: nothing is in the way" if found.trials else "there was nothing to try")


def networks(screen: Screen, found: Findings, known: Networks) -> None:
    """Where the container is, and by what it leaves."""
    several = len(found.container.endpoints) > 1
    left = list(dict.fromkeys(trial.leaving.network for trial in found.trials if trial.leaving))
    for endpoint in found.container.endpoints:
        network = known.by_id(endpoint.network_id)
        if network is not None and (several or network in left):
            by = " <- its route leaves by this one" if several and network in left else ""
            screen.say(f"{sentences.network(network, known, endpoint.gateways)}{by}")
    for trial in found.trials:
        screen.say(sentences.leaves(trial))
    for says, colour in ((sentences.forwards, ""), (sentences.faults, RED)):
        for text in filter(None, dict.fromkeys(map(says, found.trials))):
            screen.say(text, colour)


def ways(screen: Screen, found: Findings) -> None:
    """The way of each packet, rule by rule, and what dmsfw is configured to allow."""
    for trial in found.trials:
        if trial.fault and trial.leaving and trial.leaving.source:
            screen.say(f"{shown(trial.address)}: its way cannot be followed: {trial.fault}", RED)
        if trial.ways is None:
            continue
        screen.say(
            f"from {trial.leaving.source if trial.leaving else ''} to {shown(trial.address)}:{found.target.port}", BOLD
        )
        _passage(screen, trial.ways.there)
        if trial.ways.back is not None:
            screen.say("and its answer", BOLD)
            _passage(screen, trial.ways.back)
        _policy(screen, found, trial)
    for text in found.obstacles:
        screen.say(text, YELLOW)


def questions(screen: Screen, found: Findings) -> None:
    """The way of the questions to name servers."""
    for one in found.questions:
        screen.say(f"the container's questions to {one.server} (udp 53)", BOLD)
        _passage(screen, one.ways.there)


def verdict(screen: Screen, reached: Verdict) -> None:
    """How it ends."""
    screen.title("6. Verdict")
    screen.say(reached.sentence, {CONNECTS: GREEN, KNOWN: RED}.get(reached.exit_code, YELLOW))
    for text in reached.advice:
        screen.say(text)
    if reached.lines:
        screen.title("Paste this into a root shell of the router, then ask again:")
        screen.paste(reached.lines)


def _passage(screen: Screen, passage: Passage) -> None:
    for step in telling(passage.way) if passage.way else ():
        screen.say(step_text(step).lstrip(), indent=5 + 2 * min(step.depth, DEEPEST))
    colour = {Fate.PASSES: GREEN, Fate.UNCERTAIN: YELLOW}.get(passage.verdict, RED)
    screen.say(f"=> {_ends(passage)}", colour, 5)
    for note in passage.notes:
        screen.say(note, YELLOW, 5)


def _ends(passage: Passage) -> str:
    if passage.verdict is Fate.PASSES:
        if passage.local:
            return "the router itself takes it"
        ends = passage.way.ends if passage.way else ()
        left = dict.fromkeys(f"by {clean(end.packet.out_device)} from {end.packet.src}" for end in ends)
        return f"it passes, and leaves {' or '.join(left)}"
    by = f" by {passage.rule}" if passage.rule else ""
    return f"{passage.verdict.value}{by}"


def _policy(screen: Screen, found: Findings, trial: Trial) -> None:
    policies = trial.policies
    if policies is None or trial.ways is None:
        return
    device = trial.ways.there.device
    if policies.uplinks and device and device not in policies.uplinks and not trial.ways.there.local:
        known = ", ".join(policies.uplinks)
        screen.say(f"the route leads by {device}, which is no uplink of dmsfw ({known}): a VPN or a proxy", YELLOW)
    what = f"{found.target.proto} {trial.port(found.target)}"
    if not policies.selecting:
        screen.say("no policy of dmsfw selects the network")
    elif policies.allowing:
        there = {True: "in the kernel", False: "NOT in the kernel", None: "not known to be in the kernel"}
        named = ", ".join(map(clean, policies.allowing))
        screen.say(f"policy {named} allows {what}; its rules are {there[policies.installed]}")
    else:
        screen.say(
            f"policy {', '.join(map(clean, policies.selecting))} selects the network, and allows no {what} this way"
        )


def _fake(screen: Screen, lookup: Lookup) -> None:
    for address in lookup.fake:
        screen.say(f"{address} is a fake-ip: a proxy on the router (OpenClash, PassWall) made it up", YELLOW)


def way(screen: Screen, found: Way) -> None:
    """A whole way, every rule of it."""
    for line in render(found):
        screen.say(line, indent=len(line) - len(line.lstrip()))
    screen.line("")


def table(screen: Screen, rows: Sequence[Row]) -> None:
    """Networks and what is open to them."""
    cells = [(clean(row.network), clean(row.what) if row.what else "-", row.uplink or "-", row.state) for row in rows]
    widths = [max((display_width(cell) for cell in column), default=0) for column in zip(*cells, strict=True)]
    for row, columns in zip(rows, cells, strict=True):
        text = "  ".join(pad(cell, width) for cell, width in zip(columns, widths, strict=True))
        colour = {"open": GREEN, "-": "", "not known": YELLOW}.get(row.state, RED)
        screen.line(f"{text}  {clean(row.why, 300) if row.why else ''}".rstrip(), colour)
