"""The way of one packet through the tables of the running kernel.

`trace(packet, host)` gives the Way: every rule that the packet met, and how it ends. Pure but for `ThisHost`, which
reads what the kernel says and changes nothing.
"""

from dmsfw.trace.host import Host
from dmsfw.trace.matches.icmp import icmp_type
from dmsfw.trace.packet import Packet
from dmsfw.trace.result import End, Place, Step, Verdict, Way
from dmsfw.trace.thishost import ThisHost
from dmsfw.trace.tracked import following, reply
from dmsfw.trace.way import trace

__all__ = [
    "End",
    "Host",
    "Packet",
    "Place",
    "Step",
    "ThisHost",
    "Verdict",
    "Way",
    "following",
    "icmp_type",
    "reply",
    "trace",
]
