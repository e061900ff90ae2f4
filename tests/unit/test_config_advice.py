"""What `check` says of sections that allow more than they look."""

from __future__ import annotations

import pytest

from dmsfw.config import advice
from dmsfw.config.advice import LOUD
from dmsfw.model import Policy, Settings

NETWORK = "com.docker.compose.network"
PROJECT = "com.docker.compose.project"

Labels = tuple[tuple[str, str | None], ...]


def advised(**policy: object) -> tuple[str, ...]:
    return advice(Settings(policies=(Policy("x", **policy),)))  # type: ignore[arg-type]


def test_a_compose_network_without_its_project_is_told() -> None:
    assert advised(labels=((NETWORK, "mail"),)) == (
        (
            f"egress 'x': label '{NETWORK}=mail' may be claimed by any Compose project; "
            f"add list label '{PROJECT}=NAME' to mean one"
        ),
    )


@pytest.mark.parametrize(
    "labels", [((NETWORK, "default"),), ((PROJECT, None),), ((NETWORK, None),), ((NETWORK, None), (PROJECT, None))]
)
def test_labels_that_every_project_bears_are_told_loudly(labels: Labels) -> None:
    (told,) = advised(labels=labels)
    assert told.startswith(LOUD)


@pytest.mark.parametrize(
    "labels",
    [((NETWORK, "mail"), (PROJECT, "m")), ((PROJECT, "m"), (NETWORK, None)), (("mine", None),), (), ((PROJECT, "m"),)],
)
def test_labels_of_one_project_or_ones_own_are_not(labels: Labels) -> None:
    assert advised(labels=labels, networks=("a",)) == ()


@pytest.mark.parametrize("networks", [("*",), ("?*",), ("**",), ("a", "*"), ("[!.]*",), ("[a-m]*", "[!a-m]*")])
def test_globs_that_take_everything_are_told_loudly(networks: tuple[str, ...]) -> None:
    (told,) = advised(networks=networks)
    assert told.startswith(LOUD)
    assert "every bridge network" in told


def test_the_default_networks_of_all_projects_are_told_loudly() -> None:
    (told,) = advised(networks=("*_default",))
    assert told.startswith(LOUD)
    assert "default network of every Compose project" in told


@pytest.mark.parametrize("networks", [("dms-*",), ("*-network",), ("web_default",), ("x",), ("[abc]",)])
def test_globs_that_mean_something_are_not(networks: tuple[str, ...]) -> None:
    assert advised(networks=networks) == ()


def test_sections_that_are_off_are_not_spoken_of() -> None:
    assert advised(networks=("*",), labels=((NETWORK, "default"),), enabled=False) == ()


def test_hostile_labels_are_shown_printable() -> None:
    (told,) = advised(labels=((NETWORK, "x\x1b[31m\n"),))
    assert told.isprintable()
