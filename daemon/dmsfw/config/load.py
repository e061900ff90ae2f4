"""The configuration file -> Settings, or every problem there is with it in one error."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from dmsfw.config import beside, egress, files, options, values
from dmsfw.config.problems import Problems, told
from dmsfw.config.section import SectionReader
from dmsfw.config.uci import Section, parse
from dmsfw.config.wording import nearest, shown, whole
from dmsfw.errors import SettingsError
from dmsfw.model import Settings, Zone

if TYPE_CHECKING:
    from pathlib import Path

MAIN = "main"

NO_ZONE = Zone()
DEFAULT = Settings()
"""What an option of `main` is that is not given; the table of options is held against it."""


class Loaded(NamedTuple):
    """A configuration that can be used, and what its owner ought to know about it."""

    settings: Settings
    warnings: tuple[str, ...]


def load(path: Path, last_zone: Zone = NO_ZONE) -> Loaded:
    """Read `path`, and `firewall` and `network` beside it. `last_zone`: the zone `wan` that was read before, if any.

    Raises: SettingsError with every problem: each one line that names section, option, value and what is allowed.
    """
    problems = Problems()
    settings = _settings(_sections(text_of(path), problems), problems)
    settings = replace(settings, wan_zone=beside.wan_zone(path.parent, problems, last_zone))
    beside.warn_of_strangers(settings, beside.interfaces(path.parent, problems), problems)
    if problems.errors:
        # With the warnings: a misspelt option is one, and often the cause of the error that another is missing.
        warnings = (f"warning: {warning}" for warning in told(problems.warnings))
        raise SettingsError((*told(problems.errors), *warnings))
    return Loaded(settings, told(problems.warnings))


def text_of(path: Path) -> str:
    """Return what stands in the configuration file. Raises: SettingsError, with what to do."""
    try:
        return files.read(path)
    except FileNotFoundError:
        reason = "does not exist: install the package's file there, or name another by --config"
        raise SettingsError([f"{whole(path)} {reason}"]) from None
    except files.Unusable as unusable:
        raise SettingsError([f"{whole(path)} {unusable}"]) from None


def settings_of(text: str) -> Settings:
    """Return the settings that a text alone gives, nothing beside it. Pure. Raises: SettingsError."""
    problems = Problems()
    settings = _settings(_sections(text, problems), problems)
    if problems.errors:
        raise SettingsError(told(problems.errors))
    return settings


def _sections(text: str, problems: Problems) -> list[Section]:
    """Return our sections of known types; note faults of the syntax and unknown types."""
    file = parse(text)
    problems.errors += file.faults
    problems.warnings += file.repeats
    return [section for section in file.sections if section.type and _is_known(section, problems)]


def _is_known(section: Section, problems: Problems) -> bool:
    if section.type in options.SECTIONS:
        return True
    if not problems.is_talkative:
        hint = nearest(section.type, options.SECTIONS)
        problems.warnings.append(f"{section}: section type {shown(section.type)} is unknown and ignored, {hint}")
    return False


def _settings(sections: list[Section], problems: Problems) -> Settings:
    readers = [SectionReader(section, problems) for section in sections]
    for reader in readers:
        reader.warn_of_unknown()
    main = SectionReader(_main(sections, problems), problems)
    return Settings(
        enabled=main.one("enabled", values.boolean, default=DEFAULT.enabled),
        log_level=main.one("log_level", values.log_level, default=DEFAULT.log_level),
        log_format=main.one("log_format", values.log_format, default=DEFAULT.log_format),
        docker_url=main.one("docker_url", values.docker_url, default=DEFAULT.docker_url),
        uplinks=main.many("uplink", values.interface),
        uplink_devices=main.many("uplink_device", values.device),
        resync_s=main.one("resync_interval", values.seconds, default=DEFAULT.resync_s),
        metrics_file=main.one("metrics_file", values.metrics_file, default=DEFAULT.metrics_file),
        backend=main.one("backend", values.backend, default=DEFAULT.backend),
        policies=tuple(egress.policy(reader) for reader in readers if reader.section.type == "egress"),
    )


def _main(sections: list[Section], problems: Problems) -> Section:
    """Return section `main`, an empty one where there is none. Another name is an error: nobody would read it."""
    ours = {section.name: section for section in sections if section.type == "dmsfw"}
    main = ours.pop(MAIN, None)
    problems.errors += (f"{other}: only 'main' is read: write config dmsfw 'main'" for other in ours.values())
    if main is None and not problems.errors:
        problems.warnings.append("dmsfw 'main' is missing: defaults are used")
    return main or Section("dmsfw", MAIN, 0)
