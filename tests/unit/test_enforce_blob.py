"""Tables as the kernel hands them out: recorded ones are read right, and spoilt ones end in a clean error."""

from __future__ import annotations

import json
import re
import shlex
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dmsfw.enforce import diff
from dmsfw.enforce.blob import Blob
from dmsfw.enforce.describe import describe
from dmsfw.enforce.render import TableKey, hook
from dmsfw.enforce.rule import EXTENSION, LAYOUTS, parse_rule
from dmsfw.enforce.tables import Entry
from dmsfw.errors import TableRefused

FOLDER = Path(__file__).parents[1] / "cases" / "enforce"
NAMES = sorted(path.stem for path in FOLDER.glob("*.bin"))
LENGTHS = (0, 1, 2, 31, 32, 33, 112, 0x7FFF, 0xFFFF)
EVERY_TABLE = pytest.mark.parametrize("name", NAMES)


def recorded(name: str) -> Blob:
    said = json.loads((FOLDER / f"{name}.json").read_text())
    return Blob(said["version"], (FOLDER / f"{name}.bin").read_bytes(), said["hooks"])


def saved(name: str) -> dict[str, list[list[str]]]:
    """By chain, the words of each rule behind `-A CHAIN`, as iptables-save printed them."""
    chains: dict[str, list[list[str]]] = {}
    for line in (FOLDER / f"{name}.rules").read_text().splitlines():
        if line.startswith(":"):
            chains[line[1:].split(" ")[0]] = []
        if line.startswith("-A "):
            _, chain, *words = shlex.split(line)
            chains[chain].append(words)
    return chains


def after(words: list[str], flag: str) -> str:
    return words[words.index(flag) + 1] if flag in words else ""


@EVERY_TABLE
def test_every_chain_and_rule_is_read_as_iptables_save_prints_it(name: str) -> None:
    blob = recorded(name)
    assert set(blob._chains) == set(saved(name))
    for chain, rules in saved(name).items():
        entries = blob.chain(chain)
        assert entries is not None
        assert [entry.target for entry in entries] == [after(words, "-j") for words in rules]
        assert [entry.comment for entry in entries] == [after(words, "--comment") for words in rules]
        states = [{*after(words, "--ctstate").split(",")} - {""} for words in rules]
        assert [entry.states for entry in entries] == states


@EVERY_TABLE
def test_rules_are_described_by_the_words_of_iptables_save(name: str) -> None:
    blob = recorded(name)
    for chain, rules in saved(name).items():
        for entry, words in zip(blob.chain(chain) or (), rules, strict=True):
            shown = shlex.split(entry.text)
            for flag in ("-s", "-d", "-i", "-o", "-p", "--dport", "--dports", "--ctstate", "--comment", "-j"):
                assert after(shown, flag) == after(words, flag)


@EVERY_TABLE
def test_a_recorded_table_has_no_chain_but_its_own(name: str) -> None:
    assert recorded(name).chain("nowhere") is None
    assert recorded(name).chain("nowhere") is None


@EVERY_TABLE
def test_a_table_in_sync_is_in_sync_however_it_was_recorded(name: str) -> None:
    blob = recorded(name)
    for key in (TableKey(blob.version, "filter"), TableKey(blob.version, "nat")):  # type: ignore[arg-type]
        own = blob.chain(key.own)
        if own:
            (there,) = (entry.key for entry in blob.chain(key.builtin) or () if entry.target == key.own)
            rules = {entry.key: replace(hook(key), comment=entry.comment) for entry in own}
            assert diff.edits(key, blob, diff.Wanted(rules, hook(key), there)) == ()


@EVERY_TABLE
def test_counters_are_no_part_of_the_fingerprint_and_everything_else_is(name: str) -> None:
    blob = recorded(name)
    starts, _ = blob._walk
    counters = LAYOUTS[blob.version].counters_at
    for start in starts:
        raw = bytearray(blob.raw)
        raw[start + counters : start + counters + 16] = b"\x07" * 16
        assert replace(blob, raw=bytes(raw), _parsed={}).fingerprint == blob.fingerprint
    for at in range(0, len(blob.raw), 7):
        start = max(begin for begin in starts if begin <= at)
        offsets = LAYOUTS[blob.version].offsets_at
        if not counters <= at - start < counters + 16 and not offsets <= at - start < offsets + 4:
            raw = bytearray(blob.raw)
            raw[at] ^= 0x20
            with suppress(TableRefused):
                assert replace(blob, raw=bytes(raw), _parsed={}).fingerprint != blob.fingerprint


def look_at_everything(blob: Blob) -> None:
    assert isinstance(blob.fingerprint, int)
    for name in blob._chains:
        blob.chain(name)
    for key in ("FORWARD", "POSTROUTING"):
        blob.ours_outside(f"DMSFW-{key}", key)


def spoilt(blob: Blob, raw: bytes) -> None:
    """It is read all the same, or refused: never anything else."""
    with suppress(TableRefused):
        look_at_everything(replace(blob, raw=raw, _parsed={}))


