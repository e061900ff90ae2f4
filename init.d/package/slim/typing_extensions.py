# ruff: noqa: INP001 - a module at the top
"""Takes typing_extensions's place: structlog imports one name of it on Python 3.10, for annotations alone."""

from typing import Any

Self = Any
