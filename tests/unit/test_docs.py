"""The documents against the code: every message is explained word for word, in both languages, and none beside.

What the code says is collected from its syntax trees. An f-string becomes a pattern: what is filled in is anything.
In the documents, a message is what stands in backticks at the beginning of a table row in docs/troubleshooting*.md.
"""

from __future__ import annotations

import argparse
import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import get_args

import pytest

from dmsfw import cli
from dmsfw.backend import LEFT_OUT
from dmsfw.chronicle import NO_UPLINK
from dmsfw.config.options import OPTIONS
from dmsfw.firewall4.enforcer import DORMANT, STOPPED
from dmsfw.report.sentence import NO_GRANT
from dmsfw.report.status import State

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "daemon" / "dmsfw"
LANGUAGES = ("troubleshooting.md", "troubleshooting.zh-CN.md")
READMES = ("README.md", "README.zh-CN.md")
DOCTORS = ("docs/doctor.md", "docs/doctor.zh-CN.md")
TWINS = (READMES, DOCTORS, tuple(f"docs/{name}" for name in LANGUAGES))
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])

LOGGERS = {"log", "logger"}
LEVELS = {"debug", "info", "warning", "error", "exception"}

LOGGED_ELSEWHERE = {
    ("chronicle.py", "message"): ("report/sentence.py", "lines_for_change"),
}
"""Messages that reach the log in a variable, and the function whose tuples begin with them."""

SAID_BY = {
    "chronicle.py": ("_faults", "_no_uplink", "_unserved"),
    "cli.py": ("main",),
    "commands.py": ("_seen_status", "_tell_slow_lock"),
    "config/files.py": ("read",),
    "config/load.py": ("text_of",),
    "decide/grants.py": ("obstacle",),
    "enforce/build.py": ("_fault",),
    "enforce/nftables.py": ("obstacles",),
    "firewall4/names.py": ("unsaid",),
    "firewall4/render.py": ("_overlap",),
    "enforce/sockopt.py": ("refusal",),
    "observe/docker.py": ("reason",),
    "observe/events.py": ("__init__", "_listen"),
    "observe/networks.py": ("_problem", "_subnet", "_subnets", "_without_shared_bridges"),
    "report/compose.py": ("judge",),
    "report/status.py": ("as_seen",),
}
"""Functions whose sentences become a reason, a fault or an obstacle."""

RAISED = {
    "ObserveError": 1,
    "NoUbus": 1,
    "EnforceError": 0,
    "TableChanged": 0,
    "TableRefused": 0,
    "NotSupported": 0,
    "Busy": 0,
    "UsageError": 0,
    "Refused": 0,
    "Unanswered": 0,
    "UnreadableStatus": 0,
}
"""Exceptions that a user reads, and which argument of theirs is the sentence."""

SENTENCE = re.compile(r"[A-Za-z]+ [A-Za-z]{2,}")
"""What makes a text a sentence and not a key or a separator."""

NOT_SAID = {"dmsfw docker events"}
"""The name of a thread."""

HOLE = "\0"


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield str(path.relative_to(PACKAGE)), ast.parse(path.read_text("utf-8"))


class Texts:
    """What an expression of one module may say, with `HOLE` for what is filled in."""

    def __init__(self, module: ast.Module) -> None:
        self.constants = {
            target.id: node.value
            for node in module.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }

    def of(self, node: ast.expr) -> list[str]:
        if isinstance(node, ast.Constant):
            return [node.value] if isinstance(node.value, str) else []
        if isinstance(node, ast.JoinedStr):
            return ["".join(self._part(part) for part in node.values)]
        if isinstance(node, ast.Name):
            return self.of(self.constants[node.id]) if node.id in self.constants else []
        if isinstance(node, ast.IfExp):
            return self.of(node.body) + self.of(node.orelse)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
            return [text.replace("{}", HOLE) for text in self.of(node.func.value)]
        return []

    def _part(self, part: ast.expr) -> str:
        if isinstance(part, ast.Constant):
            return str(part.value)
        assert isinstance(part, ast.FormattedValue)
        known = self.of(part.value)
        return known[0] if isinstance(part.value, ast.Name) and len(known) == 1 else HOLE


def functions(module: ast.Module) -> Iterator[ast.FunctionDef]:
    yield from (node for node in ast.walk(module) if isinstance(node, ast.FunctionDef))


