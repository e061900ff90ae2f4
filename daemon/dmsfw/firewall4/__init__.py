"""firewall4's side: grants become elements of sets inside `table inet fw4`. Nothing here knows of iptables.

sets       the sets and what their keys are made of; their names bear a version
boxes      elements of one set must not overlap: boxes are cut until they do not              (pure)
names      devices' names that nft's JSON would misread                                       (pure)
render     grants -> elements                                                                 (pure)
rules      the constant chains, and where the two jumps to them stand                         (pure)
keys       a set's keys in JSON, both ways                                                    (pure)
document   nft's listing in JSON -> the table as it is                                        (pure)
plain      a rule for each grant, for kernels that know no such sets                           (pure)
edits      what the table should hold; the commands of one transaction                        (pure)
diff       what is there against what should be -> one transaction, and the plan that tells it (pure; the heart)

program    runs nft: one listing, one transaction
netlink    asks the kernel, without a process, whether anything was written since
ear        hears who writes what
enforcer   read, diff, one transaction, read back

Only `netlink` is imported on a router without firewall4, to ask whether there is one; so nothing is imported here.
"""

FAMILY, TABLE = "inet", "fw4"
