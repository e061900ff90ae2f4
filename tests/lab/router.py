"""The router of the field case, without Docker: the light lab. It starts in less than a fifth of a second."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from tests.lab import paths
from tests.lab.errors import LabError
from tests.lab.firewall3 import Firewall3
from tests.lab.firewall4 import Firewall4
from tests.lab.isp import PORTS, Isp
from tests.lab.namespaces import Namespaces
from tests.lab.netifd import Netifd
from tests.lab.probe import TIMEOUT_S, Answer, Prober
from tests.lab.process import Running, Text
from tests.lab.uplinks import RESOLVER, SERVER, SERVER6, WAN, WANB, Uplink
from tests.lab.wait import TIMEOUT_S as PATIENCE_S
from tests.lab.wait import wait

T = TypeVar("T")
LOCAL_RESOLVER = ("127.0.0.1", "192.168.100.1")
"""Where the router's own name server listens: on its loopback and, as dnsmasq does, for its LAN."""
ZONE = {
    "smtp.example.com": (SERVER, SERVER6),
    "smtp4.example.com": (SERVER,),
    "smtp6.example.com": (SERVER6,),
}
LEGACY = ("iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore")
SAVE = {4: "iptables-legacy-save", 6: "ip6tables-legacy-save"}
STATIC_WAN = "option device 'pppoe-wan'\n\toption proto 'static'"
PPPOE_WAN = "option device 'eth0'\n\toption proto 'pppoe'"
"""The recorded router had a static WAN; on the field case's, this option names the port below PPPoE."""
DMSFW_RUN_DIR = "/run/dmsfw"


