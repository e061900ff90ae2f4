"""What the end-to-end tests share: the daemon in the lab, and the state of the world as it can be compared."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.lab import NETWORKS, Lab, Network, Running, paths

SHIPPED = (paths.ROOT / "init.d" / "files" / "dmsfw.config").read_text("utf-8")
"""The configuration as it is installed, unchanged."""

UCI = Path(__file__).with_name("uci.py")
NAME = "smtp.example.com"
WAN_ADDRESS, WANB_ADDRESS = "198.51.100.2", "198.51.101.7"
TABLES = tuple((family, table) for family in (4, 6) for table in ("filter", "nat", "mangle", "raw"))
TABLE_NAMES = {4: "/proc/net/ip_tables_names", 6: "/proc/net/ip6_tables_names"}
OURS = re.compile(r"DMSFW-|dmsfw:[0-9a-f]{12}")
STAMP = re.compile(r"^\S+T\S+ (?=(debug|info|warning|error) )")
ID = re.compile(r"dmsfw:[0-9a-f]{12}")
HOOK = re.compile(r"-A (FORWARD|POSTROUTING) .*-j DMSFW-")
COMMENT = re.compile(r' -m comment --comment "dmsfw:[^"]*"')
STATUS_FILE = "/run/dmsfw/status.json"


@contextlib.contextmanager
def with_uci(lab: Lab) -> Iterator[None]:
    """Give the router `uci` for as long as the block lasts; it is uci.py, and Debian has none."""
    uci = lab.folder / "bin" / "uci"
    stays = uci.exists()
    uci.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{UCI}" "$@"\n')
    uci.chmod(0o755)
    try:
        yield
    finally:
        if not stays:
            uci.unlink(missing_ok=True)


def config(*options: str, main: Sequence[str] = (), section: str = "smtps") -> str:
    """Write a configuration with one policy: lines such as `list network 'x'`."""
    lines = ["config dmsfw 'main'", *(f"\t{line}" for line in main)]
    if options:
        lines += ["", f"config egress '{section}'", *(f"\t{line}" for line in options)]
    return "\n".join([*lines, ""])


def opens(*names: str, port: str = "465", main: Sequence[str] = ()) -> str:
    """Write a configuration that lets networks of these names reach tcp `port`."""
    return config(*(f"list network '{name}'" for name in names), f"list dest_port '{port}'", main=main)


class Dmsfw:
    """dmsfw in a lab: the daemon that runs last, what it logs, what it shows."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._started: list[Running] = []

    @property
    def running(self) -> Running:
        """The daemon that was started last."""
        return self._started[-1]

    def launch(self, text: str | None = SHIPPED, *arguments: str, **options: Any) -> Running:
        """Start the daemon, and do not wait for it. None: its configuration is there."""
        self._started.append(self.lab.start_dmsfw(text, *arguments, **options))
        return self.running

    def start(self, text: str | None = SHIPPED) -> Running:
        """Start the daemon and wait for its first pass and its status."""
        with contextlib.suppress(FileNotFoundError):
            self.lab.path(STATUS_FILE).unlink()
        running = self.launch(text)
        running.wait_for("started version=")
        self.lab.wait(lambda: self.document["passes"], "the first status")
        return running

    def end(self) -> None:
        """Kill what still runs."""
        for running in self._started:
            if running.returncode is None:
                running.signal(signal.SIGCONT)
                running.kill()

    @property
    def log(self) -> str:
        """All that was logged in this test."""
        file = self.lab.folder / "log" / "dmsfw"
        return file.read_text("utf-8", "replace") if file.exists() else ""

    @property
    def lines(self) -> list[str]:
        """The log without its times: `info started version=...`."""
        return [STAMP.sub("", line) for line in self.log.splitlines()]

    @property
    def document(self) -> dict[str, Any]:
        """The status file, read directly. Raises: OSError while there is none."""
        document: dict[str, Any] = json.loads(self.lab.path(STATUS_FILE).read_text("utf-8"))
        return document

    def state(self) -> tuple[str, str]:
        """The state that the status file shows, and its reasons as one text."""
        document = self.document
        return document["state"], "; ".join(document["reasons"])

    def wait_for(self, state: str, reason: str = "") -> None:
        """Wait until the status file shows a state, with a reason that contains a text."""
        self.lab.wait(lambda: self.state()[0] == state and reason in self.state()[1], f"{state}: {reason}")

    def look_again(self) -> None:
        """Have everything read anew, at once and not when its time comes."""
        self.running.signal(signal.SIGHUP)

    def status(self) -> tuple[int, dict[str, Any]]:
        """Return exit code and document of `dmsfw status --json`."""
        done = self.lab.dmsfw("status", "--json")
        return done.returncode, json.loads(done.stdout)

    def paste(self, *commands: str) -> None:
        """Paste lines into a root shell of the router, where `uci` is uci.py."""
        with with_uci(self.lab):
            self.lab.sh("\n".join(commands))

    def another_pass(self) -> None:
        """Have everything read anew and wait for a pass that began after that."""
        for _ in range(2):  # the first one may have begun before the signal
            passes = self.document["passes"]
            self.look_again()
            self.lab.wait(lambda passes=passes: self.document["passes"] > passes, "another pass")  # type: ignore[misc]


