"""dockerd dies, hangs, comes late, and what it says is cut, false, too much, twice or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tests.chaos.faults.kind import fault
from tests.chaos.patient import Patient

HUNG_S = (1, 5)
LONG_S = 20
LARGE_MB = 100
HALF = 0.5


@fault("dockerd killed", needs="docker lock", breaks="docker")
def killed(patient: Patient) -> Iterator[None]:
    with patient.unreadable("docker") as wanted:
        patient.lab.engine.kill()
        patient.flush_and_heal(wanted)
        yield
        patient.lab.engine.start()


@fault("dockerd stopped by SIGSTOP", needs="docker lock", breaks="docker")
def frozen(patient: Patient) -> Iterator[None]:
    yield from hung(patient.dice.randint(*HUNG_S), patient)


@fault("dockerd stopped by SIGSTOP for 20 s", needs="docker lock", breaks="docker", slow=True)
def frozen_long(patient: Patient) -> Iterator[None]:
    yield from hung(LONG_S, patient)


def hung(seconds: int, patient: Patient) -> Iterator[None]:
    """It does not answer for so long, and the firewall is flushed meanwhile."""
    with patient.unreadable("docker") as wanted:
        patient.lab.engine.freeze()
        try:
            patient.lab.run(["sleep", str(seconds)])
            patient.flush_and_heal(wanted)
            yield
        finally:
            patient.lab.engine.thaw()


@fault("dockerd restarted", needs="docker lock")
def restarted(patient: Patient) -> None:
    patient.lab.engine.restart()


@fault("docker's socket removed and bound anew", needs="docker lock", breaks="docker")
def rebound(patient: Patient) -> Iterator[None]:
    with patient.unreadable("docker") as wanted:
        patient.proxy.close()
        patient.flush_and_heal(wanted)
        patient.recreate()
        yield
        patient.proxy.open()


@fault("docker's socket replaced by a plain file", needs="docker lock", breaks="docker")
def replaced(patient: Patient) -> Iterator[None]:
    with patient.unreadable("docker") as wanted:
        patient.proxy.close()
        patient.proxy.path.write_text("no socket")
        patient.flush_and_heal(wanted)
        yield
        patient.proxy.open()


def spoilt(mode: str, patient: Patient) -> Iterator[None]:
    """Answers are spoilt; networks change meanwhile, and nothing may be lost for it."""
    with patient.unreadable("docker") as wanted:
        patient.proxy.answers = mode
        if patient.dice.random() < HALF:
            patient.proxy.cut()
        try:
            patient.lab.docker("network", "create", "dms-unseen")
            patient.lab.run(["sleep", "0.5"])
            patient.flush_and_heal(wanted)
            yield
            patient.lab.docker("network", "rm", "dms-unseen")
            patient.recreate()
        finally:
            patient.proxy.answers = "ok"


for _mode, _words in (
    ("garbage", "docker answers no HTTP"),
    ("half", "docker answers half a JSON"),
    ("cut", "docker's list is cut off"),
    ("error", "docker answers 500"),
    ("silent", "docker accepts and does not answer"),
    ("drip", "docker answers a byte at a time"),
    ("closed", "docker hangs up at once"),
):
    fault(_words, needs="docker lock", breaks="docker")(partial(spoilt, _mode))


def unreliable(mode: str, patient: Patient) -> None:
    """Events are lost, doubled or come late; the networks that they tell of are served nevertheless."""
    patient.proxy.events = mode
    try:
        for _ in range(2):
            patient.recreate()
        patient.settle()
        patient.sh(
            "seq 3 | xargs -I N docker network create --subnet 10.62.N.0/24 dms-bell-N >/dev/null",
            "docker network rm dms-bell-2 >/dev/null",
        )
        patient.settle()
        patient.sh("docker network rm dms-bell-1 dms-bell-3 >/dev/null")
        patient.settle()
    finally:
        patient.proxy.events = "ok"


for _mode, _words in (("drop", "dropped"), ("double", "doubled"), ("reorder", "reordered")):
    fault(f"events {_words} (30 %)", needs="docker lock")(partial(unreliable, _mode))


@fault("100 MB of events", needs="docker lock daemon")
def flooded(patient: Patient) -> None:
    patient.proxy.pour(LARGE_MB)
    patient.recreate()
    patient.lab.wait(lambda: patient.proxy.flooded, "the flood", 40.0)


@fault("an event of 100 MB", needs="docker lock daemon")
def swollen(patient: Patient) -> None:
    patient.proxy.swell(LARGE_MB)
    patient.recreate()
    patient.lab.wait(lambda: patient.proxy.flooded, "the event", 40.0)


@fault("the event stream ends again and again", needs="docker lock")
def cut(patient: Patient) -> None:
    for _ in range(5):
        patient.proxy.cut()
        patient.lab.run(["sleep", "0.2"])
    patient.recreate()
