"""The lab's `fw4`: does to nftables what firewall4 does, with the ruleset recorded from the real one.

    fw4 start, reload  one transaction: the table emptied, the ruleset, the include files
    fw4 restart        the table deleted, then the same
    fw4 stop           the table deleted, the state file unlinked
    fw4 flush          every table of nftables deleted

As the real one it holds /var/run/fw4.lock until it is done and writes /var/run/fw4.state before nft loads. The includes
lie in /usr/share/nftables.d: table-pre, chain-pre/forward, chain-post/srcnat.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(os.environ["LAB_FOLDER"])
RUN = Path("/var/run")
INCLUDES = Path("/usr/share/nftables.d")
STATE = RUN / "fw4.state"
FRAME = '\t\tct state vmap { established : accept, related : accept } comment "!fw4: Handle forwarded'
ZONE = '\t\toifname "pppoe-wan" jump srcnat_wan comment "!fw4: Handle wan IPv4/IPv6 srcnat traffic"\n'


def included(folder: str) -> str:
    """Return the include files of a folder, one behind the other."""
    return "".join(path.read_text() for path in sorted((INCLUDES / folder).glob("*.nft")))


def rendered() -> str:
    """Return firewall4's script."""
    text = (FOLDER / "fw4" / "ruleset").read_text()
    text = text.replace("table inet fw4 {\n", "table inet fw4 {\n" + included("table-pre"), 1)
    text = text.replace(FRAME, included("chain-pre/forward") + FRAME, 1)
    text = text.replace(ZONE, ZONE + included("chain-post/srcnat"), 1)
    return "table inet fw4\nflush table inet fw4\n" + text


def nft(text: str, *, check: bool = True) -> None:
    """Load a script."""
    subprocess.run(["nft", "-f", "-"], input=text, check=check, text=True)


def load() -> None:
    """Load the ruleset; the state is written first."""
    STATE.write_text((FOLDER / "fw4" / "state").read_text())
    nft(rendered())


def stop() -> None:
    """Delete the table."""
    STATE.unlink(missing_ok=True)
    nft("table inet fw4\ndelete table inet fw4\n")


def restart() -> None:
    """Delete the table, then load it."""
    stop()
    load()


def flush() -> None:
    """Delete everybody's tables."""
    STATE.unlink(missing_ok=True)
    nft("flush ruleset\n")


COMMANDS = {"start": load, "reload": load, "restart": restart, "stop": stop, "flush": flush}


def main() -> int:
    """Run one command under firewall4's own lock."""
    command = COMMANDS.get(sys.argv[1] if len(sys.argv) > 1 else "")
    if command is None:
        print(f"usage: fw4 {'|'.join(COMMANDS)}", file=sys.stderr)
        return 1
    with (RUN / "fw4.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        command()
    return 0


sys.exit(main())
