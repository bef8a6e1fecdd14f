"""`midas bank` says what its survivors earn before costs: a feature of ranks may be right and earn nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from click.testing import CliRunner

from midas_engine.banks import judge_bank
from midas_engine.banks.reading import parse_bank
from midas_engine.cli.app import app
from midas_engine.market.panel import Panel
from midas_engine.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path


def _panel(rare: float) -> Panel:
    """Symbols of a high volume rise a little more often than others; one bar in fifty they fall by `rare`."""
    rng = np.random.default_rng(5)
    bars, symbols = 2500, 14
    known = rng.normal(size=(bars, symbols))
    returns = 0.004 * rng.normal(size=(bars, symbols))
    returns[1:] += 0.0008 * known[:-1]
    returns[1:] -= rare * known[:-1] * (rng.random((bars - 1, symbols)) < 0.02)
    close = 100.0 * np.exp(np.cumsum(returns, axis=0))
    times = np.datetime64("2025-01-01", "ns") + np.arange(bars) * np.timedelta64(3600, "s")
    volume = np.exp(0.5 * known)
    return Panel(times, [f"S{k:02}USDT" for k in range(symbols)], {"close": close, "volume": volume}, 3600)


BANK = "surge: ts_zscore(log(volume), 24)\n"


def test_the_head_says_what_survivors_earn_before_costs(tmp_path: Path) -> None:
    for rare, words in (
        (0.0, "The best survivor breaks even at "),
        (0.08, "1 of the survivors earn nothing before costs (right more often, the large moves against them)."),
    ):
        folder = tmp_path / f"{rare:g}"
        folder.mkdir()
        (folder / "bank.txt").write_text(BANK, encoding="utf-8")
        _panel(rare).save(folder / "bars.parquet")
        args = ["bank", str(folder / "bank.txt"), "--data", str(folder / "bars.parquet"), "--kb", str(folder / "kb")]
        out = CliRunner().invoke(app, args, catch_exceptions=False).output
        assert "1 survive the family's test" in out
        assert words in out
        assert ("breaks even" in out) is (rare == 0.0)


def test_break_even_is_gross_over_what_is_traded() -> None:
    result = judge_bank(parse_bank(BANK, "bank"), _panel(0.0), Settings())
    row = result.rows[0]
    e = row.verdict.evaluation
    assert row.break_even_bps == e.gross_bps / e.extra["held_turnover"]
    document = row.document
    assert document["break_even_bps"] == row.break_even_bps
    assert document["gross_bps"]["value"] == e.gross_bps
