"""Histories that are walked over: the same figures, to the bit, as of the whole; a verb's verdict; memory."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pytest

from midas_engine.dsl import FeatureEngine
from midas_engine.dsl.registry import OPERATORS
from midas_engine.dsl.walk import FeatureWalk
from midas_engine.errors import ExpressionError, LimitError
from midas_engine.evaluator import EvaluationContext, ScoringOptions, capacity_of, evaluate_values, split_panel
from midas_engine.evaluator.context.funding import FundingPayments, funding_paid
from midas_engine.evaluator.long import evaluate as long
from midas_engine.market import Panel, load_panel, regime_labels
from midas_engine.market.store import MarketStore, Provenance
from midas_engine.settings import DslLimits, Settings
from tests.helpers_cli import ROOT

if TYPE_CHECKING:
    from pathlib import Path

HOUR = np.timedelta64(1, "h")


def _settings(target: int) -> Settings:
    found = Settings()
    return dataclasses.replace(found, evaluation=dataclasses.replace(found.evaluation, target=target))


@pytest.fixture(scope="module")
def sample() -> Panel:
    return load_panel("sample")


def _without(panel: Panel, *columns: str) -> Panel:
    kept = {n: v for n, v in panel.fields.items() if n not in columns}
    return Panel(panel.timestamps, panel.symbols, kept, panel.bar_seconds)


def _both(panel: Panel, expression: str, target: int, rows: slice | None) -> tuple[str, str]:
    """Everything that is said of an expression: on the whole, and walked over."""
    settings, regimes = _settings(target), regime_labels(panel)
    engine = FeatureEngine(panel, limits=settings.dsl, cache_bytes=0)
    parsed = engine.parse(expression)
    context = EvaluationContext.from_panel(
        panel,
        horizons=settings.evaluation.horizons,
        regimes=regimes,
        rows=rows,
        options=ScoringOptions.from_settings(settings),
    )
    values = engine.values(expression)
    whole = evaluate_values(values, context, expression)
    capacity = capacity_of(values, context, whole.horizon_bars)
    found = long.evaluate_long(panel, parsed, settings, rows=rows, regimes=regimes, name=expression)
    return repr((whole, capacity)), repr(found)


@pytest.mark.parametrize(
    ("expression", "target"),
    [
        ("cs_rank(ts_mean(funding_rate, 24))", 1),
        ("-returns", 4),
        ("ts_zscore(close, 24) * ema(volume, 48)", 30),
        ("close * 0 + 1", 1),
        ("cs_demean(close) + delay(close, 700)", 1),
    ],
)
def test_a_history_in_pieces_has_the_figures_of_the_whole(sample: Panel, expression: str, target: int) -> None:
    whole, walked = _both(sample, expression, target, None)  # three pieces
    assert walked == whole


def test_a_part_inside_a_history_has_the_figures_of_the_whole(sample: Panel) -> None:
    rows = split_panel(sample, _settings(4), 4).research
    bare = _without(sample, "funding_paid")  # what is paid comes from the rate
    whole, walked = _both(bare, "vwap / close", 4, slice(700, rows.stop))
    assert walked == whole


def test_what_is_not_known_stays_unknown(sample: Panel) -> None:
    bare = Panel(sample.timestamps[:5000], sample.symbols, {"close": sample["close"][:5000]}, 3600)
    whole, walked = _both(bare, "-returns", 1, None)
    assert walked == whole
    found, capacity = long.evaluate_long(bare, FeatureEngine(bare).parse("-returns"), _settings(1), name="x")
    assert np.isnan(found.extra["funding_bps"])
    assert np.isnan(capacity)


def test_every_operator_is_the_same_in_pieces(sample: Panel) -> None:
    panel = sample.slice(0, 900)
    engine = FeatureEngine(panel, cache_bytes=0)
    for operator in OPERATORS.values():
        parsed = engine.parse(operator.example)
        walk = FeatureWalk(panel, parsed, 256, engine.limits)
        pieces = np.vstack([walk.next(min(256, 900 - at)) for at in range(0, 900, 256)])
        assert pieces.tobytes() == engine.values(parsed).tobytes(), operator.example


def test_a_piece_has_limits_too(sample: Panel) -> None:
    parsed = FeatureEngine(sample).parse("ts_mean(close, 24) - close")
    with pytest.raises(LimitError, match=r"dsl\.memory_mb"):
        FeatureWalk(sample, parsed, 4096, DslLimits(memory_mb=1))
    walk = FeatureWalk(sample, parsed, sample.T, DslLimits())
    walk.next(sample.T - 1)
    with pytest.raises(ExpressionError, match="1 bars left"):
        walk.next(2)


def test_funding_by_rows_is_that_of_the_whole(sample: Panel) -> None:
    rate, bars = sample["funding_rate"], 1700
    whole = funding_paid(rate[:bars], sample.timestamps[:bars], 3600.0)
    payments = FundingPayments(lambda first, last: rate[:bars][first:last], sample.timestamps[:bars], 3600.0)
    cuts = [0, 1, 719, 721, 1500, bars]
    pieces = [payments.rows(a, b) for a, b in zip(cuts, cuts[1:], strict=False)]
    assert np.vstack(pieces).tobytes() == whole.tobytes()
    assert np.count_nonzero(whole) > 1000


def _evaluated(folder: Path, threshold: str) -> tuple[dict[str, object], float]:
    code = (
        "import re, sys, midas_engine.evaluator.long.evaluate as long\n"
        f"long.LONG_CELLS = {threshold}\n"
        "from midas_engine.cli.entry import run\n"
        "code = run(['evaluate', '-ts_mean(close / delay(close, 1) * volume, 24)', '--data', 'store:x', '--json'])\n"
        "print(re.search('VmHWM:(.*) kB', open('/proc/self/status').read())[1], file=sys.stderr)\n"
        "sys.exit(code)\n"
    )
    env = {**os.environ, "MIDAS_STORE": str(folder / "store"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout), float(done.stderr.split()[-1]) / 1024


def test_a_verdict_on_a_store_takes_less_memory_and_is_the_same(tmp_path: Path) -> None:
    bars, symbols = 20_000, 60
    rng = np.random.default_rng(3)
    close = np.exp(np.cumsum(rng.normal(0, 0.01, (bars, symbols)), axis=0))
    times = np.datetime64("2023-01-01", "ns") + np.arange(bars) * HOUR
    names = tuple(f"C{i:02}USDT" for i in range(symbols))
    fields = {"close": close, "volume": np.round(rng.random(close.shape), 2) + 1.0}
    given = Provenance("fetched", "x", "candles", datetime(2026, 1, 1, tzinfo=UTC))
    MarketStore(tmp_path / "store").append_panel("x", Panel(times, names, fields, 3600), given)
    (walked, little), (whole, much) = _evaluated(tmp_path, "0"), _evaluated(tmp_path, "10**12")
    assert walked == whole
    assert walked["capacity_usd"] is not None
    assert much - little > 60, f"{little:.0f} MB walked over, {much:.0f} MB as a whole"


def test_funding_that_is_known_in_part_says_so(sample: Panel) -> None:
    paid = sample["funding_paid"].copy()
    paid[:, 0] = np.nan
    for unknown, bps_known in ((1, True), (20, False)):
        paid[:, :unknown] = np.nan
        panel = Panel(sample.timestamps, sample.symbols, {"close": sample["close"], "funding_paid": paid}, 3600)
        found, _ = long.evaluate_long(panel, FeatureEngine(panel).parse("-returns"), _settings(1), name="x")
        assert sample.symbols[0] in found.extra["funding_lacks"]
        assert found.extra["funding_known"] < 0.83
        assert np.isfinite(found.extra["funding_bps"]) == bps_known, "most bars unknown is unknown, not a figure"
    whole, walked = _both(panel, "-returns", 1, None)
    assert whole == walked
