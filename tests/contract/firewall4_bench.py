"""A firewall4 of a test's own: the recorded ruleset in a network namespace, and nft's view of it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.lab.nft import INCLUDES, RULESET

NOWHERE = Path("/nonexistent/10-dmsfw.nft")


def nft(text: str, *options: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Load text in nft's own tongue."""
    argv = ["nft", *options, "-f", "-"]
    return subprocess.run(argv, input=text, check=check, capture_output=True, text=True)


def listing(*what: str) -> list[dict[str, Any]]:
    """What nft lists, without its own version."""
    argv = ["nft", "-j", "list", *what]
    said = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    found: list[dict[str, Any]] = json.loads(said)["nftables"]
    return [entry for entry in found if "metainfo" not in entry]


def ruleset(*, includes: bool) -> str:
    """firewall4's script for a reload, as one transaction: the table emptied and everything made anew."""
    text = RULESET.read_text()
    if includes:
        pre, forward, srcnat = ((INCLUDES / f"{name}.nft").read_text() for name in ("table-pre", "forward", "srcnat"))
        text = text.replace("table inet fw4 {\n", "table inet fw4 {\n" + pre, 1)
        established = '\t\tct state vmap { established : accept, related : accept } comment "!fw4: Handle forwarded'
        text = text.replace(established, forward + established, 1)
        zones = '\t\toifname "pppoe-wan" jump srcnat_wan comment "!fw4: Handle wan IPv4/IPv6 srcnat traffic"\n'
        text = text.replace(zones, zones + srcnat, 1)
    return "table inet fw4\nflush table inet fw4\n" + text


def reload(*, includes: bool = False) -> None:
    """`fw4 reload`."""
    nft(ruleset(includes=includes))


def ours() -> list[str]:
    """Every line of the ruleset that names us, in nft's own tongue, counters left out."""
    text = subprocess.run(["nft", "-s", "list", "ruleset"], check=True, capture_output=True, text=True).stdout
    return [line.strip() for line in text.splitlines() if "dmsfw" in line]


def foreign() -> list[dict[str, Any]]:
    """All of the ruleset that is not ours."""
    return [entry for entry in listing("ruleset") if "dmsfw" not in json.dumps(entry)]


def elements(name: str) -> list[Any]:
    """The elements of a set, as listed."""
    (found,) = [entry["set"] for entry in listing("set", "inet", "fw4", name) if "set" in entry]
    return list(found.get("elem", []))
