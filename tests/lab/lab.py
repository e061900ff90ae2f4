"""The whole lab: the router of the field case, with a Docker Engine and Compose."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tests.lab import paths
from tests.lab.engine import IMAGE, Engine, image
from tests.lab.process import Text
from tests.lab.router import Router

Spelling = Literal["label", "name"]
"""Which of the field case's two Compose files: the one that its script finds by the network's label `dms-network`, or
the one that was diagnosed, whose network is named `dms-service_dms-service-network`."""
NETWORKS: dict[Spelling, str] = {"label": "dms-service_dms-network", "name": "dms-service_dms-service-network"}
SERVICE = "app"
BRIDGE_OPTION = "com.docker.network.bridge.name"


@dataclass(frozen=True)
class Network:
    """A network as Docker describes it."""

    id: str
    name: str
    bridge: str
    subnets: tuple[str, ...]

    @property
    def subnet(self) -> str:
        """The first one."""
        return self.subnets[0]


class Lab(Router):
    """A running router with Docker; a context manager.

    Args:
        docker_iptables: let Docker write rules of its own, as on an ordinary host; iStoreOS starts it without.
        docker: start dockerd at once; else `engine.start()` and `load_image()` are the caller's, for a router whose
            Docker comes up late or never.
        ipv6, firewall, internet, firewall4: see Router.

    Attributes:
        engine: dockerd, to be killed, frozen and restarted.
    """

    engine: Engine

    def __init__(
        self,
        *,
        docker_iptables: bool = False,
        docker: bool = True,
        ipv6: bool = True,
        firewall: bool = True,
        internet: bool = True,
        firewall4: bool = False,
    ) -> None:
        super().__init__(ipv6=ipv6, firewall=firewall, internet=internet, firewall4=firewall4)
        self._docker_iptables, self._with_docker = docker_iptables, docker

    def start(self) -> None:
        """Build it, with Docker last. Raises: LabError; the caller stops it then (the `with` statement does)."""
        super().start()
        self.engine = Engine(
            self.folder / "docker",
            self.path("/"),
            self.folder.name,
            self.popen,
            self.sh,
            iptables=self._docker_iptables,
        )
        if self._with_docker:
            self.engine.start()
            self.load_image()

    def path_folders(self) -> Sequence[Path]:
        """Return where the Engine's and Compose's programs are."""
        found = [paths.program(name).parent for name in ("dockerd", "docker", "runc", "busybox", "docker-compose")]
        return list(dict.fromkeys(found))

    def load_image(self) -> None:
        """Give Docker the one image, busybox:local, which cannot be pulled."""
        rootfs = self.folder / "rootfs.tar"
        rootfs.write_bytes(image())
        self.docker("import", str(rootfs), IMAGE)
        rootfs.unlink()

    def docker(self, *arguments: str, check: bool = True) -> Text:
        """Run a docker command."""
        return self.run(["docker", *arguments], check=check)

    def compose(self, *arguments: str, spelling: Spelling = "label", check: bool = True) -> Text:
        """Run a Compose command on one of the field case's two files."""
        file = paths.COMPOSE_FILES / f"{spelling}.yml"
        return self.run(["docker-compose", "-f", file, *arguments], check=check)

    def container(self, name: str, network: str, *options: str) -> None:
        """Start a container that does nothing, in a network; options are those of `docker run`."""
        self.docker("run", "-d", "--init", "--name", name, "--network", network, *options, IMAGE, "sleep", "infinity")

    def network(self, name: str) -> Network:
        """Return a network by its name. Raises: LabError if there is none."""
        found: dict[str, Any] = json.loads(self.docker("network", "inspect", name).stdout)[0]
        default = "docker0" if found["Name"] == "bridge" else f"br-{found['Id'][:12]}"
        return Network(
            id=found["Id"],
            name=found["Name"],
            bridge=found["Options"].get(BRIDGE_OPTION, default),
            subnets=tuple(pool["Subnet"] for pool in found["IPAM"]["Config"] or ()),
        )

    def container_pid(self, name: str) -> int:
        """Return the process id of a running container, by name or Compose service. Raises: LabError."""
        return int(self.engine.container(name)["State"]["Pid"])