def existing(lab: Lab, family: int) -> list[str]:
    """Return the tables that the kernel has made, so that reading makes no other."""
    return lab.run(["cat", TABLE_NAMES[family]]).stdout.split()


def world(lab: Lab, *, counters: bool = False) -> dict[str, list[str]]:
    """Return every table there is, as iptables-save prints it."""
    return {
        f"{family} {table}": lab.rules(family, table, counters=counters)
        for family, table in TABLES
        if table in existing(lab, family)
    }


def ours(lab: Lab, *, counters: bool = False) -> list[str]:
    """Return every line that is dmsfw's, of all tables: chains, hooks, rules."""
    return [
        f"{where} {line}"
        for where, lines in world(lab, counters=counters).items()
        for line in lines
        if OURS.search(line)
    ]


def foreign(lab: Lab, *, counters: bool = False) -> list[str]:
    """Return every line that is not dmsfw's."""
    return [
        f"{where} {line}"
        for where, lines in world(lab, counters=counters).items()
        for line in lines
        if not OURS.search(line)
    ]


def hook_at(lab: Lab, chain: str = "FORWARD", family: int = 4) -> tuple[str, str]:
    """Return the rules right ahead of and right behind the one hook of a chain; "" at the ends."""
    table = "filter" if chain == "FORWARD" else "nat"
    rules = ["", *(line for line in lab.rules(family, table) if line.startswith(f"-A {chain} ")), ""]
    (at,) = [index for index, line in enumerate(rules) if HOOK.match(line)]
    return rules[at - 1], rules[at + 1]


def mentions(lab: Lab, *texts: str) -> list[str]:
    """Return all lines of all tables that hold one of the texts."""
    return [line for lines in world(lab).values() for line in lines if any(text in line for text in texts)]


def field_network(lab: Lab) -> Network:
    """Return the field case's network, in its first spelling."""
    return lab.network(NETWORKS["label"])


def create(lab: Lab, name: str, *options: str, container: str | None = None) -> Network:
    """Make a network, and a container in it where a name is given."""
    found = lab.docker("network", "create", *options, name).stdout.strip()
    if container:
        lab.container(container, found)
    return lab.network(found)


def named(device: str) -> tuple[str, str]:
    """Return the options that name a network's bridge."""
    return ("-o", f"com.docker.network.bridge.name={device}")


@contextlib.contextmanager
def background(lab: Lab, argv: Sequence[str | Path], **options: Any) -> Iterator[Running]:
    """Run a program for as long as the block lasts."""
    running = lab.popen(argv, **options)
    try:
        yield running
    finally:
        running.kill()


def masked(lines: Iterable[str], **names: str) -> list[str]:
    """Replace what differs from run to run (`bridge="br-1..."`) by its name in angle brackets, ids too."""
    shown = []
    for line in lines:
        text = ID.sub("dmsfw:<id>", line)
        for name, value in names.items():
            text = text.replace(value, f"<{name}>")
        shown.append(text)
    return shown


def rules_for(networks: Iterable[Network], *, uplink: str = "pppoe-wan", port: int = 465) -> list[str]:
    """Return what must stand in the chains of IPv4 for networks that may reach one TCP port, sorted, without comments.

    Written down here by hand, so that the daemon is not its own judge.
    """
    lines = []
    for network in networks:
        there, to, tcp = f"-s {network.subnet}", f"-o {uplink}", f"-p tcp -m tcp --dport {port}"
        new = "-m conntrack --ctstate NEW,RELATED,ESTABLISHED"
        back = "-m conntrack --ctstate RELATED,ESTABLISHED"
        lines += [
            f"-A DMSFW-FORWARD {there} -i {network.bridge} {to} {tcp} {new} -j ACCEPT",
            f"-A DMSFW-FORWARD -d {network.subnet} -i {uplink} -o {network.bridge} {back} -j ACCEPT",
            f"-A DMSFW-POSTROUTING {there} {to} {tcp} -j MASQUERADE",
        ]
    return sorted(lines)


def rules_in(lab: Lab) -> list[str]:
    """Return what stands in the chains of IPv4, in the same way."""
    lines = [line for table in ("filter", "nat") for line in lab.rules(4, table) if line.startswith("-A DMSFW-")]
    return sorted(COMMENT.sub("", line) for line in lines)
