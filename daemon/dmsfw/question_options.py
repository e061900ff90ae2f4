"""What the commands that ask are given on the command line.

Nothing of what answers is loaded before it is asked: the daemon reads this too.
"""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dmsfw.doctor.target import Target

PATIENCE_S = 5.0
"""A lost first packet is sent again after one second, and after three."""

MIN_PATIENCE_S, MAX_PATIENCE_S = 0.2, 60.0

EXPLAIN_EPILOG = """\
examples: the field case, a mail service in a container; a packet of any kind; everything that is to be open
  dmsfw explain dms-service-app-1 smtp.example.com:465
  dmsfw explain --all-networks
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

DOCTOR_EXAMPLES = """\
the field case: a Compose service cannot send mail, "connect ECONNREFUSED 220.197.33.205:465"
  dmsfw doctor dms-service-app-1 smtp.example.com:465
  dmsfw doctor app 220.197.33.205:465          by its Compose service

It changes nothing; what would help is printed as lines to paste. It needs neither a running dmsfw nor a configuration.
With doctor, 1 says that it does not connect and why is known, 2 that this is not known or cannot be asked.

"""


def for_doctor(parser: argparse.ArgumentParser) -> None:
    """The arguments of `doctor`."""
    parser.add_argument("container", metavar="CONTAINER", help="its name, its Compose service, or its id's beginning")
    parser.add_argument("target", metavar="HOST:PORT", type=target, help="where to; IPv6 as [ADDRESS]:PORT")
    parser.add_argument(
        "--timeout", type=patience, default=PATIENCE_S, metavar="S", help="at most for each attempt (%(default)s)"
    )
    parser.add_argument("--udp", action="store_true", help="send a datagram instead of connecting")
    add_families(parser)


def for_explain(parser: argparse.ArgumentParser) -> None:
    """The arguments of `explain`: a container's packet, every network, or a packet of any kind."""
    parser.add_argument("container", nargs="?", metavar="CONTAINER", help="whose packet: there, and the answer back")
    parser.add_argument("target", nargs="?", metavar="HOST:PORT", type=target, help="where it goes to")
    help_ = "every network of Docker's against every port of its policies; 1 if one is shut that should be open"
    parser.add_argument("--all-networks", action="store_true", help=help_)
    parser.add_argument("--udp", action="store_true", help="with CONTAINER: a datagram instead of a connection")
    parser.set_defaults(timeout=PATIENCE_S)
    add_families(parser)
    packet = parser.add_argument_group("the packet")
    packet.add_argument("--own", action="store_true", help="instead of --in: one that the router itself sends")
    for option, where, metavar, meaning in EXPLAIN_OPTIONS:
        packet.add_argument(option, dest=where, metavar=metavar, help=meaning)


def for_list(parser: argparse.ArgumentParser) -> None:
    """The argument of `list`."""
    parser.add_argument("what", choices=("containers", "networks"))


def add_families(parser: argparse.ArgumentParser) -> None:
    """`-4` and `-6`."""
    families = parser.add_mutually_exclusive_group()
    for family in ("4", "6"):
        families.add_argument(
            f"-{family}", dest="family", action="store_const", const=family, default="", help=f"IPv{family} only"
        )


def target(text: str) -> Target:
    """Read HOST:PORT. Raises: ArgumentTypeError."""
    from dmsfw.doctor.target import MalformedTarget, parse_target  # noqa: PLC0415 - see above

    try:
        return parse_target(text)
    except MalformedTarget as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None


def patience(text: str) -> float:
    """Read a number of seconds. Raises: ArgumentTypeError."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not MIN_PATIENCE_S <= seconds <= MAX_PATIENCE_S:
        allowed = f"{MIN_PATIENCE_S:g} to {MAX_PATIENCE_S:g}"
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds from {allowed}")
    return seconds
