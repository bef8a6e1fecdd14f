"""The pandas border: AlphaEvaluator, MultiAgentEvaluator and the adapters for a user's own engine."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from helpers_evaluator import context, forwards, frames, market, stamps
from midas_engine.errors import AdapterError, EvaluationError, SettingsError
from midas_engine.evaluator import (
    DEFAULT_THRESHOLDS,
    AlphaEvaluator,
    MultiAgentEvaluator,
    ScoringOptions,
    check_data,
    evaluate_values,
    judge,
    render,
    session_line,
    to_dict,
    validate_thresholds,
)
from midas_engine.evaluator.pandas_input.grid import horizon_bars
from midas_engine.settings import CostSettings


def panel_frames(seed: int, symbols: int = 12) -> tuple[pd.Series, pd.DataFrame]:
    feature, returns, _ = market(seed, 600, symbols, 0.1)
    index = pd.MultiIndex.from_product(
        [pd.DatetimeIndex(stamps(600)).tz_localize("UTC"), [f"S{i}" for i in range(symbols)]],
        names=["timestamp", "symbol"],
    )
    table = pd.DataFrame({f"ret_{h}h": r.reshape(-1) for h, r in forwards(returns).items()}, index=index)
    return pd.Series(feature.reshape(-1), index, name="feat"), table


def test_series_and_array_paths_agree() -> None:
    feature, table, labels = frames(1, 2000, 0.05)
    _, returns, names = market(1, 2000, 1, 0.05)
    a = AlphaEvaluator().evaluate(feature, table, labels)
    b = evaluate_values(feature.to_numpy(), context(returns, regimes=names), "feat")
    assert a.rank_ic == b.rank_ic
    assert a.score_t == b.score_t
    assert a.ic_by_regime == b.ic_by_regime


def test_panels_in_any_row_order_and_time_zone_agree() -> None:
    feature, table = panel_frames(2)
    base = AlphaEvaluator().evaluate(feature, table)
    assert base.symbols == 12
    shuffled = feature.sample(frac=1.0, random_state=0)
    assert AlphaEvaluator().evaluate(shuffled, table).score_t == base.score_t
    naive = feature.copy()
    naive.index = pd.MultiIndex.from_arrays(
        [feature.index.get_level_values(0).tz_localize(None), feature.index.get_level_values(1)]
    )
    assert AlphaEvaluator().evaluate(naive, table).score_t == base.score_t
    tokyo = table.copy()
    tokyo.index = table.index.set_levels(table.index.levels[0].tz_convert("Asia/Tokyo"), level=0)
    assert AlphaEvaluator().evaluate(feature, tokyo.sample(frac=1.0, random_state=1)).score_t == pytest.approx(
        base.score_t
    )


def test_missing_labels_are_missing_values() -> None:
    feature, table, _ = frames(3, 1500)
    result = AlphaEvaluator().evaluate(feature.iloc[300:], table)
    assert result.coverage == pytest.approx(0.8, abs=0.01)


def test_changing_returns_in_place_is_noticed() -> None:
    feature, table, labels = frames(4, 1500, 0.1)
    evaluator = AlphaEvaluator()
    first = evaluator.evaluate(feature, table, labels).score_t
    assert evaluator.evaluate(feature, table, labels).score_t == first
    table.loc[:, "ret_1h"] *= -1
    assert evaluator.evaluate(feature, table, labels).score_t == pytest.approx(-first, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "seconds", "bars"),
    [
        ("ret_1h", 3600, 1),
        ("ret_24h", 3600, 24),
        ("ret_5m", 60, 5),
        ("fwd_1d", 14400, 6),
        ("ret_90m", 3600, None),
        ("x", 60, None),
        ("ret_3bars", 60, 3),
        ("ret_0h", 60, None),
        ("ret_4", 3600, 4),
        ("fwd_ret_24", 60, 24),
        ("h24", 3600, 24),
        (4, 3600, 4),
        ("alpha158", 3600, None),
        ("ret_0", 3600, None),
    ],
)
def test_horizons_are_read_from_names(name: object, seconds: float, bars: int | None) -> None:
    assert horizon_bars(name, seconds) == bars


def test_bar_size_comes_from_the_index() -> None:
    _, returns, _ = market(5, 900)
    index = pd.DatetimeIndex(stamps(900, 300)).tz_localize("UTC")
    table = pd.DataFrame({"ret_5m": returns[:, 0]}, index)
    result = AlphaEvaluator().evaluate(pd.Series(np.arange(900.0), index), table)
    assert list(result.ic_by_horizon) == ["ret_5m"]
    assert result.bars_per_year == pytest.approx(365 * 288)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f, r: (f.to_numpy(), r), "must be a pandas Series"),
        (lambda f, r: (f.astype(str), r), "not numbers"),
        (lambda f, r: (f, r.rename(columns={"ret_1h": "alpha"})), "does not name a horizon"),
        (lambda f, r: (f.set_axis(f.index + pd.Timedelta(days=9999)), r), "shares no index label"),
        (lambda f, r: (pd.concat([f, f.iloc[:1]]), r), "duplicate index labels"),
        (lambda f, r: (f, r.iloc[:0]), "no rows"),
        (lambda f, r: (f, r.astype(str)), "not numbers"),
        (lambda f, r: (f, pd.concat([r, r.iloc[:1]])), "duplicate"),
        (lambda f, r: (f, r.set_axis([f"row{i}" for i in range(len(r))])), "not times"),
    ],
)
def test_bad_frames_are_refused_by_name(change: object, message: str) -> None:
    feature, table, _ = frames(6, 400)
    f, r = change(feature, table)
    with pytest.raises(EvaluationError, match=message):
        AlphaEvaluator().evaluate(f, r)


def test_spread_cost_is_the_whole_one_way_cost() -> None:
    feature, table, _ = frames(7, 1500)
    assert AlphaEvaluator(spread_cost_bps=3.0).evaluate(feature, table).cost_bps == 3.0
    with pytest.raises(EvaluationError, match="not both"):
        AlphaEvaluator(spread_cost_bps=3.0, options=ScoringOptions(costs=CostSettings()))


def test_existing_features_and_funding_are_aligned() -> None:
    feature, table, _ = frames(8, 1500)
    old = pd.DataFrame({"old": feature.sample(frac=1.0, random_state=0)})
    funding = pd.Series(1e-4, index=feature.index)
    result = AlphaEvaluator(old, funding=funding).evaluate(feature, table)
    assert result.most_correlated == "old"
    assert result.max_correlation == pytest.approx(1.0, abs=1e-6)


def test_trials_raise_the_line() -> None:
    feature, table, labels = frames(9, 3000, 0.06)
    evaluator = MultiAgentEvaluator(AlphaEvaluator())
    one, many = evaluator.evaluate(feature, table, labels), evaluator.evaluate(feature, table, labels, trials=1000)
    assert (one.trials, many.trials) == (1, 1000)
    assert one.line_t < many.line_t
    assert many.line_t == pytest.approx(session_line(1000), abs=0.05)
    assert many.evaluation.smallest_detectable_ic > one.evaluation.smallest_detectable_ic
    for bad in (0, -1, 1.5, True):
        with pytest.raises(EvaluationError, match="trials"):
            evaluator.evaluate(feature, table, labels, trials=bad)


def test_trials_default_to_the_ledger() -> None:
    class Ledger:
        def trials(self, session: str) -> int:
            return {"s1": 60}[session]

    feature, table, _ = frames(10, 1000)
    evaluator = MultiAgentEvaluator(AlphaEvaluator(), ledger=Ledger(), session="s1")
    assert evaluator.evaluate(feature, table).trials == 60


def test_thresholds_are_obeyed() -> None:
    feature, table, labels = frames(11, 4000, 0.1)
    evaluator = AlphaEvaluator()
    assert MultiAgentEvaluator(evaluator).evaluate(feature, table, labels).statistical_pass
    strict = MultiAgentEvaluator(evaluator, thresholds={"predictive_power": {"min_rank_ic": 0.5}})
    verdict = strict.evaluate(feature, table, labels)
    assert verdict.failed_agents[0] == "predictive_power"
    assert verdict.verdicts[0].gates[1].threshold == 0.5


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"predictive_powr": {}}, ["predictive_powr", "predictive_power"]),
        ({"predictive_power": {"min_rankic": 0.1}}, ["min_rankic", "min_rank_ic"]),
        ({"predictive_power": {"max_turnover": 0.1}}, ["max_turnover", "trading_cost"]),
        ({"predictive_power": {"min_rank_ic": float("nan")}}, ["predictive_power.min_rank_ic", "finite"]),
        ({"predictive_power": {"min_rank_ic": -0.1}}, ["predictive_power.min_rank_ic", "range"]),
        ({"predictive_power": {"min_rank_ic": "0.1"}}, ["predictive_power.min_rank_ic", "number"]),
        ({"predictive_power": {"min_rank_ic": True}}, ["predictive_power.min_rank_ic", "number"]),
        ({"predictive_power": {"min_bars": 300.5}}, ["predictive_power.min_bars", "whole"]),
        ({"predictive_power": 3}, ["predictive_power", "object"]),
        ([1], ["object"]),
    ],
)
def test_bad_thresholds_are_named_with_the_nearest_key(given: object, names: list[str]) -> None:
    with pytest.raises(SettingsError) as error:
        validate_thresholds(given, origin="thresholds.json")
    for name in names:
        assert name in str(error.value)


def test_default_thresholds_are_json_and_valid() -> None:
    assert validate_thresholds(json.loads(json.dumps(DEFAULT_THRESHOLDS))) == DEFAULT_THRESHOLDS
    merged = validate_thresholds({"trading_cost": {"max_turnover": 0.5}})
    assert merged["trading_cost"] == {"min_effective_ic": 0.0, "max_turnover": 0.5}
    assert DEFAULT_THRESHOLDS["trading_cost"]["max_turnover"] == 0.80


def test_other_parts_never_quote_figures() -> None:
    feature, returns, labels = market(12, 3000, 1, 0.1)
    for part in ("sealed", "forward"):
        result = evaluate_values(-feature, context(returns, regimes=labels, part=part))
        assert judge(result).suggestions == ()
        assert all(v.suggestions == () for v in judge(result).verdicts)
    assert judge(evaluate_values(-feature, context(returns, regimes=labels))).suggestions


def test_render_and_dictionary_hold_every_metric() -> None:
    feature, table, labels = frames(13, 3000, 0.1)
    verdict = MultiAgentEvaluator(AlphaEvaluator()).evaluate(feature, table, labels, trials=60)
    text = render(verdict)
    for word in (
        "rank IC",
        "half-life",
        "turnover",
        "effective breadth",
        "regime_robustness",
        "session line",
        "fold",
        "HIGH_VOL",
    ):
        assert word in text
    assert max(map(len, text.splitlines())) <= 140
    found = to_dict(verdict)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    nothing = MultiAgentEvaluator(AlphaEvaluator()).evaluate(feature * np.nan, table, labels)
    assert to_dict(nothing)["evaluation"]["rank_ic"]["value"] is None
    assert "REFUSED" in render(nothing)


def test_a_sound_data_fn_passes() -> None:
    feature, table, labels = frames(14, 500)
    checked = check_data(lambda: (lambda _: feature, table, labels))
    pd.testing.assert_series_equal(checked.compute("x"), feature)
    assert checked.bar_seconds == 3600.0


def _raises(_: str) -> pd.Series:
    raise KeyError("boom")


@pytest.mark.parametrize(
    ("compute", "message"),
    [
        (_raises, r"compute\('x'\) raised KeyError: 'boom'"),
        (lambda _: [1, 2], "returned list"),
        (lambda _: frames(15, 500)[0].astype(str), "not numbers"),
        (lambda _: frames(15, 500)[0].astype(complex), "not numbers"),
        (lambda _: frames(15, 500)[0].reset_index(drop=True), "shares no index label|indexed by"),
        (lambda _: frames(15, 500)[0].iloc[:20], "shares 20 of 500 labels"),
        (lambda _: pd.concat([frames(15, 500)[0]] * 2), "duplicate"),
    ],
)
def test_a_broken_compute_is_blamed_by_name(compute: object, message: str) -> None:
    _, table, labels = frames(15, 500)
    with pytest.raises(AdapterError, match=message):
        check_data(lambda: (compute, table, labels)).compute("x")


def test_a_compute_that_changes_the_returns_is_caught() -> None:
    feature, table, _ = frames(16, 500)

    def compute(_: str) -> pd.Series:
        table.iloc[5, 0] = 9.0
        return feature

    with pytest.raises(AdapterError, match="changed the forward returns"):
        check_data(lambda: (compute, table)).compute("x")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda f, r: 3, "returned int"),
        (lambda f, r: (f,), "of 1"),
        (lambda f, r: (3, r, None), "must be compute"),
        (lambda f, r: (lambda _: f, r.to_numpy(), None), "must be a DataFrame"),
        (lambda f, r: (lambda _: f, r * np.nan, None), "has no value"),
        (lambda f, r: (lambda _: f, r.rename(columns={"ret_1h": "y"}), None), "does not name a horizon"),
        (lambda f, r: (lambda _: f, r, ["a"]), "regime labels"),
    ],
)
def test_a_broken_data_fn_is_blamed_by_name(given: object, message: str) -> None:
    feature, table, _ = frames(17, 300)
    with pytest.raises(AdapterError, match=message):
        check_data(lambda: given(feature, table))
    with pytest.raises(AdapterError, match=r"data_fn\(\) raised ZeroDivisionError"):
        check_data(lambda: 1 / 0)
