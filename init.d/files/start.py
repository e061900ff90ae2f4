# ruff: noqa: INP001 - a program, in no package
"""Starts dmsfw with the modules that lie beside this file. What the router lacks is one line that says what to do.

Python 3.6 can read it: an old Python has to get as far as saying that it is too old.
"""

import os
import struct
import sys
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent
OLDEST = (3, 10)

PACKAGES = {
    "asyncio": "python3-asyncio",
    "ctypes": "python3-ctypes",
    "decimal": "python3-decimal",
    "email": "python3-email",
    "logging": "python3-logging",
    "unicodedata": "python3-codecs",
    "urllib": "python3-urllib",
    "uuid": "python3-uuid",
}
"""Modules that OpenWrt has in packages of their own: dmsfw's package depends on them, and opkg can be forced."""

SHIMS = {
    ("x86_64", 64): "x86_64",
    ("aarch64", 64): "aarch64",
    ("aarch64", 32): "armv7",
    ("armv8l", 32): "armv7",
    ("armv7l", 32): "armv7",
}
"""The folder of libxtwrapper for a kernel's machine and a program's word length."""

FIREWALL4 = Path("/sbin/fw4")
"""With it, iptables is not needed: what is missing there instead, the daemon says."""


def lacks() -> str:
    """Return what is missing, the empty text for nothing."""
    if sys.version_info < OLDEST:
        return f"Python {sys.version.split()[0]} is too old: 3.10 or later is needed (OpenWrt 22.03 or later)"
    missing = sorted({package for module, package in PACKAGES.items() if find_spec(module) is None})
    if missing:
        return f"parts of Python are missing: opkg update && opkg install {' '.join(missing)}"
    if not shim().is_dir():
        return f"there is no libxtwrapper for this processor ({os.uname().machine}): only for x86_64, aarch64 and armv7"
    return ""


def shim() -> Path:
    """Return the folder of libxtwrapper, python-iptables's one piece of C, for this processor."""
    return HERE / "shim" / SHIMS.get((os.uname().machine, struct.calcsize("P") * 8), "none")


def lacks_iptables() -> str:
    """Return why python-iptables cannot be used here, the empty text when it can or need not."""
    if FIREWALL4.exists():
        return ""
    from dmsfw.enforce import library  # noqa: PLC0415 - known only once the path is set
    from dmsfw.errors import DmsfwError  # noqa: PLC0415

    try:
        library.load()
    except DmsfwError as error:
        return str(error)
    return ""


def main() -> int:
    """Look, then hand over to dmsfw. `check` looks for iptables too: the service asks it whether to start."""
    missing = lacks()
    if not missing:
        folders = [str(shim()), *filter(None, [os.environ.get("IPTABLES_LIBDIR")])]
        os.environ["IPTABLES_LIBDIR"] = ":".join(folders)
        sys.path.insert(0, str(HERE / "python"))
        missing = lacks_iptables() if "check" in sys.argv[1:] else ""
    if missing:
        sys.exit(f"dmsfw: {missing}")

    from dmsfw.cli import main as dmsfw  # noqa: PLC0415

    return dmsfw()


if __name__ == "__main__":
    sys.exit(main())
