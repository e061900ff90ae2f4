"""The command line: arguments become one command, errors become one line that says what to do.

Exit codes: 0 done (status: in sync); 1 it failed, or status is anything else that runs; 2 plan would change something;
3 status: not running; 64 the command line is wrong. Questions (explain): 0 yes, 1 no, 2 not known. A reader that goes
(`| head -1`) changes none of that; what it cuts off before there is an answer ends with 141.
"""

from __future__ import annotations

import argparse
import io
import math
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from dmsfw import __version__, editing_options, question_options
from dmsfw.config import option_table
from dmsfw.errors import DmsfwError
from dmsfw.report.text import clean

EXIT_FAILED = 1
EXIT_USAGE = 64
"""EX_USAGE of sysexits.h; argparse's own 2 means something here."""

EXIT_INTERRUPTED = 130
"""128 + SIGINT, as a shell has it."""

EXIT_CUT_OFF = 141
"""128 + SIGPIPE, as a shell has it."""

MESSAGE_LIMIT = 500
"""Characters of an error: argparse repeats what it was given."""

EPILOG = (
    "exit codes: 0 done, or in sync; 1 failed, or not in sync; 2 plan: changes are due; 3 status: not running; "
    "64 wrong usage"
)

Command = Callable[[argparse.Namespace], int]


class Parser(argparse.ArgumentParser):
    """An argument parser whose exit code for wrong usage is 64."""

    def error(self, message: str) -> NoReturn:
        """Say it in one line, with where to look."""
        self.exit(EXIT_USAGE, f"{self.prog}: {clean(message, MESSAGE_LIMIT)}; see {self.prog} --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. Errors are one line each on stderr, never a traceback."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a network's name may be in letters that a locale has not
    code = EXIT_CUT_OFF
    try:
        code = _ended(argv)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has gone, as `head` does: what it wanted it has. The answer, where there is one, stays what it is.
        _drop_output()
    except OSError as error:
        _drop_output()
        return _failed(f"it cannot be done: {error}")
    return code


def _ended(argv: Sequence[str] | None) -> int:
    """Run the command, to whatever end. Raises: OSError."""
    try:
        return _code(argv)
    except DmsfwError as error:
        return _failed(str(error), error.exit_code)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _code(argv: Sequence[str] | None) -> int:
    """Run the command. Raises: whatever the command raises; OSError for its output."""
    try:
        arguments = _parser().parse_args(argv)
    except SystemExit as done:  # --help, --version and wrong usage: what they print is output like any other
        return int(done.code or 0)
    code: int = arguments.command(arguments)
    return code


def _failed(message: str, code: int = EXIT_FAILED) -> int:
    """Say why; where nobody hears it any more (`2>&1 | head -1`), the code says enough."""
    with suppress(BrokenPipeError):
        for line in message.splitlines():
            print(f"dmsfw: {line}", file=sys.stderr)
    return code


def _drop_output() -> None:
    """Have Python not complain once more at its end about what could not be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _seconds(text: str) -> float:
    """Read what `--wait` was given. Raises: ArgumentTypeError."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return seconds


def _parser() -> Parser:
    parser = Parser(
        prog="dmsfw",
        description="Keeps the firewall of a router in step with Docker's networks.",
        epilog=EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"dmsfw {__version__}")
    parser.add_argument("--config", type=Path, default=Path("/etc/config/dmsfw"), metavar="FILE", help="%(default)s")
    parser.add_argument("--run-dir", type=Path, default=Path("/var/run/dmsfw"), metavar="DIR", help="%(default)s")
    children = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add(children, "run", _later("commands", "run"), "the daemon, in the foreground")
    _with_wait(_add(children, "apply", _later("commands", "apply"), "one pass, then exit"))
    _with_json(_add(children, "plan", _later("commands", "plan"), "what a pass would change; 0 nothing, 2 something"))
    _with_json(_add(children, "status", _later("commands", "status"), "how things stand"))
    _with_wait(_add(children, "clean", _later("commands", "clean"), "remove every rule and chain of dmsfw"))
    check = _add(children, "check", _later("commands", "check"), "the configuration, its problems and what to think of")
    check.formatter_class = argparse.RawDescriptionHelpFormatter
    check.epilog = option_table()
    _add_editing(children)
    _add_questions(children)
    return parser


def _add_editing(children: argparse._SubParsersAction[Parser]) -> None:
    """The commands that write a policy."""
    summary = "let a network reach ports: writes a policy"
    examples = editing_options.ALLOW_EXAMPLES
    editing_options.for_allow(_add(children, "allow", _later("editing", "allow"), summary, examples))
    summary = "let a network reach ports no more, or nothing"
    examples = editing_options.DENY_EXAMPLES
    editing_options.for_deny(_add(children, "deny", _later("editing", "deny"), summary, examples))


def _add_questions(children: argparse._SubParsersAction[Parser]) -> None:
    """The commands that ask, and change nothing."""
    summary = "which rule stops this packet? changes nothing"
    explain = _add(children, "explain", _later("questions", "explain"), summary)
    explain.formatter_class = argparse.RawDescriptionHelpFormatter
    explain.epilog = question_options.EXPLAIN_EPILOG
    question_options.for_explain(explain)
    _with_json(explain)
    summary = "why a container cannot connect, and what would help"
    doctor = _add(children, "doctor", _later("diagnosis", "doctor"), summary, question_options.DOCTOR_EXAMPLES)
    question_options.for_doctor(doctor)
    _with_json(doctor)
    summary = "names, one a line, to choose from: running containers, or networks"
    question_options.for_list(_add(children, "list", _later("diagnosis", "list_names"), summary))


def _later(module: str, name: str) -> Command:
    """A command that is loaded when it runs: the daemon has nothing of the others in memory, nor waits for it."""

    def run(arguments: argparse.Namespace) -> int:
        code: int = getattr(import_module(f"dmsfw.{module}"), name)(arguments)
        return code

    return run


def _add(
    children: argparse._SubParsersAction[Parser],
    name: str,
    command: Command,
    summary: str,
    examples: str = "",
) -> Parser:
    child = children.add_parser(name, help=summary, description=summary, epilog=examples + EPILOG)
    if examples:
        child.formatter_class = argparse.RawDescriptionHelpFormatter
    child.set_defaults(command=command)
    return child


def _with_wait(parser: Parser) -> None:
    parser.add_argument(
        "--wait", type=_seconds, default=0.0, metavar="S", help="wait up to S seconds for a daemon to end (%(default)s)"
    )


def _with_json(parser: Parser) -> None:
    parser.add_argument("--json", action="store_true", help="for programs")
