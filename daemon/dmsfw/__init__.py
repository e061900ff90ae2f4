"""dmsfw keeps a router's firewall in step with Docker's networks. The way of one event:

1. `observe` hears that something changed, reads its source anew and wakes the daemon; the event itself is dropped.
2. `decide` turns the snapshot of all sources into grants: who may reach what, and why.
3. `enforce` renders the grants as rules and brings each table to them in one commit, under the xtables lock.
4. `report` says what changed: one line in the log, the status file, and nothing at all when nothing did.
"""

__version__ = "0.1.0"
