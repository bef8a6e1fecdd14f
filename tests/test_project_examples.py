"""Every example runs as it is written: in a fresh process, in an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.helpers_cli import ROOT

if TYPE_CHECKING:
    from pathlib import Path

SAYS = {
    "evaluate_a_feature.py": ("the statistics hold: True",),
    "discover_on_the_sample.py": ("SessionEnded(", "candidates: []"),
    "watch_a_stream.py": ("stop trading mine",),
    "add_an_operator.py": ("agree to the bit: True",),
    "read_the_base.py": ("trials ever: 0",),
}


def test_every_example_is_tested() -> None:
    assert set(SAYS) == {path.name for path in (ROOT / "examples").glob("*.py")}


@pytest.mark.parametrize("name", SAYS)
def test_it_runs_and_says_what_it_promises(name: str, tmp_path: Path) -> None:
    script = ROOT / "examples" / name
    assert len(script.read_text(encoding="utf-8").splitlines()) <= 45
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:midas_engine", str(script)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
    for words in SAYS[name]:
        assert words in done.stdout
    assert "Traceback" not in done.stderr


def test_a_script_without_a_guard_is_told_so_and_starts_one_session(tmp_path: Path) -> None:
    """A session's workers read the script again; what it starts there is refused before anything is written."""
    source = (ROOT / "examples" / "discover_on_the_sample.py").read_text(encoding="utf-8")
    head, _, _ = source.partition('if __name__ == "__main__"')
    script = tmp_path / "unguarded.py"
    script.write_text(
        head.replace("max_iterations=5", "max_iterations=1, candidates_per_iter=1") + "\nasyncio.run(main('./kb'))\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert 'under `if __name__ == "__main__":`' in done.stderr
    learnings = list((tmp_path / "kb" / "knowledge" / "learnings" / "offline").glob("*.md"))
    assert len(learnings) == 1, learnings
