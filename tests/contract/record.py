"""Records tables of the kernel's as bytes, with what iptables-save says of them, for the unit tests of the parser.

`PYTHONPATH=daemon:. tests/contract/run python -m tests.contract.record` writes tests/cases/enforce anew.
"""

from __future__ import annotations

import json
import os
from ipaddress import ip_network
from pathlib import Path

from dmsfw.enforce import sockopt
from dmsfw.enforce.iptables import Iptables
from dmsfw.enforce.render import TableKey
from dmsfw.model import Grant, PortRange
from tests.contract.benches import iptables, restore, save

CASES = Path(__file__).parents[1] / "cases"
FIREWALL3 = {4: "fw3.iptables-save.txt", 6: "fw3.ip6tables-save.txt"}
MAIL = (PortRange(465, 465), PortRange(587, 590))


def main() -> None:
    """Record."""
    for version, name in FIREWALL3.items():
        restore(TableKey(version, "filter"), (CASES / "openwrt" / name).read_text(encoding="utf-8"))  # type: ignore[arg-type]
    record("bare", TableKey(6, "nat"))
    subnets = ("172.18.0.0/16", "fd00::/64")
    Iptables.of_this_host().converge(
        [Grant("a", "br-a", ip_network(subnet), "pppoe-wan", "tcp", MAIL, whys=("mail",)) for subnet in subnets]
    )
    iptables(TableKey(4, "filter"), "-N", "a-chain-with-a-long-name-123")
    iptables(TableKey(4, "filter"), "-A", "INPUT", "-p", "tcp", "--dport", "22")
    for version in FIREWALL3:
        for table in ("filter", "nat"):
            record(f"firewall3-ipv{version}-{table}", TableKey(version, table))  # type: ignore[arg-type]


def record(name: str, key: TableKey) -> None:
    """Write one table's bytes, hooks and rules."""
    folder = CASES / "enforce"
    blob = sockopt.read(key)
    (folder / f"{name}.bin").write_bytes(blob.raw)
    (folder / f"{name}.json").write_text(json.dumps({"version": key.version, "hooks": blob.hooks}) + "\n")
    rules = "".join(f"{line}\n" for line in save(key).splitlines() if not line.startswith("#"))
    (folder / f"{name}.rules").write_text(rules)


if __name__ == "__main__":
    if "CONTRACT_OUTSIDE" not in os.environ:
        raise SystemExit("run it by tests/contract/run: it edits firewalls")
    main()
