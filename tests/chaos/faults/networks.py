"""Docker's networks and containers: they come, go, come back elsewhere, all at once."""

from __future__ import annotations

from collections.abc import Iterator

from tests.chaos.faults.kind import fault
from tests.chaos.patient import INSIDE, OTHER_NET, Patient
from tests.lab.engine import IMAGE


@fault("network created and removed", needs="docker lock", lasts=True)
def created(patient: Patient) -> Iterator[None]:
    patient.lab.docker("network", "create", "--subnet", patient.subnet(), "dms-new")
    patient.settle()
    yield
    patient.lab.docker("network", "rm", "dms-new")


@fault("network with IPv6", needs="docker lock", lasts=True)
def dual(patient: Patient) -> Iterator[None]:
    sixth = f"fd00:{next(patient.numbers)}::/64"
    patient.lab.docker("network", "create", "--ipv6", "--subnet", patient.subnet(), "--subnet", sixth, "dms-six")
    patient.settle()
    yield
    patient.lab.docker("network", "rm", "dms-six")


@fault("network recreated on another bridge and subnet", needs="docker lock")
def recreated(patient: Patient) -> None:
    patient.recreate()


@fault("storm of networks", needs="docker lock")
def storm(patient: Patient) -> None:
    patient.sh(
        "seq 6 | xargs -P 3 -I N docker network create --subnet 10.60.N.0/24 dms-storm-N >/dev/null",
        "seq 6 | xargs -P 3 -I N docker network rm dms-storm-N >/dev/null",
        "seq 6 | xargs -P 3 -I N docker network create --subnet 10.61.N.0/24 dms-storm-N >/dev/null",
    )
    patient.settle()
    patient.sh("seq 6 | xargs -P 3 -I N docker network rm dms-storm-N >/dev/null")


@fault("network of a hostile bridge name", needs="docker lock", lasts=True)
def hostile(patient: Patient) -> Iterator[None]:
    name = patient.dice.choice(["br+", "a#b", "x;y"])
    option = f"com.docker.network.bridge.name={name}"
    patient.lab.docker("network", "create", "--subnet", patient.subnet(), "-o", option, "dms-hostile")
    patient.settle()
    yield
    patient.lab.docker("network", "rm", "dms-hostile")


@fault("container joins another network and leaves it", needs="docker lock", lasts=True)
def joined(patient: Patient) -> Iterator[None]:
    patient.lab.docker("network", "connect", OTHER_NET, INSIDE)
    yield
    # A fault in between may have made the container anew: then it has left already.
    patient.lab.docker("network", "disconnect", OTHER_NET, INSIDE, check=False)


@fault("compose up and down", needs="docker lock", lasts=True)
def composed(patient: Patient) -> Iterator[None]:
    spelling = patient.dice.choice(["label", "label", "name"])
    patient.lab.compose("up", "-d", spelling=spelling)  # type: ignore[arg-type]
    patient.settle()
    yield
    patient.lab.compose("down", "-t", "0", spelling=spelling)  # type: ignore[arg-type]


@fault("container in a restart loop", needs="docker lock", lasts=True)
def restarting(patient: Patient) -> Iterator[None]:
    patient.lab.docker("run", "-d", "--name", "loop", "--restart", "always", "--network", "dms-network", IMAGE, "true")
    patient.lab.run(["sleep", "2"])
    patient.settle()
    yield
    patient.lab.docker("rm", "-f", "loop")
