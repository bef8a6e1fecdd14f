"""`make torture`: a drill that fails is said with its words, and the whole ends with 1."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from benchmarks.torture import drills
from tests.helpers_cli import ROOT

if TYPE_CHECKING:
    import pytest


def test_every_drill_is_a_program_that_takes_what_it_is_called_with() -> None:
    for drill in drills.DRILLS.values():
        text = (ROOT / "benchmarks" / drill.program).read_text(encoding="utf-8")
        for word in (*drill.short, *drill.full, *(("--seed",) if drill.seeded else ())):
            assert word.isdigit() or f'"{word}"' in text or f"{word} =" in text or f"def {word}(" in text, (drill, word)


def test_a_drill_that_fails_is_told_with_what_it_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Failing(drills.Drill):
        def command(self, *, long: bool, seed: int) -> list[str]:
            return [sys.executable, "-c", f"print('row 3 was lost', {seed}); raise SystemExit({seed == 8})"]

    monkeypatch.setattr(drills, "DRILLS", {"one": Failing("x.py", "nothing is lost")})
    monkeypatch.setattr(sys, "argv", ["drills.py", "--rounds", "2", "--seed", "7"])
    assert drills.main() == 1
    out = capsys.readouterr().out
    assert "round 2 of 2" in out
    assert out.count("held") == 1
    assert out.count("FAILED") == 1
    assert "row 3 was lost 8" in out
    assert "row 3 was lost 7" not in out
    assert out.rstrip().endswith("1 failed")


def test_an_unknown_drill_is_refused_by_name() -> None:
    program = str(ROOT / "benchmarks/torture/drills.py")
    done = subprocess.run([sys.executable, program, "ledger"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no drill is called 'ledger'" in done.stderr
