"""Policies written for their owner: a network and its ports in, lines of the configuration out. Pure but for `writing`.

selection (how a network is named in UCI) -> remedy (lines to paste), or wish -> allow, deny -> change (steps, done to
the text and said to `uci`, and what must come of them) -> writing. Nothing is written that means anything else than was
said.
"""

from dmsfw.edit.allow import allow
from dmsfw.edit.change import Change
from dmsfw.edit.deny import deny
from dmsfw.edit.remedy import remedy
from dmsfw.edit.rewrite import comments
from dmsfw.edit.wish import Wish, ports_of_the_command, the_network
from dmsfw.edit.writing import uci_for, write

__all__ = [
    "Change",
    "Wish",
    "allow",
    "comments",
    "deny",
    "ports_of_the_command",
    "remedy",
    "the_network",
    "uci_for",
    "write",
]
