"""A Docker Engine of the lab's own: a real dockerd with its containerd, at the router's /var/run/docker.sock."""

from __future__ import annotations

import io
import json
import signal
import socket
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.lab import paths
from tests.lab.errors import LabError
from tests.lab.process import SHOWN, Running
from tests.lab.wait import wait

SOCKET = "/run/docker.sock"
ANSWER_S = 2.0
"""A living dockerd answers within milliseconds."""
STOP_S = 60.0
"""At SIGTERM dockerd gives each container ten seconds before it kills it."""
IMAGE = "busybox:local"
BRIDGES_SWITCH = "for k in /proc/sys/net/bridge/bridge-nf-call-ip*; do [ ! -e $k ] || echo 0 >$k; done"
"""Again, as in the holder: dockerd may have loaded the module just now, and its default is 1."""


class Engine:
    """dockerd, started and ended in all the ways that it meets on a router.

    Args:
        folder: for its data; `root` is the router's / as seen from outside.
        cgroup: the parent of all its containers' cgroups.
        popen: starts a program in the router (Namespaces.popen); `sh` runs a script there.
    """

    def __init__(
        self,
        folder: Path,
        root: Path,
        cgroup: str,
        popen: Callable[..., Running],
        sh: Callable[..., object],
        *,
        iptables: bool,
    ) -> None:
        self._folder, self._root, self._cgroup = folder, root, cgroup
        self._popen, self._sh, self.iptables = popen, sh, iptables
        self._dockerd: Running | None = None

    def _command(self) -> list[str | Path]:
        return [
            "env",
            f"TMPDIR={self._folder}",  # for the stacks of a containerd that its dockerd ends
            paths.program("dockerd"),
            f"--host=unix://{SOCKET}",
            f"--data-root={self._folder}/data",
            f"--exec-root={self._folder}/exec",
            f"--pidfile={self._folder}/docker.pid",
            "--storage-driver=vfs",  # works on any file system, and the one image is small
            f"--iptables={'true' if self.iptables else 'false'}",
            "--exec-opt=native.cgroupdriver=cgroupfs",
            f"--cgroup-parent=/{self._cgroup}",
            f"--init-path={paths.program('tini-static')}",
        ]

    @property
    def dockerd(self) -> Running:
        """The daemon's process. Raises: LabError before the first start."""
        if self._dockerd is None:
            raise LabError("dockerd was not started")
        return self._dockerd

    def start(self) -> None:
        """Start dockerd and wait until it answers. Raises: LabError with its log."""
        self._clear()
        self._dockerd = self._popen(self._command(), name="dockerd")
        wait(lambda: self.version() or self.dockerd.returncode is not None, "dockerd's answer")
        if self.dockerd.returncode is not None:
            raise LabError(f"dockerd ended with {self.dockerd.returncode}\n{self.dockerd.log()[-SHOWN:]}")
        self._sh(BRIDGES_SWITCH)

    def _clear(self) -> None:
        """End a containerd that outlived a killed dockerd, which would block the next start."""
        pid_file = self._folder / "exec" / "containerd" / "containerd.pid"
        if pid_file.exists():
            self._sh(f"kill -9 {int(pid_file.read_text())} 2>/dev/null || true")
            pid_file.unlink()
        (self._folder / "docker.pid").unlink(missing_ok=True)

    def version(self) -> str | None:
        """Ask dockerd for its version; None while it does not answer. A socket that is there is no sign of life."""
        try:
            return str(self._get("/version")["Version"])
        except (OSError, ValueError, KeyError):
            return None

    def _get(self, path: str) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(ANSWER_S)
            connection.connect(str(self._root / SOCKET.lstrip("/")))
            connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            with connection.makefile("rb") as stream:
                body = stream.read().partition(b"\r\n\r\n")[2]
        answer: dict[str, Any] = json.loads(body)
        return answer

    def stop(self) -> None:
        """SIGTERM: dockerd stops its containers and ends."""
        self.dockerd.stop(STOP_S)

    def kill(self) -> None:
        """SIGKILL: dockerd is gone at once; its containers and its containerd live on."""
        self.dockerd.kill()

    def freeze(self) -> None:
        """SIGSTOP: the socket accepts connections and nobody answers."""
        self.dockerd.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self.dockerd.signal(signal.SIGCONT)

    def restart(self) -> None:
        """Stop it, unless it has ended, and start it again."""
        if self.dockerd.returncode is None:
            self.stop()
        self.start()

    def container(self, name: str) -> dict[str, Any]:
        """Return what dockerd wrote down of a running container, by its name or its Compose service.

        Read from dockerd's own files: it may be dead or stopped. Raises: LabError.
        """
        for file in (self._folder / "data" / "containers").glob("*/config.v2.json"):
            found: dict[str, Any] = json.loads(file.read_text("utf-8"))
            service = (found["Config"].get("Labels") or {}).get("com.docker.compose.service")
            if found["State"]["Running"] and name in (found["Name"].lstrip("/"), service):
                return found
        raise LabError(f"no running container {name}")


def image() -> bytes:
    """Return the root file system of the one image, as a tar: busybox under each of its names."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for folder in ("bin", "etc", "tmp"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        tar.add(paths.program("busybox").resolve(), "bin/busybox")
        for applet in ("sh", "sleep", "nc", "wget", "nslookup", "ip", "cat", "true"):
            entry = tarfile.TarInfo(f"bin/{applet}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(entry)
    return archive.getvalue()