class Router(Namespaces):
    """A running router; a context manager.

    Args:
        ipv6: addresses, routes and firewall rules for IPv6 too.
        firewall: load the recorded firewall3 ruleset; else the tables are the kernel's, empty and open.
        firewall4: the firewall is firewall4 (`fw4`, with nft on the PATH, `firewall4` below), not firewall3.
        internet: start the provider's listeners and the name servers; else traffic finds nobody.

    Attributes:
        wan, wanb: the lines to the provider: `wan` (pppoe-wan) is up, `wanb` (eth2) waits for its `up()`.
        netifd, firewall, isp: see there. firewall4: only with the argument of that name.
        config: the router's /etc/config, as a folder of this machine: `network` and `firewall` lie in it.
    """

    wan: Uplink
    wanb: Uplink
    netifd: Netifd
    firewall: Firewall3
    firewall4: Firewall4
    isp: Isp

    def __init__(
        self, *, ipv6: bool = True, firewall: bool = True, internet: bool = True, firewall4: bool = False
    ) -> None:
        self._with_firewall4 = firewall4
        self._ipv6, self._with_firewall, self._with_internet = ipv6, firewall, internet

    @property
    def config(self) -> Path:
        return self.folder / "etc" / "config"

    def start(self) -> None:
        """Build it. Raises: LabError; the caller stops it then (the `with` statement does)."""
        super().start()
        self.netifd = Netifd(self.folder / "netifd", self.folder / "bin")
        self.wan = Uplink(WAN, self.sh, self.netifd, ipv6=self._ipv6)
        self.wanb = Uplink(WANB, self.sh, self.netifd, ipv6=self._ipv6)
        self.isp = Isp(self.folder / "log" / "isp.json", self.sh)
        self.firewall = Firewall3(self.folder / "fw3", self.config, self.run, ipv6=self._ipv6)
        if self._with_firewall4:
            (self.folder / "bin" / "fw3").unlink()
            self.firewall4 = Firewall4(self.folder, self.config, self.run)
        self.sh(Isp.commands(ipv6=self._ipv6) + "\n" + self.wan.commands())
        self.wan.up_for_netifd()
        self._start_services()

    def furnish(self) -> None:
        """Lay out what the router finds in /etc and first on its PATH."""
        self.set_resolver(LOCAL_RESOLVER[0])
        zone = [f"{name} {address}\n" for name, addresses in ZONE.items() for address in addresses]
        (self.folder / "zone").write_text("".join(zone))
        for name in ("isp.json", "dns.json"):
            (self.folder / "log" / name).touch()
        network = (paths.RECORDED / "config.network").read_text("utf-8")
        self.configure(network.replace(STATIC_WAN, PPPOE_WAN), "network")
        for name in LEGACY:
            (self.folder / "bin" / name).symlink_to(paths.system("iptables-legacy"))
        fw3 = self.folder / "bin" / "fw3"
        fw3.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{paths.INSIDE / "fw3.py"}" "$@"\n')
        fw3.chmod(0o755)

    def _start_services(self) -> None:
        """Start the provider's listeners and both name servers, load the firewall meanwhile, then wait for them."""
        services = self._internet() if self._with_internet else []
        if self._with_firewall4:
            self.firewall4.restart()
        elif self._with_firewall:
            self.firewall.restart()
        for service in services:
            service.wait_for("ready")

    def _internet(self) -> list[Running]:
        python: list[str | Path] = [sys.executable, "-I", "-S"]
        dns: list[str | Path] = [paths.INSIDE / "nameserver.py", self.folder / "zone", self.folder / "log" / "dns.json"]
        addresses = f"{SERVER},{SERVER6}" if self._ipv6 else SERVER
        listeners: list[str | Path] = [
            paths.INSIDE / "internet.py",
            self.folder / "log" / "isp.json",
            addresses,
            *map(str, PORTS),
        ]
        return [
            self.popen([*python, *listeners], netns="isp", name="internet"),
            self.popen([*python, *dns, RESOLVER], netns="isp", name="provider-dns"),
            self.popen([*python, *dns, *LOCAL_RESOLVER], name="router-dns"),
        ]

    def configure(self, text: str, name: str = "dmsfw") -> Path:
        """Put a file into /etc/config, renamed into place as `uci commit` does; return its path outside."""
        target = self.config / name
        new = target.with_name(f".{name}.new")
        new.write_text(text, "utf-8")
        os.replace(new, target)  # noqa: PTH105 - the same, in fewer words
        return target

    def set_resolver(self, address: str = RESOLVER) -> None:
        """Write the router's resolv.conf, which containers take over when they start.

        The default takes it off the router's loopback: names are then asked of the provider, through the WAN.
        """
        (self.folder / "etc" / "resolv.conf").write_text(f"nameserver {address}\n")

    def rules(self, family: int = 4, table: str = "filter", *, counters: bool = False) -> list[str]:
        """Return a table as iptables-save prints it: chains and rules, without remarks. Reading it may create it."""
        lines = self.run([SAVE[family], *(["-c"] if counters else []), "-t", table]).stdout.splitlines()
        lines = [line for line in lines if line.startswith((":", "-A", "["))]
        return lines if counters else [line.split(" [")[0] if line.startswith(":") else line for line in lines]

    def connect(self, source: str, host: str, port: int, *, proto: str = "tcp", timeout: int = TIMEOUT_S) -> Answer:
        """Try a connection from a container, "router" or "lan": see Prober.connect."""
        return Prober(self.run, self.container_pid).connect(source, host, port, proto=proto, timeout=timeout)

    def container_pid(self, name: str) -> int:
        """Return the process id of a container, as the router sees it. Raises: LabError; there is no Docker here."""
        raise LabError(f"no Docker in this lab, so no container {name}")

    def dmsfw(self, *arguments: str, check: bool = False, python: str = sys.executable) -> Text:
        """Run a dmsfw command in the router, with the router's /etc/config/dmsfw and /run/dmsfw."""
        return self.run(self._dmsfw(python, arguments), check=check, env=DMSFW_ENVIRONMENT)

    def start_dmsfw(self, config: str | None = None, *arguments: str, python: str = sys.executable) -> Running:
        """Start the daemon (after writing its configuration, where given); its log is in the handle's log()."""
        if config is not None:
            self.configure(config)
        return self.popen(self._dmsfw(python, ("run", *arguments)), name="dmsfw", env=DMSFW_ENVIRONMENT)

    @staticmethod
    def _dmsfw(python: str, arguments: Sequence[str]) -> list[str]:
        return [python, "-m", "dmsfw", "--config", "/etc/config/dmsfw", "--run-dir", DMSFW_RUN_DIR, *arguments]

    def wait(self, condition: Callable[[], T | None], what: str = "", timeout: float = PATIENCE_S) -> T:
        """Return the condition's first true value. Raises: NotYet."""
        return wait(condition, what, timeout)


DMSFW_ENVIRONMENT = {"PYTHONPATH": str(paths.ROOT / "daemon")}
