"""What can go wrong, and what is done about each.

DmsfwError
+-- SettingsError     the operator must act; all problems in one message; the last good configuration stays
+-- InvalidValue      a value that was to have been checked before: a fault of ours, nothing is opened
+-- ObserveError      a source did not answer: back off, go on with its last good reading
|   +-- NeverRead     and there is no last good reading yet: nothing is written
+-- EnforceError      the firewall could not be brought to the desired state
|   +-- TableChanged  somebody wrote between read and commit: plan again at once
|   +-- TableRefused  the kernel refuses: back off, log as an error
+-- Busy              another dmsfw holds this network namespace
+-- UsageError        the command cannot be carried out here; the message says what to do
|   +-- WrongUsage    its words make no command
|   +-- Unanswered    a question cannot be answered here
|       +-- CannotTell    whom it is about is not there, or may not be looked at
+-- Refused           a change of the configuration that is not made, and why; nothing has been written
"""

from __future__ import annotations

from collections.abc import Sequence


class DmsfwError(Exception):
    """Anything that dmsfw itself raises. `str()` of it is one line, or a list of problems, fit to be shown.

    `exit_code` is that of a command that ends by it.
    """

    exit_code = 1


class SettingsError(DmsfwError):
    """The configuration cannot be used.

    `problems` holds every one of them, each with section, option and what is allowed.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class InvalidValue(DmsfwError):
    """A value that would open something else than it says."""

    def __init__(self, what: str, value: str, allowed: str) -> None:
        super().__init__(f"{what} {value!r} is not allowed: {allowed}")


class ObserveError(DmsfwError):
    """A source could not be read. The remedy is to wait: its last good reading counts until it answers."""

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(f"{source}: {reason}")
        self.source = source
        self.reason = reason


class NeverRead(ObserveError):
    """A source has not answered once since the start, so nothing is known that could be enforced."""


class EnforceError(DmsfwError):
    """The firewall could not be brought to the desired state."""


class TableChanged(EnforceError):
    """Somebody else wrote between our read and our commit. The remedy is to plan again at once."""


class TableRefused(EnforceError):
    """The kernel or python-iptables refuses a table or a rule. Trying at once again would not help.

    `done`: the plan of all that was done in the other tables (a model.Plan); None when nothing could be.
    """

    done: object = None


class Busy(DmsfwError):
    """Another dmsfw works in this network namespace."""


class UsageError(DmsfwError):
    """The command cannot be carried out here; the message says what to do about it."""


class Refused(DmsfwError):
    """A change of the configuration that is not made, and why. Nothing has been written."""


class WrongUsage(UsageError):
    """The words of the command line do not make a command (EX_USAGE of sysexits.h)."""

    exit_code = 64


class Unanswered(UsageError):
    """A question cannot be answered here. Its commands say by 1 that something does not work: this is not that."""

    exit_code = 2


class CannotTell(Unanswered):
    """Whom a question is about is not there, or may not be looked at; the message says what to do."""
