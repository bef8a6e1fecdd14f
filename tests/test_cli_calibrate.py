"""`midas calibrate`: one command, one sentence, one report."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from midas_engine.cli.verbs.calibrate import progress_bar
from midas_engine.market.synthetic import SyntheticMarket
from tests.helpers_cli import call_midas

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("data") / "market.parquet"
    SyntheticMarket(3, bars=2000, symbols=12).panel().save(path)
    return str(path)


SMALL = ("--sessions", "2", "--planted", "1", "--features", "1", "--iterations", "1", "--candidates", "2")


def test_the_command_prints_the_sentence_and_writes_the_report(data: str, tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "report"
    ran = call_midas(
        capsys, "calibrate", "--data", data, *SMALL, "--workers", "1", "--out", str(out), "--kb", str(tmp_path / "kb")
    )
    assert ran.code == 0, ran.err
    first = ran.out.splitlines()[0]
    assert first.startswith(("Of the ", "Midas promoted no feature"))
    assert "was called after" in first
    assert "false alarms a year" in first
    for line in ("Noise promoted per 1,000", "sign-flipped", "block-shuffled", "False alarms per feature-year", "0.05"):
        assert line in ran.out
    assert first in (out / "report.md").read_text()
    assert {p.name for p in out.glob("*.png")} == {"noise.png", "sessions.png", "recall.png", "days.png"}
    assert json.loads((out / "figures.json").read_text())["headline"] == first
    assert "calibrating: 6 of 6 replays" in ran.err


def test_progress_rewrites_one_line_on_a_terminal_and_adds_few_elsewhere(
    capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = progress_bar()
    for k in range(101):
        plain(k, 100, float(k))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 11
    assert lines[5] == "calibrating: 50 of 100 replays, 50 s, about 50 s left"
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    live = progress_bar()
    for k in range(101):
        live(k, 100, float(k))
    text = capsys.readouterr().err
    assert text.count("\n") == 1
    assert text.count("\r") == 101
    assert "[###############...............] 50/100, about 50 s left" in text
