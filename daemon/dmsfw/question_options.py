"""What the commands that ask are given on the command line.

Nothing of what answers is loaded before it is asked: the daemon reads this too.
"""

from __future__ import annotations

import argparse

EXPLAIN_EPILOG = """\
example: the field case, a mail service in a container
  dmsfw explain --in br-4e4eb4db3fbd --src 172.18.0.2 --dst 220.197.33.205 --proto tcp --dport 465

Without --out the host's routing table decides. Rules whose part in it is not known are marked by a ?.

exit codes: 0 it passes; 1 it does not, and the rule is named; 2 that is not known; 64 wrong usage
"""

EXPLAIN_OPTIONS = (
    ("--in", "in_device", "DEV", "the device that it comes in by, a bridge of Docker's for instance"),
    ("--out", "out_device", "DEV", "the device that it leaves by; else as the host routes it"),
    ("--src", "src", "IP", "its source address"),
    ("--dst", "dst", "IP", "its destination address"),
    ("--proto", "proto", "P", "tcp (the default), udp, icmp, icmpv6, sctp, another name, or a number"),
    ("--dport", "dport", "N", "its destination port"),
    ("--sport", "sport", "N", "its source port; else one that a client would choose"),
    ("--icmp-type", "icmp_type", "T[/C]", "type, and code, of ICMP; else an echo-request"),
    ("--ctstate", "ctstate", "S", "NEW (the default), ESTABLISHED, RELATED, INVALID or UNTRACKED"),
    ("--mark", "mark", "M", "the mark that it arrives with, 0x1 for instance"),
)
"""Option, name in the arguments, what it takes, what it means."""


def for_explain(parser: argparse.ArgumentParser) -> None:
    """The arguments of `explain`: a packet of any kind."""
    packet = parser.add_argument_group("the packet")
    for option, where, metavar, meaning in EXPLAIN_OPTIONS:
        packet.add_argument(option, dest=where, metavar=metavar, help=meaning)
