"""dmsfw in the lab, as the chaos has it: started, killed, awaited, and judged by what stands in the tables."""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.chaos import expected, scene
from tests.chaos.expected import Expected, World
from tests.chaos.guise import Guise
from tests.chaos.proxy import DockerProxy
from tests.lab import Lab, LabError, Running, paths
from tests.lab.router import DMSFW_ENVIRONMENT, DMSFW_RUN_DIR

FAKETIME = paths.CACHE / "faketime"
LIMIT_S = 45.0
"""In sync again after so long, or it never will be: every wait of the daemon's own ends within 10 s."""
RUN_DIR_SIZE = "256k"
OPEN_NET, OTHER_NET = "dms-network", "other"
INSIDE, OUTSIDE = "inside", "outside"
"""A container in the network that is open, and one in a network that nobody selects."""
MAIN = """\
config dmsfw 'main'
\toption docker_url 'unix://{socket}'
\toption resync_interval '{resync}'
"""
SMTPS = """
config egress 'smtps'
\tlist label 'com.docker.compose.network=dms-network'
\tlist network 'dms-*'
\tlist dest_port '{ports}'
"""
STOP_S = 5.0
SHOWN = 6000
"""Characters of the log that a failure shows."""


class Broken(Exception):
    """A promise that was not kept."""


