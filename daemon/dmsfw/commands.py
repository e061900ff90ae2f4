"""What each command does. Each returns its exit code and raises DmsfwError for what the user must know."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from contextlib import suppress
from pathlib import Path

import structlog

from dmsfw import instance
from dmsfw.backend import Backend, has_signs
from dmsfw.bulletin import STATUS_NAME
from dmsfw.chronicle import Chronicle
from dmsfw.config import Loaded, advice, load, predecessors
from dmsfw.daemon import Daemon
from dmsfw.enforce.lock import default_path
from dmsfw.enforce.nftables import obstacles
from dmsfw.errors import EnforceError, SettingsError, UsageError
from dmsfw.model import Settings, Snapshot
from dmsfw.observe.world import World
from dmsfw.reconciler import Outcome, preview, reconcile
from dmsfw.report import files, log, table, text
from dmsfw.report import plan as planned
from dmsfw.report import status as statuses
from dmsfw.wake import Wake

RUN_WAIT_S = 6.0
"""How long `run` waits for its predecessor: procd gives that one 5 s before it kills it."""

FALLBACK_COLUMNS = (100, 24)

NEVER_PASSED = statuses.Status(version="", pid=0, state="starting", reasons=("it has not passed yet",))

logger = structlog.get_logger()


def run(arguments: argparse.Namespace) -> int:
    """The daemon, in the foreground."""
    _require_root()
    loaded = load(arguments.config)
    _configure_log(loaded.settings)
    files.prepare_run_dir(arguments.run_dir)
    with instance.only_one(arguments.run_dir, RUN_WAIT_S):
        found = obstacles()
        for obstacle in found:
            logger.error("another firewall is in the way", obstacle=obstacle)
        daemon = _daemon(arguments, loaded, found)
        daemon.enforcer.prepare()
        daemon.run()
    return 0


def apply(arguments: argparse.Namespace) -> int:
    """One pass, then exit."""
    _require_root()
    settings = load(arguments.config).settings
    files.prepare_run_dir(arguments.run_dir)
    with instance.only_one(arguments.run_dir, arguments.wait):
        outcome = reconcile(_WorldOnce(settings), Backend.of_this_host(lambda: settings.backend, slow=_tell_slow_lock))
    _print_plan(outcome)
    if outcome.fault is not None:
        raise outcome.fault
    return 0


def plan(arguments: argparse.Namespace) -> int:
    """What a pass would change."""
    _require_root()
    settings = load(arguments.config).settings
    outcome = preview(_WorldOnce(settings), Backend.of_this_host(lambda: settings.backend))
    if arguments.json:
        print(planned.plan_json(outcome.plan))
    else:
        _print_plan(outcome)
    if outcome.fault is not None:
        raise outcome.fault
    return 2 if outcome.plan else 0


def clean(arguments: argparse.Namespace) -> int:
    """Remove every rule and chain of ours, and the metrics. Nothing else that is configured matters."""
    _require_root()
    files.prepare_run_dir(arguments.run_dir)
    with instance.only_one(arguments.run_dir, arguments.wait):
        removed = Backend.of_this_host(slow=_tell_slow_lock).converge(())
        _remove_metrics(arguments.config)
    print(f"{len(removed.changes)} rules and chains removed" if removed else "nothing to remove")
    return 0


def _remove_metrics(config: Path) -> None:
    """Nobody writes them any more: an old file would go on telling that all is well."""
    with suppress(SettingsError, OSError):
        if metrics_file := load(config).settings.metrics_file:
            Path(metrics_file).unlink()


def check(arguments: argparse.Namespace) -> int:
    """The configuration: all its problems (raised), or what to think of."""
    loaded = load(arguments.config)
    old_script = predecessors(arguments.config.parent.parent / "firewall.user")
    for warning in (*loaded.warnings, *advice(loaded.settings), *old_script):
        print(f"warning: {warning}")
    settings = loaded.settings
    print(f"{arguments.config} is valid: {len(settings.active)} of {len(settings.policies)} policies are switched on")
    return 0


def status(arguments: argparse.Namespace) -> int:
    """How things stand. The lock tells whether a daemon runs; its file tells the rest; the kernel has the counters."""
    running = instance.is_running(arguments.run_dir)
    seen = _seen_status(arguments.run_dir / STATUS_NAME, running=running)
    if arguments.json:
        print(statuses.to_json(seen), end="")
    else:
        colour = sys.stdout.isatty() and text.colour_wanted()
        width = shutil.get_terminal_size(FALLBACK_COLUMNS).columns
        print(table.render(seen, colour=colour, width=width), end="")
    return statuses.exit_code(seen)


def _seen_status(path: Path, *, running: bool) -> statuses.Status:
    try:
        written = statuses.from_json(files.read(path))
    except FileNotFoundError:
        return statuses.as_seen(NEVER_PASSED, running=running, now_s=0.0)
    except statuses.UnreadableStatus:
        if running:
            raise
        return statuses.as_seen(NEVER_PASSED, running=False, now_s=0.0)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    seen = statuses.as_seen(written, running=running, now_s=time.time())
    try:
        return statuses.with_packets(seen, Backend.of_this_host().packets())
    except EnforceError:
        return seen


def _daemon(arguments: argparse.Namespace, loaded: Loaded, found: tuple[str, ...]) -> Daemon:
    wake = Wake()
    world = World(loaded.settings, wake.set, config=arguments.config, xtables_lock=default_path(), nftables=has_signs())
    daemon = Daemon(
        config=arguments.config,
        settings=loaded.settings,
        world=world,
        enforcer=Backend.of_this_host(
            lambda: daemon.settings.backend, slow=_say_slow_lock, stop=lambda: daemon.stopping
        ),
        wake=wake,
        chronicle=Chronicle(arguments.run_dir, found),
        apply_log_settings=_configure_log,
    )
    daemon.chronicle.config_taken(loaded, changed=False)
    return daemon


def _configure_log(settings: Settings) -> None:
    log.configure(settings.log_level, settings.log_format)


def _say_slow_lock(waited_s: float) -> None:
    logger.warning("waiting for the xtables lock", waited_s=round(waited_s, 1))


def _tell_slow_lock(_: float) -> None:
    print("dmsfw: waiting for the xtables lock, which another process holds", file=sys.stderr)


def _print_plan(outcome: Outcome) -> None:
    colour = sys.stdout.isatty() and text.colour_wanted()
    for line in planned.plan_lines(outcome.plan, colour):
        print(line)


class _WorldOnce:
    """The world, read once for a command."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def snapshot(self) -> Snapshot:
        """Every source, here and now; nothing needs to be known while dmsfw is switched off. Raises: ObserveError."""
        return World.read_once(self._settings) if self._settings.enabled else Snapshot(self._settings)


def _require_root() -> None:
    """Raises: UsageError for anybody but root."""
    if os.geteuid() != 0:
        raise UsageError("only root may change the firewall: run dmsfw as root")
