"""The Makefile on a machine that lacks things, in a pipe, and as continuous integration calls it."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from tests.helpers_cli import ROOT

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def _make(
    folder: Path, *args: str, path: str | None = None, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    make = shutil.which("make")
    assert make is not None
    return subprocess.run(
        [make, *args],
        cwd=folder,
        env={"PATH": path or os.environ["PATH"], "HOME": str(folder), **(env or {})},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def _script(path: Path, body: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The Makefile alone in an empty project."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\nversion = '0'\n")
    (tmp_path / "midas_engine").mkdir()
    return tmp_path


def _tools(folder: Path) -> str:
    """A PATH with the ordinary tools and no Python."""
    for tool in ("sh", "find", "touch", "sed", "echo", "rm"):
        found = shutil.which(tool)
        if found:
            (folder / "tools").mkdir(exist_ok=True)
            (folder / "tools" / tool).symlink_to(found)
    return str(folder / "tools")


def test_no_python_is_said_clearly(copy: Path) -> None:
    done = _make(copy, "run", path=_tools(copy))
    assert done.returncode == 2
    assert "Python 3.11 or newer" in done.stderr
    assert not (copy / ".venv").exists()


def test_an_old_python_is_not_taken(copy: Path) -> None:
    path = _tools(copy)
    _script(Path(path) / "python3", "exit 1")  # what the version check does on an old Python
    done = _make(copy, "run", path=path)
    assert done.returncode == 2
    assert "Python 3.11 or newer" in done.stderr


def test_a_python_without_venv_is_said_clearly(copy: Path) -> None:
    path = _tools(copy)
    _script(Path(path) / "python3.12", 'case "$2" in *ensurepip*) exit 1;; *) exit 0;; esac')
    done = _make(copy, "setup", path=path)
    assert done.returncode == 2
    assert "python3-venv" in done.stderr


def _installed(copy: Path) -> Path:
    """A project whose set-up is done: every program records that it ran."""
    for program in ("python", "midas", "midas-tui", "ruff", "mypy", "lint-imports", "mkdocs"):
        _script(copy / ".venv/bin" / program, f'echo "{program} $*" >> {copy}/ran')
    for stamp in (".installed", ".installed-dev", ".installed-docs"):
        (copy / ".venv" / stamp).touch()
    return copy / "ran"


def test_run_in_a_pipe_says_how_and_exits_2(copy: Path) -> None:
    ran = _installed(copy)
    done = _make(copy, "run")
    assert done.returncode == 2
    assert ".venv/bin/midas-tui --replay sample" in done.stdout
    assert "midas-tui" not in ran.read_text()


def test_test_lints_types_checks_contracts_and_tests_in_that_order(copy: Path) -> None:
    ran = _installed(copy)
    done = _make(copy, "test")
    assert done.returncode == 0, done.stderr
    lines = [line for line in ran.read_text().splitlines() if not line.startswith("midas ")]
    assert [line.split()[0] for line in lines] == ["ruff", "ruff", "mypy", "lint-imports", "python"]
    assert lines[1] == "ruff format --check ."
    assert "pytest" in lines[-1]


@pytest.mark.parametrize(
    ("args", "env", "reruns"), [((), {}, "2"), ((), {"CI": "true"}, "0"), (("RERUNS=0",), {}, "0")]
)
def test_a_second_try_is_for_people_only(copy: Path, args: tuple[str, ...], env: dict[str, str], reruns: str) -> None:
    ran = _installed(copy)
    assert _make(copy, "test", *args, env=env).returncode == 0
    assert ran.read_text().splitlines()[-1].endswith(f"--reruns {reruns}")


def test_docs_are_generated_and_then_built_strictly(copy: Path) -> None:
    ran = _installed(copy)
    done = _make(copy, "docs")
    assert done.returncode == 0, done.stderr
    assert ran.read_text().splitlines() == ["python docs/generate.py", "mkdocs build --strict"]


def test_a_failing_step_fails_the_whole(copy: Path) -> None:
    ran = _installed(copy)
    _script(copy / ".venv/bin/mypy", "exit 1")
    done = _make(copy, "test")
    assert done.returncode == 2
    assert "pytest" not in ran.read_text()


def test_a_changed_dependency_is_installed_again(copy: Path) -> None:
    ran = _installed(copy)
    os.utime(copy / ".venv/.installed", (1, 1))
    _make(copy, "setup")
    assert "pip --disable-pip-version-check --quiet install -e ." in ran.read_text()
    ran.unlink()
    _make(copy, "setup")
    assert not ran.exists()


def test_help_lists_every_target(copy: Path) -> None:
    done = _make(copy)
    for target in ("run", "demo", "test", "torture", "lint", "docs", "structure", "bench", "clean"):
        assert f"make {target}" in done.stdout


def test_continuous_integration_calls_make_test() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & stat.S_IXUSR
    assert "make test RERUNS=0" in script.read_text()  # see docs/decisions/0017
