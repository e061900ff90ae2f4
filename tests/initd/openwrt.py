"""The lab with OpenWrt's face: busybox for a shell, and a /usr, /lib and /etc that a package can be installed into.

Everything lies in the lab's own mount namespace: overlays whose upper layers go with it.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.initd.router import INITD, STANDINS
from tests.lab import Lab, LabError, Running, paths
from tests.lab.process import Text

FURNISH = """
mkdir -p "$LAB_FOLDER/mnt/usr/upper" "$LAB_FOLDER/mnt/usr/work" {state}
mount -t overlay lab -o "lowerdir=/usr,upperdir=$LAB_FOLDER/mnt/usr/upper,workdir=$LAB_FOLDER/mnt/usr/work" /usr
mount --bind {busybox} "$(readlink -f /bin/sh)"
ln -s {standins}/rc.common /etc/rc.common
ln -s {standins}/functions.sh /lib/functions.sh
rm -rf /etc/init.d /etc/hotplug.d
mkdir -p /etc/init.d /usr/lib/opkg/info
ln -sf {python} /usr/bin/python3
# musl's library, and so the one that libxtwrapper asks for, is called libc.so; the C library of here takes its place.
for libc in /usr/lib/*/libc.so.6; do
    ln -sf libc.so.6 "${{libc%.6}}"
done
"""
STATE = "/run/standins"
PROGRAM = """#!/bin/sh
PYTHONPATH={daemon} exec {python} -m dmsfw "$@"
"""
WATCH = """
while [ ! -e {stop} ]; do
    iptables-legacy-save -t filter | grep -q -- {rule} && echo there || echo gap
done
"""


class OpenWrt(Lab):
    """A lab into which packages can be installed. `python`: what is its /usr/bin/python3. `firewall4`: see Router.

    Skips where no overlay can be. Its daemon is procd's, not the caller's: `/etc/init.d/dmsfw start` starts it.
    """

    def __init__(self, python: Path, *, firewall4: bool = False) -> None:
        super().__init__(firewall4=firewall4)
        self._python = python

    def start(self) -> None:
        """Build it. Raises: LabError."""
        super().start()
        places = {
            "busybox": paths.program("busybox"),
            "standins": STANDINS,
            "python": self._python.resolve(),
            "state": STATE,
        }
        try:
            self.sh(FURNISH.format(**places))
            if self._with_firewall4:
                self.sh('ln -s "$LAB_FOLDER/bin/fw4" /sbin/fw4')
        except LabError as error:
            pytest.skip(f"no overlay file system here: {error}")

    def environment(self) -> dict[str, str]:
        """As a lab's, with what the stand-ins are told."""
        return super().environment() | {"STANDINS": str(STANDINS), "STANDIN_STATE": STATE}

    def install_service(self) -> None:
        """Put the service of this repository there, with its program run from here."""
        self.put("/etc/init.d/dmsfw", (INITD / "dmsfw").read_text(), 0o755)
        program = PROGRAM.format(daemon=paths.ROOT / "daemon", python=shlex.quote(str(self._python)))
        self.put("/usr/bin/dmsfw", program, 0o755)

    def put(self, inside: str, text: str, mode: int = 0o644) -> None:
        """Write a file of the router."""
        path = self.path(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        path.chmod(mode)

    def initd(self, *arguments: str, check: bool = True) -> Text:
        """Run the init script by its name, as its owner does."""
        return self.run(["/etc/init.d/dmsfw", *arguments], check=check)

    def daemon_log(self) -> str:
        """Return what the daemon wrote, which procd would put into the system's log."""
        file = self.path(f"{STATE}/output")
        return file.read_text("utf-8", "replace") if file.exists() else ""

    def wait_for_log(self, text: str, times: int = 1) -> None:
        """Wait until the daemon has said something so many times."""
        self.wait(lambda: self.daemon_log().count(text) >= times, f"{text!r} in the daemon's log")

    @contextlib.contextmanager
    def watched(self, rule: str) -> Iterator[list[str]]:
        """Look for a rule in the filter table again and again; the list is filled when the block ends."""
        seen: list[str] = []
        stop = "/run/watch.stop"
        script = WATCH.format(stop=stop, rule=shlex.quote(rule))
        watcher: Running = self.popen(["/bin/sh", "-c", script], name="watch")
        try:
            watcher.wait_for("there")
            yield seen
        finally:
            self.sh(f"touch {stop}")
            watcher.wait()
            self.sh(f"rm {stop}")
            seen += watcher.log().split()
