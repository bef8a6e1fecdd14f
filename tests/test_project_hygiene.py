"""File hygiene: what the hook of the same name checks before a commit."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.helpers_cli import ROOT

LARGEST = 1_000_000
LARGE = ("midas_engine/market/sample/",)  # the bundled market, and nothing else
TEXT = {".py", ".md", ".toml", ".yml", ".yaml", ".json", ".tcss", ".css", ".js", ".cfg"}
# Written by others, or damaged on purpose.
FOREIGN = ("tests/data/", "tests/snapshots/", "demo_artifacts/")


def _files() -> list[Path]:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git repository")
    names = subprocess.run([git, "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in names.split("\0") if name and (ROOT / name).exists()]


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_no_file_is_large() -> None:
    found = [_name(p) for p in _files() if p.stat().st_size > LARGEST and not _name(p).startswith(LARGE)]
    assert found == []


def test_text_ends_its_lines_alike() -> None:
    found = []
    for path in _files():
        if path.suffix in TEXT and not _name(path).startswith(FOREIGN):
            text = path.read_bytes()
            if b"\r" in text or (text and not text.endswith(b"\n")) or text.endswith(b"\n\n"):
                found.append(_name(path))
    assert found == [], "a carriage return, no line end at the end, or an empty last line"


def test_no_line_ends_in_blanks_and_no_conflict_is_left() -> None:
    marks = ("<" * 7 + " ", ">" * 7 + " ")
    found = []
    for path in _files():
        if path.suffix in TEXT and not _name(path).startswith(FOREIGN):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                if line != line.rstrip(" \t") or line.startswith(marks):
                    found.append(f"{_name(path)}:{number}")
    assert found == []


def test_what_is_data_can_be_read() -> None:
    for path in _files():
        if _name(path).startswith("tests/data/"):
            continue
        if path.suffix == ".toml":
            tomllib.loads(path.read_text(encoding="utf-8"))
        elif path.suffix in (".yml", ".yaml"):
            yaml.safe_load(path.read_text(encoding="utf-8"))
        elif path.suffix == ".json":
            json.loads(path.read_text(encoding="utf-8"))


def test_no_word_is_misspelt() -> None:
    pytest.importorskip("codespell_lib")
    command = [sys.executable, "-m", "codespell_lib", "."]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def test_every_hook_is_of_this_project_and_its_tool_is_a_tool_of_the_tests() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [repo["repo"] for repo in hooks["repos"]] == ["local"]
    dev = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"][
        "dev"
    ]
    entries = {hook["id"]: hook["entry"].split()[0] for hook in hooks["repos"][0]["hooks"]}
    assert {"ruff", "ruff-format", "mypy", "codespell", "import-contracts", "hygiene"} == set(entries)
    for tool in {Path(entry).name for entry in entries.values()} - {"python"}:
        package = {"lint-imports": "import-linter"}.get(tool, tool)
        assert any(line.startswith(package) for line in dev), f"{tool} comes with no package of the extra dev"
    for hook in hooks["repos"][0]["hooks"]:
        for word in hook["entry"].split():
            if word.startswith("tests/"):
                assert (ROOT / word).is_file(), word


@pytest.mark.parametrize("name", sorted(p.name for p in (ROOT / ".github" / "workflows").glob("*.yml")))
def test_hosted_workflows_call_make_and_allow_no_second_try(name: str) -> None:
    text = (ROOT / ".github" / "workflows" / name).read_text(encoding="utf-8")
    jobs = yaml.safe_load(text)["jobs"]
    runs = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for run in runs:
        if run.startswith("make "):
            assert f"\n{run.split()[1]}:" in makefile, run
    assert any(run.startswith("make test") and "RERUNS=0" in run for run in runs)
    lowest = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    assert jobs["test"]["strategy"]["matrix"]["python"][0] == lowest.removeprefix(">=")
