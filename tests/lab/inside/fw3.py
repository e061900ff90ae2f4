"""The lab's `fw3`: does to the tables what firewall3 does, with the ruleset recorded from the real one.

    fw3 restart   wipe filter, nat, mangle and raw, everybody's rules and chains; load; run /etc/firewall.user
    fw3 reload    delete only rules whose comment starts with !fw3, append its own again: foreign rules end up above
    fw3 stop      wipe, and unlink the state file (also called flush)

As the real one it holds /var/run/fw3.lock for the whole run and the xtables lock per table, commits table by table,
and writes /var/run/fw3.state last. What it loads lies in $LAB_FOLDER/fw3: 4.rules, 6.rules (absent: no IPv6), wan (the
zone's devices, one a line: the recorded rules that name pppoe-wan are rendered once for each), state.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(os.environ["LAB_FOLDER"]) / "fw3"
RUN = Path("/var/run")
STATE, USER_SCRIPT = RUN / "fw3.state", Path("/etc/firewall.user")
RECORDED_WAN = "pppoe-wan"
OWN = '--comment "!fw3'
BUILTIN = {
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
    "raw": ("PREROUTING", "OUTPUT"),
}
PROGRAM = {4: "iptables-legacy", 6: "ip6tables-legacy"}
TABLE_NAMES = {4: Path("/proc/net/ip_tables_names"), 6: Path("/proc/net/ip6_tables_names")}


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file the way fw3 does: opened for writing."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def xtables(family: int, tool: str, *options: str, text: str = "") -> str:
    """Run iptables-save or -restore while this process holds the xtables lock itself."""
    environment = os.environ | {"XTABLES_LOCKFILE": str(RUN / "fw3.children.lock")}
    command = [f"{PROGRAM[family]}-{tool}", *options]
    return subprocess.run(command, input=text, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout


def restore(family: int, table: str, lines: list[str], *options: str) -> None:
    """Commit one table."""
    xtables(family, "restore", "-w", *options, text="\n".join([f"*{table}", *lines, "COMMIT", ""]))


def rendered(family: int) -> dict[str, list[str]]:
    """Return the lines of each table of the recorded ruleset, for the WAN devices of now."""
    devices = (FOLDER / "wan").read_text().split() or [RECORDED_WAN]
    tables: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in (FOLDER / f"{family}.rules").read_text().splitlines():
        if line.startswith("*"):
            lines = tables.setdefault(line[1:], [])
        elif line.startswith(":"):
            lines.append(line)
        elif line.startswith("-A"):
            lines += dict.fromkeys(line.replace(f" {RECORDED_WAN} ", f" {device} ") for device in devices)
    return tables


def families() -> list[int]:
    """Return the families that have a ruleset."""
    return [family for family in PROGRAM if (FOLDER / f"{family}.rules").exists()]


def wipe() -> None:
    """Flush every table that there is, chains and policies too."""
    STATE.unlink(missing_ok=True)
    for family in families():
        present = TABLE_NAMES[family].read_text().split() if TABLE_NAMES[family].exists() else []
        for table in (name for name in BUILTIN if name in present):
            with locked(RUN / "xtables.lock"):
                restore(family, table, [f":{chain} ACCEPT [0:0]" for chain in BUILTIN[table]])


def load() -> None:
    """Load the recorded ruleset into wiped tables, run the owner's script, write the state last."""
    for family in families():
        for table, lines in rendered(family).items():
            with locked(RUN / "xtables.lock"):
                restore(family, table, lines)
    if USER_SCRIPT.exists():
        subprocess.run(["/bin/sh", str(USER_SCRIPT)], check=False)
    write_state()


def write_state() -> None:
    """Write the state file in place, as fopen "w+" does."""
    with STATE.open("w") as file:
        file.write((FOLDER / "state").read_text())


def reload_table(family: int, table: str, wanted: list[str]) -> None:
    """Take out own rules, put them in again; counters, rules and chains of others stay."""
    with locked(RUN / "xtables.lock"):
        current = xtables(family, "save", "-t", table).splitlines()
        known = {line.split()[0]: line.split()[1] for line in current if line.startswith(":")}
        edits = ["-D" + line[2:] for line in current if line.startswith("-A") and OWN in line]
        for line in wanted:
            edits += chain_edit(line, known) if line.startswith(":") else [line]
        restore(family, table, edits, "--noflush")


def chain_edit(line: str, known: dict[str, str]) -> list[str]:
    """Return what makes a declared chain be there: never a flush of one that is."""
    chain, policy = line.split()[:2]
    if chain not in known:
        return [f"-N {chain[1:]}"]
    return [f"-P {chain[1:]} {policy}"] if policy not in ("-", known[chain]) else []


def reload_all() -> None:
    """Reload each table of each family."""
    for family in families():
        for table, lines in rendered(family).items():
            reload_table(family, table, lines)
    write_state()


def restart() -> None:
    """Wipe, then load."""
    wipe()
    load()


COMMANDS = {"start": restart, "restart": restart, "reload": reload_all, "stop": wipe, "flush": wipe}


def main() -> int:
    """Run one command under fw3's own lock."""
    command = COMMANDS.get(sys.argv[1] if len(sys.argv) > 1 else "")
    if command is None:
        print(f"usage: fw3 {'|'.join(COMMANDS)}", file=sys.stderr)
        return 1
    with locked(RUN / "fw3.lock"):
        command()
    return 0


sys.exit(main())
