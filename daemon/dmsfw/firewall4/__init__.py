"""firewall4's side: grants become elements of sets inside `table inet fw4`. Nothing here knows of iptables.

sets       the sets and what their keys are made of; their names bear a version
boxes      elements of one set must not overlap: boxes are cut until they do not              (pure)
render     grants -> elements                                                                 (pure)
rules      the constant chains, and where the two jumps to them stand                         (pure)
document   nft's JSON -> the table as it is; elements -> JSON                                 (pure)
diff       what is there against what should be -> one transaction, and the plan that tells it (pure; the heart)

program    runs nft: one listing, one transaction
netlink    asks the kernel, without a process, whether anything was written since
enforcer   read, diff, one transaction, read back
"""

from dmsfw.firewall4.enforcer import Firewall4

__all__ = ["Firewall4"]
