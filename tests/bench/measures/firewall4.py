"""The same promises on a router with firewall4: events, reloads, passes, established traffic of the LAN."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterator

from tests.bench.measures.forwarding import AGAIN, PIPES, PORT, SLICE_S, loss, rate, spoken, spread
from tests.bench.measures.memory import resident_mb
from tests.bench.rows import Row
from tests.bench.stage import SOCKET, Stage, ask, children, daemon, in_sync, network, program, settle
from tests.lab import SERVER, Lab, Router

NETWORKS = 500
PAUSE_S = 0.4
RELOADS, BATCH = 100, 24
"""Without include files each reload removes our jump: more within a minute look like somebody who fights dmsfw."""

THREADS = 4
KINDS = {
    "first": "the first pass ever",
    "nothing": "nothing to do",
    "added": "one network comes",
    "removed": "one goes",
    "recreated": "one is another",
}


def measure(stage: Stage) -> Iterator[Row]:
    """Rows for the figures that were promised."""
    with Lab(ipv6=False, firewall4=True) as lab:
        lab.firewall4.include()
        lab.firewall4.restart()
        yield from _events(stage, lab)
        network(lab, "bench")
        yield from _with_includes(stage, lab)
        lab.firewall4.exclude()
        lab.firewall4.restart()
        yield from _without_includes(stage, lab)
    yield from _passes(stage)
    yield from _forwarding(stage)


def _events(stage: Stage, lab: Lab) -> Iterator[Row]:
    stage.say("events")
    rounds, first = [], []
    for _ in range(2):
        with daemon(lab):
            settle()
            found = ask(lab, "events4", SOCKET, stage.count(100) // 2, PAUSE_S)
        rounds += found
        first.append(found[0]["both"])
    yield Row.of("firewall4/event", "firewall4: event -> elements", "ms", [one["both"] for one in rounds])
    what = "firewall4: event -> elements, the first in a daemon's life (counted above as well)"
    yield Row.of("firewall4/first event", what, "ms", first)
    what = "firewall4: a network's end -> no element of it"
    yield Row.of("firewall4/gone", what, "ms", [one["gone"] for one in rounds])


def _without_includes(stage: Stage, lab: Lab) -> Iterator[Row]:
    stage.say("reloads without include files")
    samples: dict[str, list[float]] = defaultdict(list)
    count = stage.count(RELOADS, least=4)
    for begin in range(0, count, BATCH):
        with daemon(lab):
            in_sync(lab)
            for name, found in ask(lab, "reloads", min(BATCH, count - begin), PAUSE_S, "repaired").items():
                samples[name] += found
    what = "firewall4: a reload without include files -> repaired"
    yield Row.of("firewall4/repaired", what, "ms", samples["repaired"])
    yield Row.of(
        "firewall4/reload", "firewall4: a reload itself (the lab's stand-in)", "ms", samples["reload"], better=""
    )


def _with_includes(stage: Stage, lab: Lab) -> Iterator[Row]:
    lab.container("app", "bench")
    client = [sys.executable, "-m", "tests.bench.inside.connections", SERVER, "465", str(THREADS)]
    enter = ["nsenter", "--target", str(lab.container_pid("app")), "--net", "--"]
    with daemon(lab) as running:
        in_sync(lab)
        stage.say("reloads under a load of new connections")
        load = children(lab, [*enter, *client], name="connections", **PIPES)
        ask(lab, "reloads", stage.count(RELOADS), 0.02)
        found = json.loads(spoken(load, "over"))
        refused = sum(found.values()) - found["open"]
        note = f"{stage.count(RELOADS)} reloads with include files, {sum(found.values()):,} connections"
        what = "firewall4: connections refused over reloads"
        yield Row.of("firewall4/refused", what, "", [refused], note=note)
        what = "firewall4: resident memory with 1 network"
        yield Row.of("firewall4/memory", what, "MB", [resident_mb(running)])


def _passes(stage: Stage) -> Iterator[Row]:
    with Router(internet=False, firewall4=True) as router:
        for networks in (1, NETWORKS):
            stage.say(f"passes over {networks} networks")
            samples = ask(router, "passes", networks, 0, stage.count(30))
            for kind, text in KINDS.items():
                what = f"firewall4: {text}: {networks} networks, 4 ports each"
                yield Row.of(f"firewall4/networks={networks} {kind}", what, "ms", samples[kind])


def _forwarding(stage: Stage) -> Iterator[Row]:
    """As the measure `forwarding`, with nothing of ours and with many networks."""
    rates: dict[str, list[float]] = defaultdict(list)
    stage.say("established traffic of the LAN")
    with Router(internet=False, ipv6=False, firewall4=True) as router:
        children(router, program("sink", SERVER, PORT), netns="isp", name="sink", **PIPES)
        flood = children(router, program("flood", SERVER, PORT), netns="lan", name="flood", **PIPES)
        rules = children(router, program("rules"), name="rules", **PIPES)
        spoken(flood, "1")
        for _ in range(stage.count(60, least=5)):
            for size in ("0", str(NETWORKS), AGAIN):
                spoken(rules, size.split()[0])
                rates[size].append(rate(json.loads(spoken(flood, str(SLICE_S)))))
    for size in ("0", str(NETWORKS)):
        what = f"firewall4: established LAN traffic, {size} selected networks"
        yield Row.of(f"firewall4/{size} rate", what, "packets/s", rates[size], better="more")
    for size in (str(NETWORKS), AGAIN):
        what = f"firewall4: loss with {size} selected networks" if size != AGAIN else "firewall4: noise of that"
        note = f"half of the rounds within {spread(rates, size):.1f} % of it"
        yield Row.of(f"firewall4/{size} loss", what, "%", [loss(rates, size)], better="", note=note)
