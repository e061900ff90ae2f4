"""The text of a file, whatever stands at its path: it never blocks and never takes more memory than `MAX_BYTES`."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 1 << 20
"""Largest file that is read. Real ones have a few kilobytes."""


class Unusable(Exception):
    """Why a file cannot be read, and what to do: `cannot be read (Permission denied): run this as root`."""


def read(path: Path) -> str:
    """Return a file's text; bytes that are no UTF-8 become lone surrogates, which no value may have.

    Raises: FileNotFoundError when there is none; Unusable.
    """
    try:
        with open(path, "rb", opener=_open) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise Unusable("is no plain file: name one")
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise
    except IsADirectoryError:
        raise Unusable("is a folder: name a file") from None
    except PermissionError as error:
        raise Unusable(f"cannot be read ({error.strerror}): run this as root") from None
    except (OSError, ValueError) as error:
        raise Unusable(f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(content) > MAX_BYTES:
        raise Unusable(f"is larger than {MAX_BYTES} bytes: this is no configuration, put the right file there")
    return content.decode("utf-8", "surrogateescape")


def _open(path: str, flags: int) -> int:
    """Open without waiting: a pipe in the place of the file would block until somebody writes to it."""
    return os.open(path, flags | os.O_NONBLOCK)
