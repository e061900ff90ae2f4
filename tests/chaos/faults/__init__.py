"""Every kind of fault: networks, dockerd, uplinks, the firewall, the configuration, the daemon's own means."""

from tests.chaos.faults import configuration, dockerd, firewall, firewall4, means, networks, uplinks
from tests.chaos.faults.kind import FAULTS, Fault

__all__ = ["FAULTS", "Fault", "configuration", "dockerd", "firewall", "firewall4", "means", "networks", "uplinks"]