def texts_in(function: ast.FunctionDef, texts: Texts) -> Iterator[str]:
    """All sentences of a function but its docstring and the pieces of its f-strings."""
    inside = {id(part) for node in ast.walk(function) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    docstring = function.body[0].value if isinstance(function.body[0], ast.Expr) else None
    for node in ast.walk(function):
        if node is docstring or (id(node) in inside and not isinstance(node, ast.JoinedStr)):
            continue
        if isinstance(node, (ast.Constant, ast.JoinedStr)):
            yield from texts.of(node)


def logged(name: str, module: ast.Module) -> Iterator[str]:
    """Every message that a module logs; fails for one that cannot be told."""
    texts = Texts(module)
    aliases = set(_aliases(module))
    for node in ast.walk(module):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        if _is_log_call(node.func) or (isinstance(node.func, ast.Name) and node.func.id in aliases):
            yield from _messages(name, module, node.args[0], texts)
        elif isinstance(node.func, ast.Attribute) and node.func.attr == "_message":
            yield from (text.partition(f" count={HOLE}")[0] for text in texts.of(node.args[1]))


def _is_log_call(function: ast.expr) -> bool:
    return (
        isinstance(function, ast.Attribute)
        and function.attr in LEVELS
        and isinstance(function.value, ast.Name)
        and function.value.id in LOGGERS
    )


def _aliases(module: ast.Module) -> Iterator[str]:
    """Names that hold a logger's method: `write = logger.warning if ... else logger.debug`."""
    for node in ast.walk(module):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.IfExp):
            chosen = (node.value.body, node.value.orelse)
            if all(isinstance(one, ast.Attribute) and one.attr in LEVELS for one in chosen):
                yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def _messages(name: str, module: ast.Module, argument: ast.expr, texts: Texts) -> list[str]:
    if found := texts.of(argument):
        return found
    assert isinstance(argument, ast.Name), f"{name}:{argument.lineno}: cannot tell what is logged"
    if (name, argument.id) in LOGGED_ELSEWHERE:
        file, function = LOGGED_ELSEWHERE[name, argument.id]
        return list(_tuple_heads(file, function))
    found = list(_arguments(module, argument, texts))
    assert found, f"{name}:{argument.lineno}: cannot tell what is logged as {argument.id}"
    return found


def _arguments(module: ast.Module, parameter: ast.Name, texts: Texts) -> Iterator[str]:
    """What a function's callers give for the parameter that it logs."""
    for function in functions(module):
        names = [argument.arg for argument in function.args.args]
        if parameter.id in names and any(node is parameter for node in ast.walk(function)):
            for call in ast.walk(module):
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == function.name:
                    yield from texts.of(call.args[names.index(parameter.id)])


def _tuple_heads(file: str, name: str) -> Iterator[str]:
    module = ast.parse((PACKAGE / file).read_text("utf-8"))
    function = next(function for function in functions(module) if function.name == name)
    for node in ast.walk(function):
        if isinstance(node, ast.Tuple) and isinstance(head := node.elts[0], ast.Constant):
            yield str(head.value)


def said(name: str, module: ast.Module) -> Iterator[str]:
    """Every sentence of a module's that becomes a reason or ends a command."""
    texts = Texts(module)
    for function in functions(module):
        if function.name in SAID_BY.get(name, ()):
            yield from texts_in(function, texts)
    for node in ast.walk(module):
        if isinstance(node, ast.keyword) and node.arg == "reasons":
            yield from (text for part in ast.walk(node.value) if isinstance(part, ast.expr) for text in texts.of(part))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in RAISED:
            at = RAISED[node.func.id]
            yield from (text for argument in node.args[at : at + 1] for text in texts.of(argument))


@lru_cache
def log_messages() -> frozenset[str]:
    found = {message for name, module in modules() for message in logged(name, module)}
    assert '"traceback"' in (PACKAGE / "report/log.py").read_text("utf-8")
    return frozenset(found | {"traceback"})


@lru_cache
def sentences() -> frozenset[str]:
    found = {text.strip() for name, module in modules() for text in said(name, module)}
    found |= {NO_UPLINK, NO_GRANT, LEFT_OUT, STOPPED, DORMANT}
    return frozenset(text for text in found - NOT_SAID if SENTENCE.search(text.replace(HOLE, "|")))


def pattern(text: str) -> re.Pattern[str]:
    return re.compile(".+?".join(map(re.escape, text.split(HOLE))))


ROW = re.compile(r"^\| (`+) ?(.+?) ?\1 ?\|", re.MULTILINE)


