"""Imports docker-py without the part of its requirements that costs most and serves least here.

requests brings charset-normalizer, which guesses the encoding of answers that name none: 2.4 MB of memory. Docker
answers in JSON, which is UTF-8, so while requests is imported a stand-in that says so takes its name.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

NAME = "charset_normalizer"


@contextmanager
def _nothing_to_guess() -> Iterator[None]:
    """Have requests find the stand-in; whoever imports the real module elsewhere gets the real one."""
    if NAME in sys.modules:
        yield
        return
    sys.modules[NAME] = _stand_in()
    try:
        yield
    finally:
        del sys.modules[NAME]


def _stand_in() -> ModuleType:
    module = ModuleType(NAME)
    vars(module).update(__version__="3.0.0", detect=lambda _: {"encoding": "utf-8"})
    return module


with _nothing_to_guess():
    import docker
    import requests

__all__ = ["docker", "requests"]
