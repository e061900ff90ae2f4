"""A root folder laid out like an OpenWrt router's, in which dmsfw and this Python run: see `Router`.

Libraries are there by their soname only; there is no `.so` link, no ldconfig, no cache of its, no compiler, and no
program but Python. The matches and targets are in libiptext*.so (iptext.c), the folder of extensions does not exist.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import iptc

from dmsfw.enforce import discovery

REPOSITORY = Path(__file__).parents[2]
HOME = "usr/lib/dmsfw"
PARTS = (("", "init_extensions", "libxt_"), ("4", "init_extensions4", "libipt_"), ("6", "init_extensions6", "libip6t_"))
SONAMES = {"xtables": "libxtables.so.12", "ip4tc": "libip4tc.so.2", "ip6tc": "libip6tc.so.2"}
# fmt: off
BUILT_IN = {
    "standard", "tcp", "udp", "icmp", "icmp6", "comment", "set", "limit", "mac", "multiport", "mark", "LOG", "TCPMSS",
    "REJECT", "time", "conntrack", "state", "CT", "NAT", "SNAT", "DNAT", "MASQUERADE", "REDIRECT",
}
# fmt: on
"""What OpenWrt builds into its three libraries. (libxt_NAT: the last four, since iptables 1.8.8.)"""

RECORD = "tmp/record"
HIDDEN = "opt/extensions"
TIMEOUT_S = 60

ENTER = r"""
root=$1 stdlib=$2; shift 2
mount --make-rprivate / &&
mount --bind "$stdlib" "$root$stdlib" && mount --rbind /proc "$root/proc" && mount --bind /run "$root/run" &&
exec chroot "$root" "$@"
"""


@dataclass(frozen=True)
class Run:
    """What one run of Python in the layout came to."""

    code: int
    output: str
    errors: str


class Router:
    """The layout, in a folder of the test's own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in ("usr/lib", "lib", "bin", "proc", "run", "tmp", HIDDEN, f"{HOME}/shim", f"{HOME}/python"):
            (root / folder).mkdir(parents=True)
        self._install_python()
        self._install_dmsfw()
        for name, soname in SONAMES.items():
            shutil.copyfile(_found(name), root / "usr/lib" / soname)
        for extension in Path(os.environ["XTABLES_LIBDIR"]).glob("lib*t_*.so"):
            built_in = extension.stem.partition("_")[2] in BUILT_IN
            if built_in and not extension.is_symlink():  # else libxt_NAT would be there under four names
                shutil.copyfile(extension, root / HIDDEN / extension.name)
        for part in PARTS:
            self._build(*part)

    def remove(self, *names: str) -> None:
        """Remove files of the layout, named as on the router without the first slash."""
        for name in names:
            (self.root / name).unlink()

    def python(self, program: str, *arguments: str, **environment: str) -> Run:
        """Run a program in a mount namespace whose root is the layout, with nothing but dmsfw and Python's own."""
        start = f"import sys; sys.path.insert(0, '/{HOME}/python')\n{program}"
        inside = [self._python, "-I", "-S", "-B", "-W", "ignore", "-c", start, *arguments]
        command = [
            "unshare",
            "--mount",
            "sh",
            "-ec",
            ENTER,
            "sh",
            str(self.root),
            sysconfig.get_path("stdlib"),
            *inside,
        ]
        given = {
            "PATH": os.environ["PATH"],
            "IPTABLES_LIBDIR": f"/{HOME}/shim",
            "INIT_RECORD": f"/{RECORD}",
            **environment,
        }
        done = subprocess.run(command, env=given, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        return Run(done.returncode, done.stdout, done.stderr)

    def record(self) -> list[str]:
        """Tell which init functions were called, in order, with the address family in use."""
        file = self.root / RECORD
        return file.read_text("ascii").splitlines() if file.exists() else []

    def _install_python(self) -> None:
        """The interpreter, and the shared libraries that it, its modules and iptables's load; its modules are bound."""
        self._python = os.path.realpath(sys.executable)
        stdlib = Path(sysconfig.get_path("stdlib"))
        modules = [*stdlib.glob("lib-dynload/_ctypes.*.so"), *stdlib.glob("lib-dynload/zlib.*.so")]
        iptables = [_found(name) for name in SONAMES]
        for name in (self._python, *_libraries(self._python, *iptables, *map(str, modules))):
            target = self.root / name.lstrip("/")
            if not name.startswith(str(stdlib)):
                target = target if name == self._python or "/ld-" in name else self.root / "lib" / Path(name).name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(name, target)
        (self.root / str(stdlib).lstrip("/")).mkdir(parents=True, exist_ok=True)

    def _install_dmsfw(self) -> None:
        shutil.copytree(REPOSITORY / "daemon/dmsfw", self.root / HOME / "python/dmsfw")
        shutil.copytree(Path(iptc.__file__).parent, self.root / HOME / "python/iptc")
        shutil.copyfile(_found("xtwrapper"), self.root / HOME / "shim/libxtwrapper.so")

    def _build(self, number: str, function: str, extensions: str) -> None:
        target = self.root / f"usr/lib/libiptext{number}.so"
        flags = ["-shared", "-fPIC", "-Wall", "-Werror", f"-DINIT={function}", f'-DEXTENSIONS="{extensions}"']
        source = Path(__file__).with_name("iptext.c")
        linked = [self.root / "usr/lib" / SONAMES["xtables"]]
        subprocess.run(["gcc", *flags, "-o", target, source, *linked, "-ldl"], check=True)


def _found(name: str) -> str:
    path = discovery.find(name)
    assert path is not None, name
    return path


def _libraries(*programs: str) -> set[str]:
    """The shared libraries that they load, the loader among them."""
    listed = subprocess.run(["ldd", *programs], check=True, capture_output=True, text=True).stdout
    return set(re.findall(r"(?:=> |^\t)(/\S+) \(", listed, flags=re.MULTILINE))
