"""The field case from beginning to end, on the real lab. Exit code 0 only if every step went as told."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

from tests.demo.routers import KINDS, Kind
from tests.demo.screen import Screen
from tests.lab import Lab, paths
from tests.lab.errors import LabError
from tests.lab.lab import NETWORKS, SERVICE
from tests.lab.process import Running

CONFIG = paths.ROOT / "init.d" / "files" / "dmsfw.config"
SERVER, PORT, SHUT_PORT = "smtp.example.com", 465, 587
NETWORK = NETWORKS["label"]
STOPWATCH = paths.ROOT / "tests" / "lab" / "inside" / "stopwatch.py"
DAEMON_PATH = {"PYTHONPATH": f"{paths.ROOT / 'daemon'}:{paths.ROOT}"}


class Story:
    """The steps, in order, on one lab."""

    def __init__(self, lab: Lab, screen: Screen, kind: Kind) -> None:
        self.lab, self.screen, self.kind = lab, screen, kind
        self.before = self.tables()

    def tell(self) -> None:
        """All of it."""
        self.the_fault()
        daemon = self.the_remedy()
        self.a_recreation()
        self.a_firewall_restart()
        self.how_it_stands()
        self.the_end(daemon)

    def the_fault(self) -> None:
        """A container cannot reach its mail server, the router can."""
        self.screen.title("1. The fault: a Compose service cannot send mail")
        self.screen.say(self.kind.intro.format(lines=len(self.before)))
        self.lab.compose("up", "-d")
        found = self.lab.network(NETWORK)
        self.screen.show(f"docker-compose up: {NETWORK}", f"{found.bridge} {found.subnet}", good=True)
        self.try_connection("router", PORT, "open")
        self.try_connection(SERVICE, PORT, "refused")

    def the_remedy(self) -> Running:
        """Start dmsfw with the configuration as shipped."""
        self.screen.title("2. dmsfw starts, with its configuration as shipped")
        daemon = self.lab.start_dmsfw(CONFIG.read_text())
        self.lab.wait(lambda: self.status()["state"] == "in sync", "the daemon to be in sync")
        self.screen.quote(str(self.status()["networks"][0]["sentences"][0]))
        self.try_connection(SERVICE, PORT, "open")
        self.try_connection(SERVICE, SHUT_PORT, "refused")
        return daemon

    def a_recreation(self) -> None:
        """Compose makes the network anew: another bridge, another subnet."""
        self.screen.title("3. Compose recreates the network")
        old = self.lab.network(NETWORK)
        watch = self.stopwatch(*self.kind.event)
        self.lab.compose("down", "-t", "0")
        self.lab.compose("up", "-d")
        new = self.lab.network(NETWORK)
        self.screen.show("before", f"{old.bridge} {old.subnet}", good=True)
        moved = new.bridge != old.bridge
        self.screen.show("after", f"{new.bridge} {new.subnet}", good=True, expected=moved)
        self.screen.show("from Docker's event to the rule in the kernel", self.measured(watch), good=True)
        self.try_connection(SERVICE, PORT, "open")
        stale = [line for line in self.tables() if old.bridge in line or (moved and f" {old.subnet} " in line)]
        self.screen.show("rules left of the old bridge", str(len(stale)), good=True, expected=not stale)

    def a_firewall_restart(self) -> None:
        """Everybody's rules are wiped, and the firewall's own loaded anew."""
        self.screen.title("4. The firewall restarts and wipes everybody's rules")
        watch = self.stopwatch(*self.kind.restart)
        self.kind.restart_firewall(self.lab)
        self.screen.show("from the end of the restart to our rules", self.measured(watch), good=True)
        self.try_connection(SERVICE, PORT, "open")

    def how_it_stands(self) -> None:
        """What its owner sees."""
        self.screen.title("5. How it stands")
        done = self.lab.dmsfw("status")
        self.screen.quote(done.stdout, "dmsfw status")
        self.screen.show("exit code", str(done.returncode), good=True, expected=done.returncode == 0)

    def the_end(self, daemon: Running) -> None:
        """It stops, and cleans up behind itself."""
        self.screen.title("6. The end: nothing is left behind")
        code = daemon.stop()
        self.screen.show("dmsfw stops on SIGTERM, exit code", str(code), good=True, expected=code == 0)
        self.screen.quote(self.lab.dmsfw("clean").stdout, "dmsfw clean")
        self.lab.compose("down", "-t", "0")
        same = self.tables() == self.before
        found = "as before the start" if same else "not as before"
        self.screen.show("the router's tables, IPv4 and IPv6", found, good=True, expected=same)

    def try_connection(self, source: str, port: int, expected: str) -> None:
        """Connect by name, and show what came of it."""
        answer = self.lab.connect(source, SERVER, port)
        label = f"{'the router' if source == 'router' else 'the container'} connects to {SERVER}:{port}"
        seen = f"{answer}, seen there as {answer.peer}" if answer.peer and source == SERVICE else str(answer)
        self.screen.show(label, seen, good=answer == "open", expected=answer == expected)

    def stopwatch(self, *arguments: str) -> Running:
        """Start the independent watch inside the router, and wait until it looks."""
        watch = self.lab.popen([sys.executable, STOPWATCH, *arguments], name="stopwatch", env=DAEMON_PATH)
        watch.wait_for("ready")
        return watch

    def measured(self, watch: Running) -> str:
        """What it measured."""
        watch.wait()
        return f"{json.loads(watch.log().splitlines()[-1])['ms']:.1f} ms"

    def status(self) -> dict[str, object]:
        """The status document."""
        found: dict[str, object] = json.loads(self.lab.dmsfw("status", "--json").stdout)
        return found

    def tables(self) -> list[str]:
        """All rules and chains of the router."""
        return self.kind.tables(self.lab)


def main() -> int:
    """Tell the story. Ctrl-C and SIGTERM end it, and the lab with it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    screen, kind = Screen(), KINDS.get(sys.argv[1] if len(sys.argv) > 1 else "fw3")
    if kind is None:
        print(f"usage: python -m tests.demo [{'|'.join(KINDS)}]", file=sys.stderr)
        return 1
    try:
        with kind.lab() as lab:
            kind.furnish(lab)
            Story(lab, screen, kind).tell()
            folder = Path(lab.folder)
        screen.show("the lab's namespaces, processes, folder", "gone", good=True, expected=not folder.exists())
    except LabError as error:
        screen.show("the lab", str(error), good=False, expected=False)
    except KeyboardInterrupt:
        return 130
    return screen.end()


if __name__ == "__main__":
    sys.exit(main())
