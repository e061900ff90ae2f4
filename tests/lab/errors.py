"""What goes wrong in the lab; each message says what to do or shows what was seen."""

from __future__ import annotations


class LabError(RuntimeError):
    """The lab cannot be built or did not do as told."""


class NotYet(LabError):
    """A condition was waited for in vain."""
