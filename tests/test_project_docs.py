"""The pages of docs/ cannot drift: references equal the code, links lead somewhere, what is shown runs or parses."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from docs.generate import pages
from midas_engine import errors
from midas_engine.settings import known_keys, load_settings
from midas_tui.cli import parser
from tests.helpers_cli import ROOT
from tests.test_project_readme import VERBS, _parse

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

DOCS = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [*DOCS, *sorted(ROOT.glob("*.md")), *sorted((ROOT / "examples").rglob("*.md"))]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
COMPILED_ONLY = "compiled only:"  # in an HTML comment before a block that needs a key or a network
_FENCE = re.compile(r"^(```+)(\w*)[^\n]*\n(.*?)^\1$", re.MULTILINE | re.DOTALL)


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _prose(path: Path) -> str:
    """The page without its code."""
    return re.sub(r"`[^`\n]*`", "", _FENCE.sub("", _text(path)))


def _blocks(path: Path, *kinds: str) -> list[tuple[str, bool]]:
    """Code blocks of a kind, and whether each is only to be compiled."""
    found = []
    for match in _FENCE.finditer(_text(path)):
        if match[2] in kinds:
            before = _text(path)[: match.start()].rstrip().rpartition("\n")[2]
            found.append((match[3], before.startswith("<!--") and COMPILED_ONLY in before))
    return found


# -- references that come from the code -----------------------------------------------------------


@cache
def _generated() -> dict[str, str]:
    return pages()


def test_every_generated_page_is_what_the_code_gives_now() -> None:
    stale = [name for name, text in _generated().items() if _text_or_nothing(ROOT / "docs" / name) != text]
    assert stale == [], "run `python docs/generate.py`, which writes them"
    kept = {p.relative_to(ROOT / "docs").as_posix() for folder in ("reference", "api") for p in _in(folder)}
    assert kept == set(_generated()), "a page is left of something that is gone"


def _text_or_nothing(path: Path) -> str:
    return _text(path) if path.is_file() else ""


def _in(folder: str) -> list[Path]:
    return sorted((ROOT / "docs" / folder).rglob("*.md"))


def test_every_setting_has_a_meaning_and_a_range() -> None:
    page = _generated()["reference/settings.md"]
    for key in known_keys():
        if f"`{key}`" in page:
            row = next(line for line in page.splitlines() if line.startswith(f"| `{key}` |"))
            cells = [part.strip() for part in row.strip("| ").split(" | ")]
            assert cells[-1].endswith("."), row
            assert cells[-2], row
        else:  # a section stands as a heading
            assert f"## `[{key}]`" in page


def test_every_exit_code_of_an_error_is_listed() -> None:
    page = _generated()["reference/exit-codes.md"]
    listed = set(re.findall(r"^\| (\d+) \|", page, flags=re.MULTILINE))
    kinds = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, errors.MidasError)]
    assert {str(kind.exit_code) for kind in kinds} <= listed
    from midas_engine.cli import entry

    assert {str(value) for name, value in vars(entry).items() if name.startswith("EXIT_")} <= listed


# -- links ----------------------------------------------------------------------------------------


@cache
def _anchors(path: Path) -> frozenset[str]:
    """What headings can be linked to, as the site and the repository write them."""
    found = set()
    for title in re.findall(r"^#+ (.+)$", _FENCE.sub("", _text(path)), flags=re.MULTILINE):
        plain = re.sub(r"[`*_]|\[([^\]]*)\]\([^)]*\)", r"\1", title)
        found.add(re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", plain).strip().lower()))
    return frozenset(found)


@pytest.mark.parametrize("path", PAGES, ids=_name)
def test_every_link_and_picture_leads_somewhere(path: Path) -> None:
    lost = []
    for target in re.findall(r"\]\(([^)\s]+)\)", _prose(path)):
        if target.startswith(("https:", "http:", "mailto:")):
            continue
        name, _, anchor = target.partition("#")
        file = path if not name else (path.parent / name).resolve()
        if not file.exists() or (anchor and anchor not in _anchors(file)):
            lost.append(target)
    assert lost == []


@pytest.mark.parametrize("path", PAGES, ids=_name)
def test_every_path_that_is_named_exists(path: Path) -> None:
    shown = re.findall(
        r"`((?:midas_engine|midas_tui|tests|benchmarks|docs|examples|demo_artifacts)/[\w./-]*)`", _text(path)
    )
    assert [name for name in shown if not (ROOT / name).exists()] == []


def test_every_page_is_reached_from_the_navigation() -> None:
    written = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for page in DOCS:
        name = page.relative_to(ROOT / "docs").as_posix()
        listed = re.search(rf": {re.escape(name)}$|- {re.escape(name)}$", written, flags=re.MULTILINE)
        assert listed or name.startswith(("api/", "decisions/")), f"{name} is not in mkdocs.yml"


def test_every_decision_is_in_the_list() -> None:
    listed = _text(ROOT / "docs" / "decisions" / "index.md")
    for page in _in("decisions"):
        if page.name != "index.md":
            assert f"({page.name})" in listed
            assert re.match(r"\d{4}-", page.name)
            for part in ("**Decided.**", "**Why.**", "**What it costs.**", "**Where.**"):
                assert part in _text(page), f"{page.name} has no {part}"


# -- what is shown --------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [p for p in PAGES if _blocks(p, "python", "py")], ids=_name)
def test_python_blocks_run_in_order(path: Path, tmp_path: Path) -> None:
    """The blocks of a page are one script, run in a fresh process and an empty folder."""
    script = []
    for code, only_compiled in _blocks(path, "python", "py"):
        compile(code, _name(path), "exec", dont_inherit=True)
        if not only_compiled:
            script.append(code)
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(script)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("path", [p for p in PAGES if _blocks(p, "sh", "bash", "console")], ids=_name)
def test_commands_shown_are_commands(path: Path) -> None:
    for code, _ in _blocks(path, "sh", "bash", "console"):
        for line in code.replace("\\\n", " ").splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            if words:
                _check_command(words)


def _check_command(words: list[str]) -> None:
    if words[:3] == ["python", "-m", "midas"]:
        words = ["midas", *words[3:]]
    if words[0] == "midas" and words[1:] not in (["--help"], ["--version"]):
        _parse(words[1:])
    elif words[0] == "midas-tui":
        _terminal().parse_args(words[1:])
    elif words[0] == "make":
        targets = [word for word in words[1:] if "=" not in word]
        assert targets, words
        for target in targets:
            assert re.search(rf"^{target}:", MAKEFILE, flags=re.MULTILINE), words
    elif words[0] == "pip":
        for extra in re.findall(r"\[([\w,]+)\]", " ".join(words)):
            assert set(extra.split(",")) <= set(PROJECT["optional-dependencies"]), words
    for word in words:
        if re.match(r"(tests|docs|benchmarks|examples)/", word.removeprefix("./")):
            assert (ROOT / word).exists(), words


def _terminal() -> argparse.ArgumentParser:
    """The terminal's own parser, which raises instead of leaving."""
    made = parser()
    made.exit_on_error = False

    def refuse(message: str) -> Any:
        raise AssertionError(message)

    made.error = refuse  # type: ignore[method-assign,assignment]
    return made


