"""The stand-in for `uci` does what the real one did (tests/cases/config/uci-calls.json)."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.unit.config_support import CASES, ROOT

RECORDED = json.loads((CASES / "uci-calls.json").read_text("utf-8"))
NUMBERED = re.compile("cfg[0-9a-f]{6}")
"""What the real one calls a section without a name, wherever it is told of."""

UCI = ROOT / "tests/e2e/uci.py"


@pytest.mark.parametrize("case", RECORDED, ids=range(len(RECORDED)))
def test_calls_leave_what_the_real_uci_left(tmp_path: Path, case: dict[str, Any]) -> None:
    folder = tmp_path / "config"
    folder.mkdir()
    if case["file"] is not None:
        (folder / "dmsfw").write_text(case["file"], "utf-8")

    def run(*call: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-I", "-S", str(UCI), "-c", str(folder), *call]
        staged = {**os.environ, "UCI_STAGED": str(tmp_path / "staged")}
        return subprocess.run(argv, capture_output=True, encoding="utf-8", check=False, env=staged)

    codes = [run(*call).returncode for call in case["calls"]]
    changes = run("changes", "dmsfw").stdout
    codes.append(run("commit", "dmsfw").returncode)
    assert codes == case["codes"]
    assert changes == NUMBERED.sub("@egress[0]", case["changes"])
    if case["file"] is not None:
        assert (folder / "dmsfw").read_text("utf-8") == case["result"]
