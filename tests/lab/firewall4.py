"""firewall4 as a newer router runs it: the recorded ruleset, and the things that befall everybody's tables."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from subprocess import CompletedProcess

from tests.lab import nft, paths

Run = Callable[[Sequence[str]], "CompletedProcess[str]"]
PLACES = {"table-pre": "table-pre", "forward": "chain-pre/forward", "srcnat": "chain-post/srcnat"}

LIBRARIES = "echo {folder} >/etc/ld.so.conf.d/zz-lab.conf; /sbin/ldconfig"
"""Has the router's loader find nft's libraries, behind the machine's own: then nft starts as it does on a router."""

INCLUDES = "/usr/share/nftables.d"

SHARE = """
mkdir {lab}/mnt/share
mount --rbind /usr/share {lab}/mnt/share
mount -t tmpfs lab /usr/share
for entry in {lab}/mnt/share/*; do ln -s "$entry" /usr/share/; done
rm -f /usr/share/nftables.d
"""
"""Lets the router have include files of its own in the machine's folder."""


class Firewall4:
    """Drives the program `fw4` inside the router (see inside/fw4.py for what it does)."""

    def __init__(self, folder: Path, config: Path, run: Run) -> None:
        self._folder, self._run = folder, run
        (folder / "fw4").mkdir(exist_ok=True)
        shutil.copy(nft.RULESET, folder / "fw4" / "ruleset")
        shutil.copy(paths.RECORDED / "fw4.state.json", folder / "fw4" / "state")
        shutil.copy(paths.RECORDED / "config.firewall4", config / "firewall")
        program = folder / "bin" / "fw4"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{paths.INSIDE / "fw4.py"}" "$@"\n')
        program.chmod(0o755)
        (folder / "bin" / "nft").symlink_to(nft.PROGRAM)
        self._run(["/bin/sh", "-ec", LIBRARIES.format(folder=nft.libraries())])
        self._run(["/bin/sh", "-ec", SHARE.format(lab=folder)])

    def include(self) -> None:
        """Put the package's include files where firewall4 finds them, from the next reload on."""
        for name, place in PLACES.items():
            target = f"{INCLUDES}/{place}/10-dmsfw.nft"
            self._run(["install", "-D", "-m", "644", str(nft.INCLUDES / f"{name}.nft"), target])

    def exclude(self) -> None:
        """Take them away."""
        self._run(["rm", "-rf", INCLUDES])

    def restart(self) -> None:
        """Delete the table and load it anew."""
        self._run(["fw4", "restart"])

    def reload(self) -> None:
        """Load it anew in one transaction."""
        self._run(["fw4", "reload"])

    def stop(self) -> None:
        """Delete the table."""
        self._run(["fw4", "stop"])

    def start(self) -> None:
        """Load it."""
        self._run(["fw4", "start"])

    def flush(self) -> None:
        """Delete everybody's tables."""
        self._run(["fw4", "flush"])
