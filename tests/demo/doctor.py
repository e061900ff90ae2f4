"""The field case as `dmsfw doctor` sees it, refused and then open, and by `allow` and `deny`:

    PYTHONPATH=daemon:. python -m tests.demo.doctor

Runs in the lab and prints what a terminal shows. With --write it puts both into docs/doctor*.md, behind the comments
that name them.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tests.e2e.support import NAME, SHIPPED, Dmsfw, with_uci
from tests.lab import SERVER, SERVICE, Lab, paths

DOCUMENTS = tuple(paths.ROOT / "docs" / name for name in ("doctor.md", "doctor.zh-CN.md"))
QUESTION = ("doctor", "dms-service-app-1", f"{NAME}:465", "-4")
SWITCHED_OFF = SHIPPED.replace(
    "config egress 'smtps'\n\toption enabled '1'", "config egress 'smtps'\n\toption enabled '0'"
)
PASTE = "ask again:\n"
FIELD = "dms-service_dms-network"
CHANGE = (FIELD, "465", "--yes")


def transcripts() -> dict[str, str]:
    """Ask, paste what was printed, ask again; by name."""
    with Lab() as lab, with_uci(lab):
        lab.compose("up", "-d")
        dmsfw = Dmsfw(lab)
        dmsfw.start(SWITCHED_OFF)
        try:
            refused = asked(lab)
            dmsfw.paste(refused.partition(PASTE)[2])
            lab.wait(lambda: lab.connect(SERVICE, SERVER, 465) == "open")
            found = {"refused": refused, "open": asked(lab), "all": asked(lab, "explain", "--all-networks")}
            lab.dmsfw("deny", FIELD, "465", "--yes")
            return {**found, "allow": asked(lab, "allow", *CHANGE), "deny": asked(lab, "deny", *CHANGE)}
        finally:
            dmsfw.end()


def asked(lab: Lab, *question: str) -> str:
    """What is typed, and what comes out."""
    typed = question or QUESTION
    return f"# dmsfw {' '.join(typed)}\n{lab.dmsfw(*typed).stdout}"


def put(document: Path, found: dict[str, str]) -> None:
    """Replace each block that follows a comment with its name."""
    text = document.read_text("utf-8")
    for name, transcript in found.items():
        block = f"<!-- transcript: {name} -->\n\n```text\n{transcript}```"
        pattern = re.compile(rf"<!-- transcript: {name} -->\n\n```text\n.*?```", re.DOTALL)
        assert pattern.search(text), f"{document} has no place for {name}"
        text = pattern.sub(lambda _, block=block: block, text)  # type: ignore[misc]
    document.write_text(text, "utf-8")


def main() -> int:
    """Print them, or write them."""
    found = transcripts()
    if sys.argv[1:] == ["--write"]:
        for document in DOCUMENTS:
            put(document, found)
    else:
        print("\n".join(found.values()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
