"""firewall3 as the router runs it: the recorded ruleset, and the three things that befall everybody's rules."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from subprocess import CompletedProcess

from tests.lab import paths

Run = Callable[[Sequence[str]], "CompletedProcess[str]"]
RULESETS = {4: "fw3.iptables-save.txt", 6: "fw3.ip6tables-save.txt"}


class Firewall3:
    """Drives the program `fw3` inside the router (see inside/fw3.py for what it does)."""

    def __init__(self, folder: Path, config: Path, run: Run, *, ipv6: bool) -> None:
        self._folder, self._run = folder, run
        for family in (4, 6) if ipv6 else (4,):
            shutil.copy(paths.RECORDED / RULESETS[family], folder / f"{family}.rules")
        shutil.copy(paths.RECORDED / "fw3.state", folder / "state")
        shutil.copy(paths.RECORDED / "config.firewall", config / "firewall")
        self.zone_wan("pppoe-wan")

    def zone_wan(self, *devices: str) -> None:
        """Say which devices the zone `wan` has; holds from the next restart or reload on."""
        (self._folder / "wan").write_text("\n".join(devices))

    def restart(self) -> None:
        """Wipe every table, everybody's chains too, and load anew."""
        self._run(["fw3", "restart"])

    def reload(self) -> None:
        """Replace only firewall3's own rules; others end up above them."""
        self._run(["fw3", "reload"])

    def flush(self) -> None:
        """Wipe every table and leave it so, as `/etc/init.d/firewall stop` does."""
        self._run(["fw3", "flush"])
