"""The daemon itself: killed, frozen, without memory, files, disk or a clock to trust. It alone, never the machine."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

from tests.chaos.faults.kind import fault
from tests.chaos.patient import Patient

DAY_S = 86400
SHORT_S = 3.0
ROOMS = (0, 2**18, 2**21, 2**23 + 2**13, 2**23 + 2**16, 2**23 + 2**17, 2**23 + 2**18)
"""Bytes of address space that are left to it: from nothing at all to a thread's stack (8 MB) and little more."""


@fault("daemon killed", needs="daemon")
def killed(patient: Patient) -> None:
    patient.kill()
    patient.start()


@fault("daemon killed while the world changes", needs="daemon docker lock")
def killed_in_between(patient: Patient) -> None:
    patient.kill()
    patient.recreate()
    patient.start()


@fault("daemon killed again and again", needs="daemon")
def killed_often(patient: Patient) -> None:
    for _ in range(4):
        patient.kill()
        patient.start()
        time.sleep(patient.dice.uniform(0.0, 1.0))


@fault("daemon stopped and started", needs="daemon config")
def restarted(patient: Patient) -> None:
    patient.settle()
    patient.running.wait_for("started version=")
    patient.stop()
    patient.start()


@fault("daemon stopped by SIGSTOP", breaks="daemon", needs="daemon")
def frozen(patient: Patient) -> Iterator[None]:
    patient.running.signal(signal.SIGSTOP)
    patient.asleep = True
    try:
        time.sleep(patient.dice.uniform(0.2, SHORT_S))
        yield
    finally:
        patient.asleep = False
        patient.running.signal(signal.SIGCONT)


@fault("clock jumps", breaks="daemon", needs="daemon docker ubus tables lock config")
def jumped(patient: Patient) -> Iterator[None]:
    clock = patient.lab.folder / "clock"
    patient.kill()
    patient.start(faked=True)
    patient.settle()
    for days in patient.dice.sample([400, -400, -20000, 3], 2):
        clock.write_text(f"{days * DAY_S:+d}\n")
        patient.recreate()
        patient.settle()
    yield
    clock.write_text("+0\n")
    patient.kill()
    patient.start()


@fault("disk of the run-dir full", breaks="disk", needs="disk docker ubus tables lock config daemon")
def full(patient: Patient) -> Iterator[None]:
    patient.sh("dd if=/dev/zero of=/run/dmsfw/filler bs=4k 2>/dev/null || true")
    try:
        patient.sh(f"{patient.firewall.spoil} || true")
        patient.settle()
        yield
        patient.settle()
    finally:
        patient.sh("rm -f /run/dmsfw/filler")


@fault("no file descriptors left", breaks="daemon", needs="daemon docker tables lock")
def no_files(patient: Patient) -> Iterator[None]:
    patient.may_stumble = True
    used = len(list(Path(f"/proc/{patient.running.pid}/fd").iterdir()))
    soft, hard = _limit(patient, "nofile")
    yield from starved(patient, f"--nofile={used}:{hard}", f"--nofile={soft}:{hard}")


@fault("no memory left", breaks="daemon", needs="daemon docker tables lock")
def no_memory(patient: Patient) -> Iterator[None]:
    """It may end for it, and is started again then, as procd would."""
    patient.may_die = patient.may_stumble = True
    room = _size(patient.running.pid) + patient.dice.choice(ROOMS)
    yield from starved(patient, f"--as={room}:unlimited", "--as=unlimited:unlimited")


def starved(patient: Patient, little: str, enough: str) -> Iterator[None]:
    """Give it too little of something while much is to be done, and then enough again. Both: options of prlimit(1)."""
    _set(patient, little)
    patient.asleep = True
    try:
        patient.firewall.restart()
        patient.recreate()
        time.sleep(SHORT_S)
        yield
    finally:
        patient.asleep = False
        if patient.running.returncode is None:
            _set(patient, enough)


def _set(patient: Patient, limit: str) -> None:
    patient.lab.sh(f"prlimit --pid {patient.inner_pid()} {limit}", check=False)


def _limit(patient: Patient, name: str) -> tuple[str, str]:
    asked = [
        "prlimit",
        "--pid",
        str(patient.inner_pid()),
        f"--{name}",
        "--raw",
        "--noheadings",
        "--output",
        "SOFT,HARD",
    ]
    soft, hard = patient.lab.run(asked).stdout.split()
    return soft, hard


def _size(pid: int) -> int:
    """Bytes of address space that a process has."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmSize:"))
    return int(line.split()[1]) * 1024
