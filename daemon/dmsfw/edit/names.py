"""Names of sections: UCI takes letters, digits and `_`."""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import chain, count

MAIN = "main"

MAX_DERIVED = 40
"""Longest name that is made of a network's: it stands in each rule's comment, and has to leave room for a number."""

FALLBACK = "network"
"""For names without any letter or digit that UCI takes: Chinese ones, say."""

_NAME = re.compile(r"[A-Za-z0-9_]{1,64}")
_OTHER = re.compile(r"[^A-Za-z0-9]+")


def is_section_name(text: str) -> bool:
    """Tell whether a section may be called so (config/egress.py has the length)."""
    return _NAME.fullmatch(text) is not None


def section_name(network: str, taken: Collection[str] = ()) -> str:
    """Make a section's name of a network's: `dms-service_default` is `dms_service_default`, or that with a number.

    Never that of the section `main`, which is dmsfw's own even where it is not written yet.
    """
    stem = _OTHER.sub("_", network).strip("_")[:MAX_DERIVED].strip("_") or FALLBACK
    numbered = (f"{stem}_{number}" for number in count(2))
    return next(name for name in chain([stem], numbered) if name not in {MAIN, *taken})
