"""Rules of the house that a reader would otherwise have to remember."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

from tests.helpers_cli import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PACKAGES = ("midas", "midas_engine", "midas_tui")
SOURCES = sorted(p for package in PACKAGES for p in (ROOT / package).rglob("*.py"))
ALL_PYTHON = [*SOURCES, *sorted((ROOT / "tests").glob("*.py")), *sorted((ROOT / "benchmarks").rglob("*.py"))]
ALL_PYTHON += [*sorted((ROOT / "docs").glob("*.py")), *sorted((ROOT / "examples").rglob("*.py"))]
TEXT = [
    *ALL_PYTHON,
    *(
        ROOT / name
        for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "Makefile", "pyproject.toml", ".ci/run")
    ),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "kb").rglob("*.md")),
    *sorted((ROOT / "demo_artifacts").rglob("*.md")),
]


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _called(node: ast.Call) -> str:
    return ast.unparse(node.func)


FORBIDDEN_CALLS = re.compile(
    r"^(eval|exec|compile|__import__|(pickle|cPickle|dill|marshal|shelve)\..*|yaml\.(load|unsafe_load|full_load)"
    r"|os\.system|os\.popen|joblib\.load|(pd|pandas)\.(eval|read_pickle))$"
)
# A frame's own evaluators. In the terminal, which knows no pandas, `query` is how Textual finds widgets.
FRAME_CALLS = re.compile(r".*\.(query|eval)$")
WALL_CLOCK = re.compile(
    r"^(time\.(time|time_ns|monotonic|monotonic_ns|perf_counter|perf_counter_ns|localtime|gmtime|sleep)"
    r"|(datetime\.)?datetime\.(now|utcnow|today)|(datetime\.)?date\.today)$"
)


@pytest.mark.parametrize("path", ALL_PYTHON, ids=_name)
def test_no_file_is_longer_than_400_lines(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= 400, f"{_name(path)} has {lines} lines; look for the second idea in it"


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_nothing_executes_text_or_unpickles(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = [
        f"line {node.lineno}: {_called(node)}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and (
            (FORBIDDEN_CALLS.match(_called(node)) and "journal" not in path.parts)
            or (FRAME_CALLS.match(_called(node)) and "midas_tui" not in path.parts)
            or any(k.arg in ("allow_pickle", "shell") and ast.unparse(k.value) != "False" for k in node.keywords)
        )
    ]
    imported = [
        f"line {node.lineno}: imports {alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
        if alias.name.split(".")[0] in ("pickle", "marshal", "shelve", "dill")
        or getattr(node, "module", None) in ("pickle", "marshal", "shelve", "dill")
    ]
    assert found + imported == []


@pytest.mark.parametrize("path", [p for p in SOURCES if _name(p) != "midas_engine/clock.py"], ids=_name)
def test_only_the_clock_reads_the_wall_clock(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = [
        f"line {node.lineno}: {_called(node)}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and WALL_CLOCK.match(_called(node))
    ]
    assert found == []


@pytest.mark.parametrize("path", [p for p in TEXT if p.exists()], ids=_name)
def test_no_path_of_one_machine(path: Path) -> None:
    # Spelled in two parts, so that this file does not find itself.
    personal = re.compile("/" + r"(work/(main|shared)|home/[a-z]+/|Users/[A-Za-z]+/|root/)|\.\./shared")
    text = path.read_text(encoding="utf-8")
    found = [line for line in text.splitlines() if personal.search(line)]
    assert found == []


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_every_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), "a module docstring is missing"


@pytest.mark.parametrize("path", sorted((ROOT / "tests").glob("test_*.py")), ids=_name)
def test_tests_do_not_sleep(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    naps = [
        f"line {node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and _called(node) in ("time.sleep", "asyncio.sleep")
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, int | float)
        and node.args[0].value > 0.05
    ]
    assert naps == []