@lru_cache
def listed(document: str) -> tuple[str, ...]:
    return tuple(match[2] for match in ROW.finditer((ROOT / "docs" / document).read_text("utf-8")))


@pytest.mark.parametrize("document", LANGUAGES)
def test_every_log_message_is_explained(document: str) -> None:
    assert len(log_messages()) > 20
    assert sorted(log_messages() - set(listed(document))) == []


@pytest.mark.parametrize("document", LANGUAGES)
def test_every_reason_and_error_is_explained(document: str) -> None:
    """A sentence may be the end of what is listed: `its subnet 'X'` and `cannot be read` are one message."""
    assert len(sentences()) > 60
    ends = [re.compile(f"(?s:.*){pattern(text).pattern}") for text in sorted(sentences())]
    missing = [end.pattern for end in ends if not any(end.fullmatch(entry) for entry in listed(document))]
    assert missing == []


@pytest.mark.parametrize("document", LANGUAGES)
def test_every_state_is_explained(document: str) -> None:
    assert set(get_args(State)) <= set(listed(document))


@pytest.mark.parametrize("document", LANGUAGES)
def test_nothing_is_explained_that_the_code_does_not_say(document: str) -> None:
    known = {*log_messages(), *get_args(State)}
    patterns = [pattern(text) for text in sentences()]
    ends = [re.compile(f".+ {pattern(text).pattern}") for text in sentences() if not text[:1].isupper()]
    strangers = [
        entry
        for entry in listed(document)
        if entry not in known and not any(one.fullmatch(entry) for one in (*patterns, *ends))
    ]
    assert strangers == []


def test_both_languages_list_the_same_messages_in_the_same_order() -> None:
    assert listed(LANGUAGES[0]) == listed(LANGUAGES[1])
    repeated = {entry for entry, times in Counter(listed(LANGUAGES[0])).items() if times > 1}
    assert repeated <= set(get_args(State))  # `stopped` is said in the log as well


def outline(path: Path) -> list[int]:
    """The levels of a document's headings, code left out."""
    text = re.sub(r"^```.*?^```", "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [len(hashes) for hashes in re.findall(r"^(#+) ", text, flags=re.MULTILINE)]


@pytest.mark.parametrize(
    "pair", [READMES, DOCTORS, tuple(f"docs/{name}" for name in LANGUAGES)], ids=lambda pair: pair[0]
)
def test_both_languages_have_the_same_headings(pair: tuple[str, str]) -> None:
    english, chinese = (outline(ROOT / name) for name in pair)
    assert english == chinese


def code_blocks(text: str) -> list[str]:
    return re.findall(r"^```\w*\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("pair", [READMES, DOCTORS], ids=lambda pair: pair[0])
def test_both_languages_show_the_same_commands_and_output(pair: tuple[str, str]) -> None:
    """A comment and a <placeholder> may be translated; what is typed and what comes out may not."""
    english, chinese = (
        [re.sub(r"#.*|<[^>]*>", "", block) for block in code_blocks((ROOT / name).read_text("utf-8"))] for name in pair
    )
    assert english == chinese


def subcommands() -> set[str]:
    parser = cli._parser()
    actions = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return {name for action in actions for name in action.choices}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_in_the_documents_exist(document: Path) -> None:
    text = ROW.sub("|", document.read_text("utf-8"))
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text("utf-8"), flags=re.MULTILINE))
    code = "\n".join([*re.findall(r"`([^`\n]+)`", text), *code_blocks(text)])
    assert set(re.findall(r"^make ([a-z0-9-]+)", code, flags=re.MULTILINE)) <= targets
    used = re.findall(r"^dmsfw (?:--(?:config|run-dir) \S+ )*([a-z]+)(?=\s|$)", code, flags=re.MULTILINE)
    assert set(used) <= subcommands()


@pytest.mark.parametrize("readme", READMES)
def test_the_readme_names_every_command_and_every_option(readme: str) -> None:
    text = (ROOT / readme).read_text("utf-8")
    assert {name for name in subcommands() if f"`{name}`" not in text} == set()
    assert {option.name for option in OPTIONS if f"`{option.name}`" not in text} == set()


LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for link in LINK.findall(document.read_text("utf-8")):
        if link.startswith(("http://", "https://")):
            continue
        file, _, anchor = link.partition("#")
        target = (document.parent / file).resolve() if file else document
        assert target.exists(), f"{document.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{document.name}: {link}"
