"""The daemon's log: structlog's front, and a line to the system's log or to stderr behind it.

1. Where `/dev/log` is and stderr is no terminal, lines go there, each with its priority and without a time of its own.
2. Else they go to stderr: coloured and aligned on a terminal, plain into a pipe or file, with the time.
3. Nothing here raises or hangs for the log's sake; a line that cannot be written is counted and told later.
4. Every value passes `clean`; a traceback is lines of its own, all with priority error.

Use: `structlog.get_logger().info("network opened", network=name)`.
"""

from __future__ import annotations

import logging
import os
import stat
import sys
import threading
import time
import traceback
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any, Literal, NoReturn, TextIO

import structlog

from dmsfw.report import lines
from dmsfw.report.syslog import SEVERITY, Syslog
from dmsfw.report.text import colour_wanted

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["text", "json"]

_LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "error": "error"}
_Entry = MutableMapping[str, Any]


class Writer:
    """The end of the log: knows its level, its format and where lines go. Safe to use from any thread."""

    def __init__(self, level: Level, form: Format, stream: TextIO, syslog: Syslog | None) -> None:
        self.level = level
        self._json = form == "json"
        self._stream = stream
        self._syslog = syslog
        self._terminal = _is_terminal(stream)
        self._colour = self._terminal and colour_wanted()
        # Re-entrant: a signal's handler may log while its own thread is in the middle of a line.
        self._lock = threading.RLock()

    def __call__(self, _logger: object, method: str, entry: _Entry) -> NoReturn:
        """Write one entry (structlog's last processor). A traceback follows as lines of its own.

        Raises: structlog.DropEvent, always: the line is written, nothing is left for a logger to print.
        """
        level = _LEVELS.get(method, "error")
        if SEVERITY[level] <= SEVERITY[self.level]:
            exception = _exception(entry.pop("exc_info", None))
            entry.pop("stack_info", None)
            with self._lock:
                self._write(level, str(entry.pop("event", "")), entry)
                for line in _traceback(exception):
                    self._write("error", *(("traceback", {"line": line}) if self._json else (f"| {line}", {})))
        raise structlog.DropEvent

    def close(self) -> None:
        """Let go of the system's log."""
        with self._lock:
            if self._syslog is not None:
                self._syslog.close()

    def _write(self, level: str, event: str, values: _Entry) -> None:
        if self._syslog is not None:
            room = self._syslog.room
            text = lines.json_line(level, event, values, room=room) if self._json else lines.text_line(event, values)
            self._syslog.write(level, text)
            return
        # A closed or broken stderr is no reason to stop serving the firewall; there is nowhere to tell it.
        with suppress(OSError, ValueError):
            self._stream.write(self._stderr_line(level, event, values) + "\n")
            self._stream.flush()

    def _stderr_line(self, level: str, event: str, values: _Entry) -> str:
        if self._json:
            return lines.json_line(level, event, values, stamp=_stamp())
        if self._terminal:
            stamp = time.strftime("%H:%M:%S")
            return lines.terminal_line(level, event, values, stamp=stamp, colour=self._colour)
        return f"{_stamp()} {level} {lines.text_line(event, values)}"


class _Library(logging.Handler):
    """What the libraries' own loggers say. dmsfw reports a lost source itself: their warnings are for debugging."""

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(Exception):  # a library's broken format string must not reach its caller
            write = structlog.get_logger().warning if record.levelno >= logging.ERROR else structlog.get_logger().debug
            write("library message", library=record.name, text=record.getMessage())


_library = _Library(logging.WARNING)
_writer: Writer | None = None


def configure(
    level: Level,
    format: Format = "text",  # noqa: A002 - the option's own name
    stream: TextIO | None = None,
    dev_log: str = "/dev/log",
    tag: str = "dmsfw",
) -> None:
    """Set the log up, or anew. `stream` plays stderr; `dev_log` empty: never the system's log."""
    global _writer  # noqa: PLW0603 - a process has one log
    if _writer is not None:
        _writer.close()
    stream = sys.stderr if stream is None else stream
    to_syslog = is_socket(dev_log) and not _is_terminal(stream)
    _writer = Writer(level, format, stream, Syslog(dev_log, tag) if to_syslog else None)
    structlog.configure(
        processors=[_writer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=structlog.ReturnLoggerFactory(),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    if _library not in root.handlers:
        root.addHandler(_library)


def set_level(level: Level) -> None:
    """Change the level at run time, for every logger that is held anywhere. Nothing before `configure`."""
    if _writer is not None:
        _writer.level = level


def is_socket(path: str) -> bool:
    """Tell whether a socket is there; what cannot be looked at is not."""
    try:
        return bool(path) and stat.S_ISSOCK(os.stat(path).st_mode)  # noqa: PTH116 - cheaper than a Path, and as clear
    except (OSError, ValueError):
        return False


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except (AttributeError, ValueError):
        return False


def _stamp() -> str:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    return f"{stamp[:-2]}:{stamp[-2:]}"


def _exception(given: object) -> BaseException | None:
    """The exception that `exc_info` names: itself, a triple, or True for the one being handled."""
    if isinstance(given, BaseException):
        return given
    if isinstance(given, tuple):
        return given[1] if isinstance(given[1], BaseException) else None
    return sys.exc_info()[1] if given else None


def _traceback(exception: BaseException | None) -> list[str]:
    if exception is None:
        return []
    parts = traceback.format_exception(type(exception), exception, exception.__traceback__)
    return [line.rstrip() for part in parts for line in part.splitlines() if line.strip()]
