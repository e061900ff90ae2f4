"""The judge: the whole world once it is quiet, with everything that must be so then."""

from __future__ import annotations

import signal

from tests.chaos.expected import Expected
from tests.chaos.patient import INSIDE, LIMIT_S, OUTSIDE, SHOWN, Broken, Patient
from tests.lab import SERVER, LabError
from tests.lab.router import DMSFW_RUN_DIR

CALM_S = 25.0
"""How long the status may take to say so: a lost event stream is sought again after 10 s at most."""
LOGGED_MOST = 250
"""Lines in the log of one step; more is a flood."""
CRASH = "unexpected error"
QUARREL = "somebody keeps undoing the rules"


def judge(patient: Patient) -> None:
    """Raises: Broken, with everything that is not as it must be."""
    patient.ensure()
    _pass_again(patient)
    wanted = patient.wanted()
    found = [*patient.firewall.faults(wanted), *patient.firewall.moved()]
    found += [*_calm(patient, wanted), *_second_pass(patient, wanted), *_connections(patient, wanted), *_told(patient)]
    if found:
        raise Broken("\n  ".join([*found, patient.said[-SHOWN:]]))


def _pass_again(patient: Patient) -> None:
    """Have everything read anew and wait for a pass that began after that."""
    pid, wait = patient.inner_pid(), patient.lab.wait
    wait(lambda: patient.status()["pid"] == pid and patient.status()["passes"], "the daemon's own status", LIMIT_S)
    for _ in range(2):
        passes = patient.status()["passes"]
        patient.running.signal(signal.SIGHUP)
        wait(lambda passes=passes: patient.status()["passes"] > passes, "another pass", LIMIT_S)  # type: ignore[misc]


def _calm(patient: Patient, wanted: Expected) -> list[str]:
    """The status says in the end how things stand.

    Many firewall restarts in a few seconds look like somebody who keeps undoing the rules; that it says so is right,
    and a fault of its own waits for the end of it.
    """
    state = "degraded" if "wan" not in patient.up else "in sync" if any(wanted.rules.values()) else "disabled"

    def is_so() -> bool:
        status = patient.status()
        return status["state"] == state or all(QUARREL in reason for reason in status["reasons"] or [""])

    try:
        patient.lab.wait(is_so, f"status {state}", CALM_S)
    except LabError:
        status = patient.status()
        return [f"the status is {status['state']}, not {state}: {status['reasons']}"]
    return []


def _second_pass(patient: Patient, wanted: Expected) -> list[str]:
    """It would write nothing. A command knows nothing of an uplink that is down, so it is not asked then."""
    if wanted.remembered:
        return []
    plan = patient.lab.dmsfw("plan")
    return [f"a second pass would change something: {plan.stdout}{plan.stderr}"] if plan.returncode else []


def _connections(patient: Patient, wanted: Expected) -> list[str]:
    """What is allowed opens, all else stays closed."""
    if "wan" not in patient.up or not any(wanted.rules.values()):
        return []
    _revive(patient)
    asked = [(INSIDE, 465, "open"), (INSIDE, 8443, "refused"), (OUTSIDE, 465, "refused")]
    answers = [(who, to, patient.lab.connect(who, SERVER, to), should) for who, to, should in asked]
    return [f"{who} to {to}: {is_}, not {should}" for who, to, is_, should in answers if is_ != should]


def _revive(patient: Patient) -> None:
    """Start the two containers again if dockerd has ended them."""
    running = patient.lab.docker("ps", "--format", "{{.Names}}").stdout.split()
    for name in (INSIDE, OUTSIDE):
        if name not in running:
            patient.lab.docker("start", name)


def _told(patient: Patient) -> list[str]:
    """No fault of its own in the log, no flood, no file left behind; a killed daemon may leave one for a minute."""
    logged = patient.said
    lines, was_killed = logged.count("\n"), "info started " in logged
    hidden = [file.name for file in patient.lab.path(DMSFW_RUN_DIR).iterdir() if file.name.startswith(".")]
    return [
        *([f"it met a fault of its own: {logged}"] if CRASH in logged and not patient.may_stumble else []),
        *([f"it logged {lines} lines in one step"] if lines > LOGGED_MOST else []),
        *(f"a file is left: {name}" for name in hidden if not was_killed),
    ]
