"""The ways out: down, up, under another name, a second one; and netifd, which hangs, fails or talks nonsense."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from tests.chaos.faults.kind import fault
from tests.chaos.patient import Patient

OTHER_DEVICE = "pppoe-x"


@fault("WAN down and up", needs="ubus wan", breaks="wan")
def down(patient: Patient) -> Iterator[None]:
    patient.lab.wan.down()
    patient.settle()
    patient.flush_and_heal(patient.wanted())
    yield
    patient.lab.wan.up()


def renamed(how: str, patient: Patient) -> Iterator[None]:
    """The line gets another device for a while. `how`: the method that does it."""
    give = getattr(patient.lab.wan, how)
    give(OTHER_DEVICE)
    patient.settle()
    yield
    give(patient.lab.wan.line.device)


for _how, _words in (("redial", "redialled under another name"), ("rename", "renamed")):
    fault(f"WAN {_words}", needs="ubus wan", lasts=True)(partial(renamed, _how))


@fault("a second WAN comes and goes", needs="ubus config", breaks="config", lasts=True)
def second(patient: Patient) -> Iterator[None]:
    patient.write_config(patient.usual(main="\tlist uplink 'wan'\n\tlist uplink 'wanb'\n"))
    patient.lab.wanb.up()
    patient.settle()
    yield
    patient.lab.wanb.down()
    patient.settle()
    patient.write_config(patient.usual())


def mute(mode: Any, patient: Patient) -> Iterator[None]:
    """Netifd does not say anything of use; nothing may be lost for it."""
    with patient.unreadable("ubus") as wanted:
        patient.lab.netifd.behave(mode)
        try:
            patient.sh("ip link add chaos0 type veth peer name chaos1; ip link delete chaos0")
            patient.lab.run(["sleep", "0.5"])
            patient.flush_and_heal(wanted)
            yield
        finally:
            patient.lab.netifd.behave("ok")


for _mode, _words in (("hang", "does not answer"), ("garbage", "prints half a dump"), ("fail", "fails")):
    fault(f"ubus {_words}", needs="ubus", breaks="ubus")(partial(mute, _mode))


@fault("ubus is gone", needs="ubus daemon", breaks="ubus daemon")
def gone(patient: Patient) -> Iterator[None]:
    """Only a daemon that has seen it knows that it ought to be there: so the daemon lives on meanwhile."""
    with patient.unreadable("ubus") as wanted:
        patient.lab.wait(lambda: patient.status()["passes"], "a daemon that has read its sources")
        patient.lab.netifd.uninstall()
        try:
            patient.sh("ip link add chaos0 type veth peer name chaos1; ip link delete chaos0")
            patient.lab.run(["sleep", "0.5"])
            patient.flush_and_heal(wanted)
            yield
        finally:
            patient.lab.netifd.install()
