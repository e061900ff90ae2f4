"""The configuration: edited, broken, removed, switched off. A broken one keeps the last good one in force."""

from __future__ import annotations

from collections.abc import Iterator

from tests.chaos.faults.kind import fault
from tests.chaos.patient import Patient


@fault("config edited", breaks="config", needs="config")
def edited(patient: Patient) -> Iterator[None]:
    variants = [
        patient.usual(ports="465,587"),
        patient.usual("list dest_port '1000-2000'"),
        patient.usual("option masq '0'"),
        patient.usual("option family 'ipv4'", resync=5),
        patient.usual("list proto 'udp'"),
        patient.usual() + "\nconfig egress 'more'\n\tlist network 'dms-network'\n\tlist dest_port '587'\n",
    ]
    for text in patient.dice.sample(variants, 2):
        patient.write_config(text)
        patient.settle()
    yield
    patient.write_config(patient.usual())


@fault("config broken and mended", breaks="config daemon", needs="config")
def broken(patient: Patient) -> Iterator[None]:
    """A new daemon would refuse to start with it, so the daemon lives on meanwhile."""
    patient.settle()
    patient.lab.wait(lambda: patient.status()["passes"], "a daemon that has its configuration")
    wanted = patient.wanted()
    bad = ["config egress 'smtps'\n\tlist dest_port '70000'\n", "option \x00 'x\n", patient.usual()[:-4], "x" * 2**21]
    patient.lab.configure(patient.dice.choice(bad))
    patient.lab.run(["sleep", "0.3"])
    patient.flush_and_heal(wanted)
    yield
    patient.write_config(patient.usual())


@fault("config removed and back", breaks="config daemon", needs="config")
def removed(patient: Patient) -> Iterator[None]:
    patient.settle()
    patient.lab.wait(lambda: patient.status()["passes"], "a daemon that has its configuration")
    wanted = patient.wanted()
    (patient.lab.config / "dmsfw").unlink()
    patient.lab.run(["sleep", "0.3"])
    patient.flush_and_heal(wanted)
    yield
    patient.write_config(patient.usual())


@fault("switched off and on", breaks="config", needs="config")
def switched_off(patient: Patient) -> Iterator[None]:
    patient.write_config(patient.usual(main="\toption enabled '0'\n"))
    patient.settle()
    yield
    patient.write_config(patient.usual())
