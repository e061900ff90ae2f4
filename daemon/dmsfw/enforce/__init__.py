"""The firewall's side: grants become rules in the kernel. The only importer of python-iptables.

render    grants -> rule specs, and how iptables writes them
place     where our hook stands among other people's rules
diff      what is there against what should be -> edits                      (pure; the heart)
blob      the kernel's table as bytes -> chains and entries
sockopt   reads those bytes, and the entry count that tells a change
library   imports python-iptables with its faults mended
build     a rule spec -> the bytes that the kernel will show for it
lock      the lock that every iptables process takes
kernel    real tables: read, edit in one commit
iptables  the enforcer: lock, read, diff, commit in order, verify, unlock
"""

from dmsfw.enforce.iptables import Iptables

__all__ = ["Iptables"]