@EVERY_TABLE
def test_a_truncated_table_is_a_clean_error(name: str) -> None:
    blob = recorded(name)
    heads = {offset for offset, _ in blob._walk[1]}  # a table may well end with a chain's head
    for length in {*range(0, len(blob.raw), 7), *blob._walk[0]} - heads:
        with pytest.raises(TableRefused, match="not laid out as it should be"):
            look_at_everything(replace(blob, raw=blob.raw[:length], _parsed={}))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(NAMES), st.lists(st.tuples(st.integers(0), st.integers(0, 255)), min_size=1, max_size=8))
def test_altered_bytes_are_read_or_refused_and_never_loop(name: str, edits: list[tuple[int, int]]) -> None:
    blob = recorded(name)
    raw = bytearray(blob.raw)
    for at, value in edits:
        raw[at % len(raw)] = value
    spoilt(blob, bytes(raw))


@settings(deadline=None)
@given(st.sampled_from(NAMES), st.integers(0), st.sampled_from(LENGTHS), st.sampled_from([0, 2]))
def test_offsets_that_lead_elsewhere_are_refused(name: str, number: int, value: int, field: int) -> None:
    blob = recorded(name)
    starts, _ = blob._walk
    at = starts[number % len(starts)] + LAYOUTS[blob.version].offsets_at + field
    raw = bytearray(blob.raw)
    struct.pack_into("=H", raw, at, value)
    spoilt(blob, bytes(raw))


@settings(deadline=None)
@given(st.binary(max_size=2000), st.sampled_from([4, 6]))
def test_noise_is_refused(noise: bytes, version: int) -> None:
    blob = Blob(version, noise, {"INPUT": 0})
    spoilt(blob, noise)
    with suppress(TableRefused):
        parse_rule(version, noise)


@pytest.mark.parametrize("offset", [1, 100, 10**6, -1])
def test_a_chain_that_begins_nowhere_is_refused(offset: int) -> None:
    blob = recorded(NAMES[0])
    with pytest.raises(TableRefused, match="begins within a rule"):
        replace(blob, hooks={**blob.hooks, "INPUT": offset}, _parsed={}).chain("INPUT")


def rule(target: tuple[bytes, bytes], *matches: tuple[bytes, int, bytes]) -> Entry:
    """A rule of extensions: (name, content) of the target, (name, revision, content) of the matches."""
    middle = b"".join(EXTENSION.pack(32 + len(data), name, revision) + data for name, revision, data in matches)
    end = EXTENSION.pack(32 + len(target[1]), target[0], 0) + target[1]
    head = bytearray(LAYOUTS[4].matches_at)
    target_at = len(head) + len(middle)
    struct.pack_into("=HH", head, LAYOUTS[4].offsets_at, target_at, target_at + len(end))
    return parse_rule(4, bytes(head) + middle + end)


def test_an_unknown_match_and_target_do_no_harm() -> None:
    entry = rule((b"OF", b"\xaa" * 16), (b"unheard", 3, b"\xff" * 8))
    assert (entry.target, entry.text) == ("OF", "-m unheard -j OF")


def test_bytes_behind_a_names_end_make_no_difference() -> None:
    assert rule((b"DMSFW-FORWARD\0", bytes(8))).key == rule((b"DMSFW-FORWARD\0rubbish", bytes(8))).key


@pytest.mark.parametrize(
    ("mask", "states"),
    [(0x02, {"ESTABLISHED"}), (0x0C, {"RELATED", "NEW"}), (0x41, {"INVALID", "UNTRACKED"}), (0, set())],
)
def test_the_old_match_for_states_is_read_too(mask: int, states: set[str]) -> None:
    assert rule((b"", struct.pack("=i", -2)), (b"state", 0, struct.pack("=I", mask))).states == states


def test_states_of_the_connection_match_are_read_only_where_they_stand() -> None:
    content = bytearray(164)
    struct.pack_into("=HHH", content, 146, 1, 0, 0x102)
    for revision, states in ((3, {"ESTABLISHED", "UNTRACKED"}), (2, {"ESTABLISHED", "UNTRACKED"}), (1, set())):
        assert rule((b"", struct.pack("=i", -2)), (b"conntrack", revision, bytes(content))).states == states
    with pytest.raises(TableRefused):
        rule((b"", struct.pack("=i", -2)), (b"conntrack", 3, bytes(20)))


def _ipv4(write: Callable[[bytearray], None]) -> str:
    ip = bytearray(84)
    write(ip)
    return describe(4, bytes(ip), [("multiport", b"short")], ["NEW"], "", "ACCEPT")


def test_what_is_cut_short_is_still_described() -> None:
    assert _ipv4(lambda _: None) == "-m multiport --ctstate NEW -j ACCEPT"


def test_a_device_name_that_is_no_text_is_described() -> None:
    def write(ip: bytearray) -> None:
        ip[16:18] = b"\xff+"
        ip[48:49] = b"\xff"

    assert re.match("-i \ufffd\\+ ", _ipv4(write))
