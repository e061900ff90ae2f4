"""What the commands that write a policy are given on the command line.

Nothing of what writes is loaded before it is asked for: the daemon reads this too.
"""

from __future__ import annotations

import argparse

from dmsfw.model import PROTOS_WITH_PORTS, Ports

ALLOW_EXAMPLES = """\
examples:
  dmsfw allow dms-service_dms-network 465        mail for a Compose service, the network as `docker network ls` has it
  dmsfw allow dms-service_dms-network 465,587
  dmsfw allow web_default 443 --proto udp --name quic

The change of /etc/config/dmsfw is shown, and made when you say so; a running daemon takes it at once.

"""

DENY_EXAMPLES = """\
examples:
  dmsfw deny dms-service_dms-network 465
  dmsfw deny web_default                         all that a policy for this network alone allows

"""


def for_allow(parser: argparse.ArgumentParser) -> None:
    """The arguments of `allow`."""
    parser.add_argument("network", metavar="NETWORK", help="a network's name, as `docker network ls` has it")
    parser.add_argument("ports", type=ports, metavar="PORT[,PORT]", help="465, 465,587 or 1000-2000")
    parser.add_argument("--proto", choices=PROTOS_WITH_PORTS, default="tcp", help="tcp (default), udp or sctp")
    parser.add_argument("--name", metavar="NAME", help="the section's name; by default made of the network's")
    _for_both(parser)


def for_deny(parser: argparse.ArgumentParser) -> None:
    """The arguments of `deny`."""
    parser.add_argument("network", metavar="NETWORK", help="a network's name")
    help_ = "all that only it may reach, if not given"
    parser.add_argument("ports", type=ports, nargs="?", metavar="PORT[,PORT]", help=help_)
    parser.add_argument("--proto", choices=PROTOS_WITH_PORTS, help="only by this protocol")
    _for_both(parser)


def _for_both(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--no-uci", action="store_true", help="write the file itself, which keeps its comments")
    parser.add_argument("--name-only", action="store_true", help="do not ask Docker: any network of this name")


def ports(text: str) -> Ports:
    """Read ports. Raises: ArgumentTypeError."""
    from dmsfw.edit import ports_of_the_command  # noqa: PLC0415 - see above

    try:
        return ports_of_the_command(text)
    except ValueError as allowed:
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed: {allowed}") from None
