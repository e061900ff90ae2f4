"""Rules in /etc/firewall.user that dmsfw takes the place of. They are named to their owner, and left to him."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dmsfw.config import files
from dmsfw.config.problems import told
from dmsfw.config.wording import shown

if TYPE_CHECKING:
    from pathlib import Path

NAME = "firewall.user"

_RULE = re.compile(r"\s*ip6?tables\s.*(?:-[AI]|--append|--insert)\s+(?:FORWARD|POSTROUTING|DOCKER-USER)\s")
_DOCKER = re.compile(r"\bdocker\s+network\b|\bbr-[0-9a-f]{12}\b|\bdocker0\b")
_OF_DOCKER = re.compile(
    r"\bbr-[0-9a-f]{12}\b|\bdocker0\b|\$\{?\w*(?:BRIDGE|SUBNET|DOCKER)|\b172\.(?:1[6-9]|2\d|3[01])\.\d", re.IGNORECASE
)
_REPLIES = re.compile(r"\s--(?:sport|source-port)\s")
"""The way back, by the port of the server: such a rule names no network."""


def predecessors(path: Path) -> tuple[str, ...]:
    """Return a warning for each line of `path` that writes a rule for Docker's networks. No file: none."""
    try:
        text = files.read(path)
    except (FileNotFoundError, files.Unusable):
        return ()
    if not _DOCKER.search(text):
        return ()
    lines = enumerate(text.splitlines(), start=1)
    return told(
        [
            f"{NAME} line {number}: {shown(line.strip())} does what dmsfw does: take it out when the network is served"
            for number, line in lines
            if _RULE.match(line) and (_OF_DOCKER.search(line) or _REPLIES.search(line))
        ]
    )
