"""What else decides about forwarded packets: told by the programs that are installed, of which a test writes one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dmsfw.enforce import nftables
from dmsfw.enforce.nftables import FIREWALL4, obstacles

PRINT = 'while IFS= read -r line; do printf "%s" "$line"; done'
"""`cat`, which is not on the PATH of these tests."""


class Nft:
    """A program `nft` in the only folder of the PATH."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "nft"
        self.answer = folder / "answer.json"

    def script(self, text: str) -> None:
        self.path.write_text(f"#!/bin/sh\n{text}\n")
        self.path.chmod(0o755)

    def says(self, text: str) -> None:
        self.answer.write_text(text)
        self.script(f'[ "$*" = "-j list chains" ] || exit 9\n{PRINT} < {self.answer}')

    def has(self, *chains: Any) -> None:
        entries = [{"metainfo": {"version": "1.0.6", "json_schema_version": 1}}, *({"chain": each} for each in chains)]
        self.says(json.dumps({"nftables": entries}) + "\n")


@pytest.fixture
def nft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Nft:
    monkeypatch.setenv("PATH", str(tmp_path))
    return Nft(tmp_path)


def chain(**given: Any) -> dict[str, Any]:
    base = {"family": "inet", "table": "other", "name": "forward", "handle": 1, "type": "filter", "hook": "forward"}
    return {**base, "prio": 0, "policy": "drop", **given}


def test_where_there_is_no_nft_and_no_firewall4_nothing_is_in_the_way(nft: Nft) -> None:
    del nft
    assert obstacles() == ()


@pytest.mark.parametrize("family", ["inet", "ip", "ip6"])
def test_a_chain_that_drops_forwarded_packets_is_named(nft: Nft, family: str) -> None:
    nft.has(chain(family=family))
    (obstacle,) = obstacles()
    assert (
        obstacle
        == f"nftables chain {family} other forward drops forwarded packets by its policy, whatever dmsfw accepts"
    )


@pytest.mark.parametrize(
    "harmless",
    [
        chain(policy="accept"),
        chain(hook="input"),
        chain(family="bridge"),
        {"family": "inet", "table": "other", "name": "handle_reject", "handle": 9},
        "no chain at all",
        None,
    ],
)
def test_other_chains_are_in_nobodys_way(nft: Nft, harmless: object) -> None:
    nft.has(harmless)
    assert obstacles() == ()


def test_each_dropping_chain_is_told(nft: Nft) -> None:
    nft.has(chain(), chain(policy="accept"), chain(family="ip", table="filter", name="FORWARD"))
    assert [text.split(" drops")[0] for text in obstacles()] == [
        "nftables chain inet other forward",
        "nftables chain ip filter FORWARD",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "[]",
        "7",
        "null",
        '{"other": []}',
        '{"nftables": {}}',
        '{"nftables": 7}',
        '{"nftables": [7, []]}',
    ],
)
def test_an_answer_that_is_none_is_none(nft: Nft, text: str) -> None:
    nft.says(text + "\n")
    assert obstacles() == ()


@pytest.mark.parametrize("script", ["exit 1", "printf '\\377\\376'", "kill -9 $$"])
def test_an_nft_that_fails_is_passed_over(nft: Nft, script: str) -> None:
    nft.script(script)
    assert obstacles() == ()


def test_an_nft_that_hangs_is_not_waited_for(nft: Nft, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nftables, "TIMEOUT_S", 0.05)
    nft.script("exec /bin/sleep 600")
    assert obstacles() == ()


def test_an_nft_that_may_not_be_run_is_passed_over(nft: Nft) -> None:
    nft.path.mkdir()
    assert obstacles() == ()


def test_firewall4s_own_chain_is_none_of_them_since_it_is_served(nft: Nft) -> None:
    nft.has(chain(table="fw4"))
    assert obstacles() == ()


def test_a_chain_of_dockers_is_none_either_since_it_accepts_its_bridges(nft: Nft) -> None:
    dockers = {"family": "ip", "table": "filter", "name": "DOCKER-USER", "handle": 9}
    nft.has(chain(family="ip", table="filter"), dockers, chain(family="ip6", table="filter"))
    assert [text.split(" drops")[0] for text in obstacles()] == ["nftables chain ip6 filter forward"]


def test_nor_are_the_tables_of_dockers_backend_for_nftables(nft: Nft) -> None:
    names = {"table": "docker-bridges", "name": "filter-FORWARD"}
    nft.has(chain(family="ip", **names), chain(family="ip6", **names), chain(**names))
    assert [text.split(" drops")[0] for text in obstacles()] == ["nftables chain inet docker-bridges filter-FORWARD"]


def test_firewall4_is_looked_for_where_openwrt_has_it() -> None:
    assert Path("/sbin/fw4") in FIREWALL4
