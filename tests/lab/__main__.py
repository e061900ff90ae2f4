"""A shell in the lab: `python -m tests.lab [--docker-iptables] [--light] [--up label|name] [COMMAND ...]`."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from tests.lab import SERVER, SERVER6, Lab, LabError, Router, paths

BANNER = f"""\
The router of the field case, in namespaces of its own. It goes when this shell ends.
  uplink       pppoe-wan, default route by 198.51.100.1; no rule for Docker's bridges
  internet     smtp.example.com = {SERVER}, {SERVER6}; tcp and udp 465, 587, 8443
  firewall     fw3 restart | reload | flush;  iptables -nvL FORWARD
  netifd       ubus call network.interface dump;  files in /etc/config
  other ends   nsenter --net=/run/netns/isp bash;  nsenter --net=/run/netns/lan bash
"""
DOCKER = """\
  Docker       docker, docker-compose;  the field case: docker-compose -f $COMPOSE_FILES/label.yml up -d
  a try        docker exec dms-service-app-1 nc -w 3 smtp.example.com 465 </dev/null
"""


def arguments() -> argparse.Namespace:
    """Return the command line, read."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description="Open a shell in the lab.")
    parser.add_argument("--light", action="store_true", help="the router alone, without Docker")
    parser.add_argument("--docker-iptables", action="store_true", help="let Docker write rules of its own")
    parser.add_argument("--up", choices=("label", "name"), help="bring up the field case's service, in this spelling")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="a command to run instead of a shell")
    return parser.parse_args()


def shell(router: Router, command: list[str]) -> int:
    """Run an interactive shell, or a command, on this terminal; return its exit status."""
    argv, environment = router.command(command or ["bash", "--norc", "-i"])
    own = {"PS1": r"\[\e[1m\]lab\[\e[0m\]:\w# ", "PYTHONPATH": str(paths.ROOT / "daemon")}
    return subprocess.call(argv, env={**environment, **own, "COMPOSE_FILES": str(paths.COMPOSE_FILES)})


def main() -> int:
    """Build the lab, hand it over, take it down."""
    options = arguments()
    lab = Router() if options.light else Lab(docker_iptables=options.docker_iptables)
    try:
        with lab:
            if options.up and isinstance(lab, Lab):
                lab.compose("up", "-d", spelling=options.up)
            if not options.command:
                print(BANNER + ("" if options.light else DOCKER), file=sys.stderr)
            status = shell(lab, options.command)
            return status if options.command else 0  # a shell's is only that of its last command
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    os.environ.setdefault("TERM", "dumb")
    sys.exit(main())
