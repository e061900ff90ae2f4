"""The enforcer for the firewall that this router has."""

from __future__ import annotations

import shutil

from dmsfw.enforce import Iptables
from dmsfw.firewall4.enforcer import Firewall4
from dmsfw.reconciler import Enforcer

HAS_FIREWALL4 = shutil.which("fw4") is not None


def enforcer() -> Enforcer:
    """A new one."""
    if not HAS_FIREWALL4:
        return Iptables.of_this_host()
    firewall4 = Firewall4()
    firewall4.prepare()
    return firewall4
