"""The tables: wiped, reloaded, edited, by writers with the lock and without, and the lock itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

from tests.chaos.faults.kind import fault
from tests.chaos.load import Load
from tests.chaos.patient import Broken, Patient

HOLD = """
import fcntl, sys, time
file = open("/run/xtables.lock", "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(999)
"""
HELD_S = 3.0
SEEN_S = 10.0
OVER_S = 60.0
WATCHED_S = 4.0
QUARREL = "somebody keeps undoing the rules"
REPAIRED, WARNED = "rules repaired", f"warning {QUARREL}"
STRAY = '-m comment --comment "dmsfw:0123456789ab smtps: somebody"'
TAKE = """h=$(iptables-save -t filter | grep -- '-j DMSFW-FORWARD' | grep '^-A FORWARD' | cut -d' ' -f3-)
n=$(iptables-save -t nat | grep -- '-j DMSFW-POSTROUTING' | grep '^-A POSTROUTING' | cut -d' ' -f3-)
N='iptables -w -t nat'"""
DAMAGES = {
    "own chain flushed": "iptables -w -F DMSFW-FORWARD",
    "own chain of nat flushed": "iptables -w -t nat -F DMSFW-POSTROUTING",
    "rule widened": "iptables -w -R DMSFW-FORWARD 1 -j ACCEPT",
    "rule added to the own chain": "iptables -w -I DMSFW-FORWARD -p tcp --dport 587 -j ACCEPT",
    "rule of ours elsewhere": f"iptables -w -I INPUT {STRAY} -j ACCEPT",
    "hook removed": f'{TAKE}\neval "iptables -w -D FORWARD $h"',
    "hook doubled": f'{TAKE}\neval "iptables -w -I FORWARD 1 $h"',
    "hook moved behind the reject": f'{TAKE}\neval "iptables -w -D FORWARD $h; iptables -w -A FORWARD $h"',
    "hook of nat moved to the front": f'{TAKE}\neval "$N -D POSTROUTING $n; $N -I POSTROUTING $n"',
    "own chain deleted": "iptables-save -t filter | grep -v DMSFW-FORWARD | iptables-restore -w",
    "own chain flushed by a writer without the lock": "XTABLES_LOCKFILE=/run/another.lock iptables -F DMSFW-FORWARD",
}


def damaged(script: str, patient: Patient) -> None:
    """Somebody edits what is ours; the daemon sees it long before its next whole look at everything."""
    patient.settle()
    patient.sh(script)
    patient.settle(limit=SEEN_S)


for _words, _script in DAMAGES.items():
    fault(_words, needs="tables lock daemon config", router="fw3")(partial(damaged, _script))


@fault("firewall restarted", needs="tables lock")
def restarted(patient: Patient) -> None:
    patient.firewall.restart()


@fault("firewall reloaded", needs="tables lock")
def reloaded(patient: Patient) -> None:
    patient.firewall.reload()


@fault("firewall stopped and started", needs="tables lock", breaks="tables")
def stopped(patient: Patient) -> Iterator[None]:
    patient.firewall.flush()
    yield
    patient.firewall.restart()


def removed_again(script: str, patient: Patient) -> None:
    """It neither spins nor floods the log: it says so once, is degraded, repairs once a second until that is over."""
    patient.settle()
    remover = patient.lab.popen(["/bin/sh", "-c", script], name="remover")
    try:
        patient.lab.wait(lambda: WARNED in patient.said, "the warning", OVER_S)
        before = patient.said.count(REPAIRED)
        time.sleep(WATCHED_S)
        repairs = patient.said.count(REPAIRED) - before
    finally:
        remover.kill()
    patient.settle()
    told = _quarrels(patient)
    if repairs > WATCHED_S + 2 or patient.said.count(WARNED) != 1 or not told:
        raise Broken(f"{repairs} repairs in {WATCHED_S:g} s, {patient.said.count(WARNED)} warnings, in status: {told}")
    patient.lab.wait(lambda: not _quarrels(patient), "the end of the quarrel", OVER_S)


def _quarrels(patient: Patient) -> bool:
    """Whether the status tells of it; another fault may have it degraded as well."""
    status = patient.status()
    return status["state"] == "degraded" and any(QUARREL in reason for reason in status["reasons"])


for _words, _script in (
    ("somebody", "while :; do iptables -w -F DMSFW-FORWARD; sleep 0.1; done"),
    (
        "somebody without the lock",
        "while :; do XTABLES_LOCKFILE=/run/another.lock iptables -F DMSFW-FORWARD; sleep 0.1; done",
    ),
):
    fault(f"{_words} keeps removing our rules", needs="tables lock daemon config", slow=True, router="fw3")(
        partial(removed_again, _script)
    )


@fault("the owner puts a rule ahead of ours", needs="tables lock", lasts=True, router="fw3")
def ahead(patient: Patient) -> Iterator[None]:
    rule = '-s 10.99.0.0/16 -m comment --comment "owner: keep out" -j DROP'
    patient.sh(f"iptables -w -I FORWARD 1 {rule}; iptables -w -t nat -I POSTROUTING 1 -s 10.99.0.0/16 -j ACCEPT")
    patient.settle()
    yield
    patient.sh(
        f"iptables -w -D FORWARD {rule} || true",
        "iptables -w -t nat -D POSTROUTING -s 10.99.0.0/16 -j ACCEPT || true",
    )


@fault("two writers edit while networks change", needs="tables lock docker", router="fw3")
def written(patient: Patient) -> None:
    load = Load(patient.lab, ("x", "y"), str(patient.dice.random()), churn=False)
    with load:
        for _ in range(2):
            patient.recreate()
    load.remove()
    if load.written.problems:
        raise Broken("\n".join(load.written.problems))


@fault("lock held by somebody else", breaks="lock", needs="lock tables", router="fw3")
def held(patient: Patient) -> Iterator[None]:
    """Meanwhile a writer without the lock spoils our rules: the repair waits for the lock, and says so once."""
    patient.settle()
    holder = patient.lab.popen(["python3", "-I", "-S", "-c", HOLD], name="holder")
    try:
        holder.wait_for("held")
        patient.sh("XTABLES_LOCKFILE=/run/another.lock iptables -F DMSFW-FORWARD || true")
        patient.lab.run(["sleep", str(HELD_S)])
        patient.asleep = patient.locked = True
        yield
    finally:
        patient.asleep = patient.locked = False
        holder.kill()
    patient.ensure()


@fault("lock file removed and made again", needs="lock tables", router="fw3")
def unlinked(patient: Patient) -> None:
    patient.sh("rm -f /run/xtables.lock", "iptables -w -F DMSFW-FORWARD || true")