class Patient:
    """The daemon and its world.

    Of the step that runs: `worst_s` and `died`; `asleep`: the daemon cannot do anything now; `locked`: nor can any
    writer; `may_stumble`: it may log a
    fault of its own; `may_die`: it may end, and is started again then.
    """

    def __init__(self, lab: Lab, proxy: DockerProxy, firewall: Guise) -> None:
        self.lab, self.proxy, self.firewall = lab, proxy, firewall
        self.dice = random.Random(0)
        self.worst_s, self.died = 0.0, 0
        self.may_die = self.may_stumble = self.asleep = self.locked = False
        self.numbers = itertools.cycle(range(1, 250))
        self._memory = expected.Memory()
        self._running: Running | None = None
        self._logged = 0
        self._unread: dict[str, World] = {}
        self._furnish()

    def _furnish(self) -> None:
        lab = self.lab
        lab.sh(f"mkdir -p {DMSFW_RUN_DIR}; mount -t tmpfs -o size={RUN_DIR_SIZE},mode=755 chaos {DMSFW_RUN_DIR}")
        (lab.folder / "clock").write_text("+0\n")
        self.firewall.furnish()
        lab.docker("network", "create", "--subnet", "10.70.0.0/24", OTHER_NET)
        lab.container(OUTSIDE, OTHER_NET)
        self.recreate()
        self.write_config(self.usual())
        self.start()

    def usual(self, *extra: str, ports: str = "465", resync: int = 60, main: str = "") -> str:
        """Return the configuration that each step begins and ends with, or a variant of it."""
        head = MAIN.format(socket=self.proxy.path, resync=resync) + main
        return head + SMTPS.format(ports=ports) + "".join(f"\t{line}\n" for line in extra)

    def write_config(self, text: str) -> None:
        """Put a configuration in place, and expect what it says."""
        self.config = text
        self.lab.configure(text)

    def subnet(self) -> str:
        """Return a subnet that was not used of late."""
        return f"10.{71 + self.dice.randrange(100)}.{next(self.numbers)}.0/24"

    def recreate(self) -> None:
        """Make the open network anew, with another bridge and another subnet, and its container."""
        self.lab.docker("rm", "-f", INSIDE, check=False)
        self.lab.docker("network", "rm", OPEN_NET, check=False)
        self.lab.docker("network", "create", "--subnet", self.subnet(), OPEN_NET)
        self.lab.container(INSIDE, OPEN_NET)

    # The daemon's life

    @property
    def running(self) -> Running:
        """The daemon. Raises: LabError before the first start."""
        if self._running is None:
            raise LabError("dmsfw was not started")
        return self._running

    def start(self, *, faked: bool = False) -> None:
        """Start it; `faked`: with a clock that is read from the file `clock` of the lab."""
        env = DMSFW_ENVIRONMENT | {"PYTHONFAULTHANDLER": "1"}
        if faked:
            (library,) = FAKETIME.glob("usr/lib/*/faketime/libfaketime.so.1")
            env |= {"LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(self.lab.folder / "clock")}
            env |= {"FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}
        self._memory.forget()
        self._running = self.lab.popen(scene.command("run"), name="dmsfw", env=env)

    def kill(self) -> None:
        """SIGKILL."""
        self.running.kill()

    def stop(self) -> None:
        """SIGTERM, and it ends well. Raises: Broken."""
        status = self.running.stop()
        if status:
            raise Broken(f"at SIGTERM it ended with {status}")

    def ensure(self) -> None:
        """Start it again should it have ended, as procd does; where a step does not allow for that: Broken."""
        if self.running.returncode is None:
            return
        self.died += 1
        if not self.may_die:
            raise Broken(f"the daemon ended by itself: {self.running.returncode}\n{self.running.log()[-3000:]}")
        self.start()

    def begin(self, dice: random.Random, what: str) -> None:
        """A step begins."""
        self.dice, self.worst_s, self.died = dice, 0.0, 0
        self.may_die = self.may_stumble = self.asleep = self.locked = False
        self._logged = len(self.log)
        with (self.lab.folder / "log" / "dmsfw").open("a") as file:
            file.write(f"-- {what}\n")

    @property
    def log(self) -> str:
        """All that it has logged, whichever daemon it was."""
        return (self.lab.folder / "log" / "dmsfw").read_text("utf-8", "replace")

    # What must be

    def world(self) -> World:
        """Docker and netifd of now; of one that the daemon cannot read, the last that it could."""
        now = expected.look(self.lab) if "docker" not in self._unread else self._unread["docker"]
        if "ubus" in self._unread:
            return replace(now, interfaces=self._unread["ubus"].interfaces)
        return replace(now, interfaces=expected.interfaces(self.lab))

    @contextlib.contextmanager
    def unreadable(self, source: str) -> Iterator[Expected]:
        """While the daemon cannot read "docker" or "ubus", it goes on with what it read last. Gives what must be."""
        wanted = self.settle()
        self._unread[source] = self.world()
        try:
            yield wanted
        finally:
            del self._unread[source]

    def wanted(self) -> Expected:
        """What the tables must hold now."""
        return expected.expected(self.config, self.world(), self._memory)

    def settle(self, wanted: Expected | None = None, limit: float = LIMIT_S) -> Expected:
        """Wait until the tables are as they must be, and note how long it took. Raises: Broken."""
        began = time.monotonic()
        wanted = wanted or self.wanted()
        if self.asleep:
            return wanted
        while found := self.firewall.faults(wanted):
            self.ensure()
            took = time.monotonic() - began
            if took > limit:
                raise Broken("\n  ".join([f"not in sync after {took:.0f} s", *found[:12], self.autopsy()]))
        self.worst_s = max(self.worst_s, time.monotonic() - began)
        return wanted

    def autopsy(self) -> str:
        """End the daemon so that it says where each of its threads stands; return what it has logged in this step."""
        self.running.signal(signal.SIGABRT)
        with contextlib.suppress(LabError):
            self.running.wait(STOP_S)
        return self.said[-SHOWN:]

    def inner_pid(self) -> int:
        """The daemon's process id as the router sees it."""
        status = Path(f"/proc/{self.running.pid}/status").read_text()
        return int(re.findall(r"^NSpid:.*\s(\d+)$", status, re.MULTILINE)[0])

    def status(self) -> dict[str, Any]:
        """The status file. Raises: OSError, ValueError."""
        document: dict[str, Any] = json.loads(self.lab.path(scene.STATUS).read_text("utf-8"))
        return document

    @property
    def up(self) -> dict[str, str]:
        """The devices of the interfaces that are up."""
        return self.world().up

    @property
    def said(self) -> str:
        """What was logged in this step."""
        return self.log[self._logged :]

    def sh(self, *lines: str) -> None:
        """Run lines in the router."""
        self.lab.sh("\n".join(lines))

    def flush_and_heal(self, wanted: Expected) -> None:
        """Whatever is broken now, a restart of the firewall heals."""
        if not self.locked:
            self.firewall.restart()
        self.settle(wanted, limit=10.0)