@pytest.mark.parametrize("path", [p for p in PAGES if p.name != "CHANGELOG.md"], ids=_name)
def test_verbs_named_in_the_text_exist(path: Path) -> None:
    for shown in re.findall(r"`midas ([a-z][^`]*)`", _text(path)):
        words = shown.split()
        verb = " ".join(words[:2]) if " ".join(words[:2]) in VERBS else words[0]
        groups = {name.split()[0] for name in VERBS if " " in name}
        assert verb in VERBS or verb in groups or verb in ("sample",), f"`midas {shown}`"
        for option in re.findall(r"--[a-z][a-z-]*", shown):
            if verb in VERBS:
                known = {name for p in VERBS[verb].params for name in p.opts} | {"--help"}
                assert option in known, f"`midas {shown}`"


@pytest.mark.parametrize("path", [p for p in PAGES if _blocks(p, "toml")], ids=_name)
def test_settings_shown_are_settings(path: Path, tmp_path: Path) -> None:
    for code, _ in _blocks(path, "toml"):
        file = tmp_path / "shown.toml"
        file.write_text(code, encoding="utf-8")
        load_settings(file=file, environ={})


# -- the site -------------------------------------------------------------------------------------


def test_the_site_builds_strictly_and_asks_no_other_host(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    pytest.importorskip("material")
    pytest.importorskip("mkdocstrings")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    built = sorted((tmp_path / "site").rglob("*.html"))
    assert len(built) > len(DOCS)
    loads = re.compile(
        r"<(?:script|img|iframe|source)[^>]*\ssrc=\"?(https?:)?//|<link[^>]*\shref=\"?(https?:)?//|@import url"
    )
    for page in built:
        assert not loads.search(page.read_text(encoding="utf-8")), page.name


FAULTS = {
    "terminal-faults.md": {f"C{i}" for i in range(1, 24)},
    "edge-faults.md": {
        *(f"F{i}" for i in range(1, 24)),
        "E2",
        "E3",
        *(f"L{i}" for i in range(1, 7)),
        "JSON",
        "foreign text",
    },
}


@pytest.mark.parametrize("name", FAULTS)
def test_the_tests_that_a_page_names_are_there(name: str) -> None:
    import ast

    page = _text(ROOT / "docs" / "guide" / name)
    rows = dict(re.findall(r"^\| (\w[\w ]*) \|.*\| ([^|]*) \|$", page, flags=re.MULTILINE))
    assert set(rows) == FAULTS[name]
    named = [re.findall(r"`(tests/\w+\.py)::(\w+)`", cell) for cell in rows.values()]
    assert all(named), "each fault is held by a test"
    for file in {file for cell in named for file, _ in cell}:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        there = {n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
        missing = {test for cell in named for of, test in cell if of == file} - there
        assert not missing, f"{file} has no {missing}"
