"""The files that others read: the status document, and metrics where they are wanted. A full disk stops nothing."""

from __future__ import annotations

from pathlib import Path

import structlog

from dmsfw.report.files import write_atomically
from dmsfw.report.news import News
from dmsfw.report.status import Status, to_json

STATUS_NAME = "status.json"

log = structlog.get_logger()


class Bulletin:
    """Puts the files up. `run_dir`: where the status goes. That one cannot be written is said once."""

    def __init__(self, run_dir: Path) -> None:
        self._status_file = run_dir / STATUS_NAME
        self._news = News()

    def write_status(self, status: Status) -> None:
        """Write the status document."""
        error = _put(self._status_file, to_json(status))
        if self._news.is_new("status file", error and error.errno):
            log.warning("status cannot be written", file=str(self._status_file), error=error and error.strerror)

    def write_metrics(self, file: Path, text: str) -> None:
        """Write the metrics."""
        error = _put(file, text)
        if self._news.is_new("metrics file", error and (file, error.errno)):
            log.warning("metrics cannot be written", file=str(file), error=error and error.strerror)


def _put(file: Path, text: str) -> OSError | None:
    """Write a file; return why that could not be done."""
    try:
        write_atomically(file, text)
    except OSError as error:
        return error
    return None
