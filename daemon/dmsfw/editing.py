"""The commands that write a policy: the change is shown, asked for, made, waited for, and told of.

Each returns its exit code and raises DmsfwError for what the user must know; then nothing has been written.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from dmsfw import edit
from dmsfw.config import load, settings_of, text_of
from dmsfw.edit import Change, Wish
from dmsfw.effect import WAIT_S, Effect, Judgement, effect, judgements
from dmsfw.errors import ObserveError, Refused
from dmsfw.model import Network
from dmsfw.observe.docker import DockerReader
from dmsfw.report.sentence import ports_of
from dmsfw.report.text import clean, colour_wanted
from dmsfw.trace import ThisHost

EXIT_NOT_YET = 1
"""What was written is not in force yet, or was not wanted after all."""

LINE_LIMIT = 500
"""Characters of a reason or a rule."""

NOT_RUNNING = "dmsfw does not run: this takes effect when it starts, `/etc/init.d/dmsfw start`"

STILL_OPEN = "a rule lets it pass that is not dmsfw's, or is left of a dmsfw that runs no more: see `dmsfw explain`"

SHUT_WORDS = {"open": "still open", "not known": "cannot be told"}

_COLOURS = {"+": "\x1b[32m", "-": "\x1b[31m", "@": "\x1b[36m"}


def allow(arguments: argparse.Namespace) -> int:
    """Let a network reach ports: 0 it may now, or will when dmsfw starts; 1 it may not."""
    wish, seen = _done(arguments, edit.allow)
    return EXIT_NOT_YET if seen is None else _tell_open(wish, seen)


def deny(arguments: argparse.Namespace) -> int:
    """Let a network reach ports no more, or nothing: 0 dmsfw lets it no more; 1 it still does."""
    wish, seen = _done(arguments, edit.deny)
    return EXIT_NOT_YET if seen is None else _tell_shut(wish, seen)


def _done(arguments: argparse.Namespace, make: Callable[[str, Wish], Change]) -> tuple[Wish, Effect | None]:
    """Make the change and see what comes of it; None: it was not wanted. Raises: DmsfwError."""
    before = load(arguments.config).settings
    text = text_of(arguments.config)
    wish = _wish(arguments, text)
    if not _carried_out(arguments, make(text, wish)):
        return wish, None
    return wish, effect(arguments.run_dir, before, load(arguments.config).settings, wish.network.name)


def _wish(arguments: argparse.Namespace, text: str) -> Wish:
    """Raises: SettingsError; Refused for a network that is not there."""
    networks = () if arguments.name_only else _networks(settings_of(text).docker_url)
    network = edit.the_network(arguments.network, networks) if networks else Network("", arguments.network)
    name = getattr(arguments, "name", None)
    return Wish(network, arguments.ports or (), arguments.proto, name, networks)


def _networks(docker_url: str) -> tuple[Network, ...]:
    """Raises: Refused when Docker cannot be asked."""
    reader = DockerReader(lambda: docker_url)
    try:
        networks = reader.networks()
    except ObserveError as error:
        raise Refused(f"{error}; with --name-only Docker is not asked") from error
    finally:
        reader.close()
    if not networks:
        raise Refused("Docker has no networks; with --name-only one may come later")
    return networks


def _carried_out(arguments: argparse.Namespace, change: Change) -> bool:
    """Show the change and make it, unless it is not wanted. Raises: Refused."""
    uci = None if arguments.no_uci else edit.uci_for(arguments.config)
    _show(arguments, change, by_uci=uci is not None)
    if not arguments.yes and not _wanted(arguments):
        print("nothing is written")
        return False
    edit.write(arguments.config, change, uci)
    print(f"written to {clean(arguments.config)}{' by uci' if uci else ''}")
    return True


def _show(arguments: argparse.Namespace, change: Change, *, by_uci: bool) -> None:
    colour = sys.stdout.isatty() and colour_wanted()
    for line in change.diff(clean(arguments.config)):
        print(f"{_COLOURS[line[0]]}{line}\x1b[0m" if colour and line[:1] in _COLOURS else line)
    for note in change.notes:
        print(f"note: {note}")
    if by_uci and (lost := edit.comments(change.before)):
        print(f"note: uci writes the file anew without its comments ({lost} lines have one); with --no-uci they stay")


def _wanted(arguments: argparse.Namespace) -> bool:
    """Ask. Raises: Refused where there is nobody to be asked."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise Refused("nothing is written: there is no terminal to ask on, say --yes")
    try:
        answer = input(f"write this to {clean(arguments.config)}? [y/N] ")
    except EOFError:
        print()
        return False
    return answer.strip().lower() in {"y", "yes"}


def _tell_open(wish: Wish, seen: Effect) -> int:
    """Tell whether the ports are open now, by the way of a packet through the tables."""
    found = tuple(judgements(seen.new, ThisHost()))
    for one in found:
        print(_open_line(wish, one))
    if not found:
        print(f"not open yet: {_why_not(wish, seen)}")
    if seen.running and not seen.taken:
        return _not_in_force(seen)
    if not seen.running:
        print(NOT_RUNNING)
        return 0
    is_open = bool(found) and all(one.state in {"open", "not known"} for one in found)
    return 0 if is_open or not wish.networks else EXIT_NOT_YET


def _open_line(wish: Wish, one: Judgement) -> str:
    what = f"{clean(wish.network.name)} may reach {one.what} via {clean(one.uplink)}"
    if one.state == "open":
        return f"open now: {what}"
    word = "it cannot be told whether" if one.state == "not known" else "not open, although"
    return f"{word} {what}: {clean(one.why, LINE_LIMIT)}"


def _why_not(wish: Wish, seen: Effect) -> str:
    if not wish.networks:
        return f"it opens when a network called {clean(wish.network.name)} comes"
    return clean("; ".join(seen.reasons) or "no uplink is up, or dmsfw is switched off", LINE_LIMIT)


def _tell_shut(wish: Wish, seen: Effect) -> int:
    """Tell whether the ports are shut now: a rule of somebody else's may let them pass."""
    for one in judgements(seen.gone, ThisHost()):
        what = f"{clean(wish.network.name)} to {one.what} via {clean(one.uplink)}"
        why = STILL_OPEN if one.state == "open" else clean(one.why, LINE_LIMIT)
        print(f"{SHUT_WORDS.get(one.state, 'shut now')}: {what}: {why}")
    if seen.running and not seen.taken:
        return _not_in_force(seen)
    left = ports_of(seen.due) or "nothing"
    print(f"as dmsfw has it, {clean(wish.network.name)} may reach {left}; what is connected stays so")
    if not seen.running:
        print(NOT_RUNNING)
    return 0


def _not_in_force(seen: Effect) -> int:
    why = clean("; ".join(seen.reasons) or "it says nothing of it", LINE_LIMIT)
    print(f"the daemon has not taken it within {WAIT_S:g} s: {why}; see `dmsfw status`")
    return EXIT_NOT_YET
