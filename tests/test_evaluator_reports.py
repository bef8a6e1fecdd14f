"""Explanations, tear sheets, capacity and quantile returns."""

from __future__ import annotations

import base64
import json
import math
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest

from helpers_evaluator import context, market
from midas_engine.errors import EvaluationError
from midas_engine.evaluator import (
    evaluate_values,
    explain,
    judge,
    tearsheet_figures,
    tearsheet_html,
    write_tearsheet,
)
from midas_engine.stats.capacity import capacity_usd
from midas_engine.stats.quantiles import quantile_returns
from midas_engine.stats.ranks import own_ranks, sort_rows

if TYPE_CHECKING:
    from pathlib import Path


def test_explanation_says_how_far_and_how_much_data() -> None:
    feature, returns, labels = market(1, 4000, 1, 0.02)
    verdict = judge(evaluate_values(feature, context(returns, regimes=labels)), trials=1000)
    why = explain(verdict)
    assert not why.accepted
    line = next(m for m in why.misses if m.gate == "score_t")
    assert line.distance == pytest.approx(verdict.line_t - verdict.evaluation.score_t)
    assert line.errors == line.distance
    score = verdict.evaluation.score
    assert why.bars_needed == pytest.approx(4000 * ((verdict.line_t + 0.8416) * score.se / score.value) ** 2, rel=0.01)
    assert why.days_needed == pytest.approx(why.bars_needed / 24)
    assert why.weakest_fold[1] == min(f.t for f in verdict.evaluation.folds)
    assert why.weakest_regime[0] in ("LOW_VOL", "MID_VOL", "HIGH_VOL")
    scores = [bar["score"] for bar in why.worst_bars]
    assert scores == sorted(scores)
    assert "would pass the session line" in why.text()
    assert "short by" in why.text()


def test_explanation_of_a_backward_and_of_an_empty_feature() -> None:
    feature, returns, _ = market(2, 3000, 1, 0.1)
    backward = explain(judge(evaluate_values(-feature, context(returns))))
    assert math.isinf(backward.bars_needed)
    assert "no amount of data" in backward.text()
    empty = explain(judge(evaluate_values(feature * np.nan, context(returns))))
    assert math.isnan(empty.bars_needed)
    assert "refused" in empty.text()


def test_explanation_of_an_accepted_feature_has_no_misses() -> None:
    feature, returns, labels = market(3, 4000, 1, 0.15)
    why = explain(judge(evaluate_values(feature, context(returns, regimes=labels))))
    assert why.accepted
    assert why.misses == ()


def test_quantile_returns_equal_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    f, r = rng.normal(size=(60, 20)), rng.normal(size=(60, 20))
    f[rng.random(f.shape) < 0.1] = np.nan
    r[rng.random(r.shape) < 0.1] = np.nan
    out = quantile_returns(*own_ranks(f, sort_rows(f)), r, True)
    for t in range(60):
        known = np.flatnonzero(~np.isnan(f[t]))
        place = {s: k for k, s in enumerate(known[np.argsort(f[t, known])])}
        for q in range(5):
            cells = [r[t, s] for s, k in place.items() if int(5 * (k + 0.5) / len(known)) == q and r[t, s] == r[t, s]]
            assert out[q, t] == pytest.approx(np.mean(cells)) if cells else np.isnan(out[q, t])


def test_capacity_is_where_a_twentieth_of_trading_breaches_the_cap() -> None:
    rng = np.random.default_rng(1)
    p = rng.normal(size=(3000, 4)) / 4
    volume = rng.lognormal(14, 1, size=(3000, 4))
    capital = capacity_usd(p, volume, 1, 0.01)
    change = np.abs(np.diff(p, axis=0))[:-1]
    breach = change * capital > 0.01 * volume[2:]
    assert (change * breach).sum() / change.sum() == pytest.approx(0.05, abs=0.002)
    assert capacity_usd(p, volume, 1, 0.02) == pytest.approx(2 * capital)
    assert math.isnan(capacity_usd(np.zeros((50, 1)), np.ones((50, 1)), 1))
    assert math.isnan(capacity_usd(p, np.full_like(volume, np.nan), 1))


def test_a_tear_sheet_is_one_file_without_links_and_its_json_agrees(tmp_path: Path) -> None:
    feature, returns, labels = market(4, 1500, 12, 0.05)
    data = context(
        returns, (1, 4), regimes=labels, existing={"old": feature * 0.5}, dollar_volume=np.full(returns.shape, 1e7)
    )
    verdict = judge(evaluate_values(feature, data, "<script>alert(1)</script>"))
    figures = tearsheet_figures(feature, data, verdict, expression="a < b & c")
    page, table = write_tearsheet(figures, tmp_path / "sheet.html")
    text = page.read_text()
    assert json.loads(table.read_text()) == figures
    assert "<script" not in text
    assert "a &lt; b &amp; c" in text
    assert not re.search(r"(src|href)=\"(?!data:image/png;base64,)", text)
    images = [base64.b64decode(x) for x in re.findall(r"base64,([^\"]+)\"", text)]
    assert len(images) == 9
    assert all(image.startswith(b"\x89PNG") for image in images)
    assert figures["capacity_usd"] > 0
    assert figures["correlations"][0]["correlation"] == pytest.approx(1.0, abs=1e-5)
    assert figures["cumulative_score"]["value"][-1] == pytest.approx(
        verdict.evaluation.score.value * verdict.evaluation.bars_scored
    )
    assert figures["equity"]["gross_bps"][-1] == pytest.approx(verdict.evaluation.gross_bps * 1499, rel=0.01)
    assert len(figures["quantile_returns"]) == 5


def test_a_sparse_single_series_and_an_event_have_a_tear_sheet_and_an_empty_one_has_not() -> None:
    feature, returns, _ = market(5, 700)
    data = context(returns)
    sparse = np.where(np.arange(700)[:, None] % 3 == 0, feature, np.nan)
    assert "<img" in tearsheet_html(tearsheet_figures(sparse, data, judge(evaluate_values(sparse, data))))
    gate = (np.arange(700)[:, None] % 5 == 0).astype(float)
    event = judge(evaluate_values(feature, data, gate=gate, hold=4))
    assert "<img" in tearsheet_html(tearsheet_figures(feature, data, event, gate=gate))
    nothing = judge(evaluate_values(feature * np.nan, data))
    with pytest.raises(EvaluationError, match="no tear sheet"):
        tearsheet_figures(feature * np.nan, data, nothing)
