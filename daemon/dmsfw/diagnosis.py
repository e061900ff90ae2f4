"""The commands that ask about containers and change nothing: doctor, list, and explain where it is about one."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from dmsfw import instance
from dmsfw.doctor import everyone, policies, tell
from dmsfw.doctor.causes import PAST_US
from dmsfw.doctor.choice import LIVING
from dmsfw.doctor.containers import listed, networks
from dmsfw.doctor.examine import Examination, Inquiry
from dmsfw.doctor.outcome import UNKNOWN
from dmsfw.doctor.remedies import Means
from dmsfw.doctor.screen import Screen
from dmsfw.doctor.target import Target
from dmsfw.doctor.verdict import judge
from dmsfw.doctor.ways import UNTRANSLATED
from dmsfw.errors import CannotTell, DmsfwError
from dmsfw.model import Uplinks
from dmsfw.observe.docker import DockerReader
from dmsfw.observe.world import World
from dmsfw.report.text import is_clean
from dmsfw.trace import ThisHost

SERVICE_SCRIPT = Path("/etc/init.d/dmsfw")
FAMILIES = {"4": (4,), "6": (6,), "": (4, 6)}


def doctor(arguments: argparse.Namespace) -> int:
    """Why a container does not connect: 0 it does, 1 it does not and why is known, 2 that is not known."""
    screen = Screen(quiet=arguments.json)
    return _told(lambda: _doctor(arguments, screen), screen)


def explain_container(arguments: argparse.Namespace) -> int:
    """The way of a container's packet there and back, rule by rule: 0 it passes, 1 it does not, 2 not known."""
    screen = Screen(quiet=arguments.json)
    return _told(lambda: _explain_container(arguments, screen), screen)


def explain_networks(arguments: argparse.Namespace) -> int:
    """Every network against every port of its policies: 0 all open, 1 one is not, 2 one is not known."""
    screen = Screen(quiet=arguments.json)
    return _told(lambda: _explain_networks(arguments, screen), screen)


def list_names(arguments: argparse.Namespace) -> int:
    """One name a line: running containers, or networks. For completion, so a Docker that is away is no news."""
    found = policies.configuration(arguments.config).settings
    docker = DockerReader(lambda: found.docker_url)
    try:
        for name in _names(docker, arguments.what):
            print(name)
    finally:
        docker.close()
    return 0


def _names(docker: DockerReader, what: str) -> list[str]:
    """Raises: ObserveError."""
    if what == "networks":
        found = {network.name for network in networks(docker).known}
    else:
        running = [one for one in listed(docker) if one.state in LIVING]
        found = {name for one in running for name in (one.name, one.service) if name}
    return sorted(name for name in found if is_clean(name))


def _doctor(arguments: argparse.Namespace, screen: Screen) -> int:
    """Raises: CannotTell, ObserveError."""
    examination = _examination(arguments, screen)
    try:
        found = examination.run()
    finally:
        examination.docker.close()
    reached = judge(found, _means(arguments, examination))
    tell.verdict(screen, reached)
    if arguments.json:
        print(json.dumps({**reached.as_dict(), **found.as_dict()}, default=str, indent=2))
    return reached.exit_code


def _explain_container(arguments: argparse.Namespace, screen: Screen) -> int:
    """Raises: CannotTell, ObserveError."""
    examination = _examination(arguments, screen)
    try:
        trials = examination.followed()
    finally:
        examination.docker.close()
    found = [way for trial in trials if trial.ways for way in trial.ways.each]
    for way in found:
        tell.way(screen, way)
    if arguments.json:
        print(json.dumps([trial.as_dict() for trial in trials], default=str, indent=2))
    if not found:
        raise CannotTell("; ".join(trial.fault for trial in trials if trial.fault) or "there is no way to follow")
    followed = [trial.ways for trial in trials if trial.ways]
    for one in followed:
        if one.past_us:
            screen.say(PAST_US.format(there=one.there), indent=0)
        elif one.untranslated:
            screen.say(UNTRANSLATED.format(one.there), indent=0)
    return max((one.exit_code for one in followed), key=(0, 2, 1).index)


def _explain_networks(arguments: argparse.Namespace, screen: Screen) -> int:
    """Raises: CannotTell, ObserveError."""
    require_root()
    config = policies.configuration(arguments.config)
    if not config.usable:
        raise CannotTell(config.remark)  # what should be open is not known: nothing is said to be well
    table = everyone.rows(World.read_once(config.settings), ThisHost())
    if config.remark:
        screen.say(config.remark, indent=0)
    tell.table(screen, table)
    if arguments.json:
        print(json.dumps(everyone.as_dict(table), indent=2))
    return everyone.exit_code(table)


def _examination(arguments: argparse.Namespace, screen: Screen) -> Examination:
    """Raises: CannotTell for anybody but root."""
    require_root()
    config = policies.configuration(arguments.config)
    docker = DockerReader(lambda: config.settings.docker_url)
    inquiry = Inquiry(arguments.container, target_of(arguments), arguments.timeout, FAMILIES[arguments.family])
    return Examination(inquiry, docker, config, ThisHost(), screen)


def target_of(arguments: argparse.Namespace) -> Target:
    """HOST:PORT, over what was asked for."""
    given: Target = arguments.target
    return Target(given.host, given.port, "udp" if arguments.udp else "tcp", given.address)


def _means(arguments: argparse.Namespace, examination: Examination) -> Means:
    snapshot, running = examination.snapshot, instance.is_running(arguments.run_dir)
    service = (f"{SERVICE_SCRIPT} enable", f"{SERVICE_SCRIPT} start") if SERVICE_SCRIPT.exists() else ("dmsfw apply",)
    return Means(
        networks=examination.networks.known,
        settings=examination.config.settings,
        uplinks=snapshot.uplinks if snapshot else Uplinks(),
        config=str(arguments.config),
        written=arguments.config.exists(),
        uci=shutil.which("uci") is not None,
        start=() if running else service,
    )


def _told(ask: Callable[[], int], screen: Screen) -> int:
    """What cannot be answered is one line, and an exit code of its own: 1 would say that the fault is known."""
    try:
        return ask()
    except DmsfwError as error:
        screen.close()
        with suppress(BrokenPipeError):  # where nobody hears it any more, the code says enough
            print(f"dmsfw: {error}", file=sys.stderr)
        return UNKNOWN


def require_root() -> None:
    """Raises: CannotTell for anybody but root."""
    if os.geteuid() != 0:
        raise CannotTell("only root may look into a container's network and read the firewall: run dmsfw as root")
