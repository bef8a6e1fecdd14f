"""`make structure`: the figures are of this tree, a ring is found, and no new one has come."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from benchmarks.structure import file_lines, rings, sizes
from tests.helpers_cli import ROOT


@pytest.fixture(scope="module")
def found() -> Any:
    """What the command prints."""
    command = [sys.executable, "benchmarks/structure.py", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_sizes_are_those_of_the_files(found: Any) -> None:
    source = found["source"]
    longest = (ROOT / source["longest_file"]).read_text(encoding="utf-8")
    assert len(longest.splitlines()) == source["longest"] <= 400
    assert source["median"] <= 120
    assert found["tests"] == sizes(file_lines(ROOT / "tests"))


def test_every_contract_of_the_project_is_told_and_kept(found: Any) -> None:
    written = (ROOT / "pyproject.toml").read_text(encoding="utf-8").count("[[tool.importlinter.contracts]]")
    assert len(found["contracts"]) == written
    assert set(found["contracts"].values()) == {"KEPT"}


def test_no_new_circle_has_come(found: Any) -> None:
    # Only `Panel` and what its named constructors return know each other, for their types alone.
    assert len(found["circles_at_run_time"]) == 0, found["circles_at_run_time"]
    assert len(found["circles_with_typing"]) <= 1, found["circles_with_typing"]


def test_rings_are_found() -> None:
    assert rings({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert rings({"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}, "e": {"d"}}) == [["a", "b", "c"], ["d", "e"]]
    assert rings({"x": {"y", "z"}, "y": {"x"}, "z": {"y"}}) == [["x", "y", "z"]]
