"""What a rule asks of a packet. Each word becomes a test that answers yes, no, or that it is not known, and why.

builtin.py     -s -d -i -o -p -f
ports.py       tcp, udp, udplite, sctp, dccp, multiport
icmp.py        icmp, icmp6
tracking.py    conntrack, state, connmark
marks.py       mark
places.py      addrtype, iprange, set, physdev, mac, pkttype
extension.py   which of them serves a `-m`; limit and statistic; everything else is not known
"""

from dmsfw.trace.matches.builtin import builtin
from dmsfw.trace.matches.extension import extension
from dmsfw.trace.matches.option import Option, Test

__all__ = ["Option", "Test", "builtin", "extension"]
