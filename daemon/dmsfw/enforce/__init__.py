"""The firewall's side: grants become rules in the kernel. The only importer of python-iptables.

render    grants -> rule specs, and how iptables writes them
desired   the specs by table, rendered anew only for grants that are new
place     where our hook stands among other people's rules
diff      what is there against what should be -> edits                      (pure; the heart)
steps     the edits of one pass, and the plan that tells them
iptables  the enforcer: read, diff; where something is due: lock, commit in order, verify, unlock

tables    the port to a kernel, real or fake
kernel    the real one: read, edit in one commit
sockopt   asks it for a table's bytes, and for the size that tells a change
blob      those bytes -> chains
rule      the bytes of one rule -> what it does; describe: the same for people
memory    keys of rules that were taken apart before
build     a rule spec -> the bytes that the kernel will show for it
library   imports python-iptables with its faults mended
discovery what it needs before: where libraries are, and OpenWrt's extensions registered
elf       could a shared library be loaded here
packages  which package of OpenWrt brings what is missing
lock      the lock that every iptables process takes
nftables  who else decides about forwarded packets
"""

from dmsfw.enforce.iptables import Iptables

__all__ = ["Iptables"]
