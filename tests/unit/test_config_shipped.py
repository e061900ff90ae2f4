"""The file as it is shipped, and the table of options against the code and the documents."""

from __future__ import annotations

import re
import shutil
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from dmsfw.config import advice, load, option_table
from dmsfw.config.advice import LOUD
from dmsfw.config.options import NARROWING, OPTIONS, SECTIONS, Known, names
from dmsfw.model import Policy, PortRange, Settings
from tests.unit.config_support import OPENWRT, ROOT, SHIPPED, loaded, problems

DOCUMENT = (ROOT / "docs/configuration.md").read_text()


def shipped(folder: Path) -> Settings:
    for source, name in (
        (SHIPPED, "dmsfw"),
        (OPENWRT / "config.firewall", "firewall"),
        (OPENWRT / "config.network", "network"),
    ):
        shutil.copyfile(source, folder / name)
    read = load(folder / "dmsfw")
    assert read.warnings == ()
    return read.settings


def test_the_shipped_file_serves_both_spellings_of_the_field_case(tmp_path: Path) -> None:
    (policy,) = shipped(tmp_path).active
    assert policy.labels == (("com.docker.compose.network", "dms-network"),)
    for name in ("dms-network", "dms-service_dms-service-network"):
        assert any(fnmatchcase(name, glob) for glob in policy.networks)
    assert not any(fnmatchcase("bridge", glob) for glob in policy.networks)
    assert (policy.protos, policy.ports) == (("tcp",), (PortRange(465, 465),))


def test_the_shipped_file_opens_nothing_else(tmp_path: Path) -> None:
    settings = shipped(tmp_path)
    assert [(policy.name, policy.enabled) for policy in settings.policies] == [("smtps", True), ("everything", False)]
    assert not any(LOUD in line for line in advice(settings))


def test_commented_lines_of_the_shipped_file_are_options_too(tmp_path: Path) -> None:
    """Taking a `#` away has to work."""
    text = re.sub(r"^\t# (list|option) ", r"\t\1 ", SHIPPED.read_text(), flags=re.MULTILINE)
    read = loaded(tmp_path, text)
    assert read.warnings == ()
    assert read.settings.uplinks == ("wan",)
    assert read.settings.active[0].dns


@pytest.mark.parametrize("option", [o for o in OPTIONS if o.default], ids=lambda o: f"{o.section}.{o.name}")
def test_a_default_that_is_written_down_is_the_default(tmp_path: Path, option: Known) -> None:
    sections = {"dmsfw": "config dmsfw main\n", "egress": "config egress x\nlist network a\noption dest_port any\n"}
    bare = loaded(tmp_path, "".join(sections.values())).settings
    sections[option.section] += f"option {option.name} '{option.default}'\n"
    assert loaded(tmp_path, "".join(sections.values())).settings == bare
    assert bare == Settings(policies=(Policy("x", networks=("a",)),))


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: f"{option.section}.{option.name}")
def test_every_option_of_the_table_is_read(tmp_path: Path, option: Known) -> None:
    """A value that no option takes is refused, with what the table says is allowed; an unread one would pass."""
    name = "main" if option.section == "dmsfw" else "x"
    refused = problems(tmp_path, f"config {option.section} {name}\noption {option.name} '\x01'\n")
    assert f"{option.section} '{name}': {option.name} '\\x01' is not allowed: {option.allowed}" in refused


def test_the_table_fits_a_terminal() -> None:
    lines = option_table().splitlines()
    assert max(map(len, lines)) <= 100
    for option in OPTIONS:
        assert any(line.startswith(f"  {option.kind:<6} {option.name} ") for line in lines)
    assert all(heading in lines for heading in SECTIONS.values())


def test_the_document_lists_exactly_these_options() -> None:
    rows = re.findall(r"^\| (dmsfw|egress) \| `(\w+)` \| (\w+) \| (.*?) \| (.*?) \| (.*?) \|$", DOCUMENT, re.MULTILINE)
    assert rows == [
        (o.section, o.name, o.kind, f"`{o.default}`" if o.default else "-", o.allowed, o.meaning) for o in OPTIONS
    ]


def test_the_examples_of_the_document_load_without_a_word(tmp_path: Path) -> None:
    examples = re.findall(r"^```uci\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert len(examples) >= 5
    for example in examples:
        assert loaded(tmp_path, "config dmsfw 'main'\n" * ("dmsfw 'main'" not in example) + example).warnings == ()


def test_the_options_that_narrow_are_options() -> None:
    assert names("egress") >= NARROWING
