from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers_dsl import COLUMNS, make_panel
from midas_engine.dsl import OPERATORS, FeatureEngine, StreamEngine, parse, random_expression
from midas_engine.errors import ExpressionError, ExpressionTypeError, UnknownNameError
from midas_engine.settings import DslLimits

if TYPE_CHECKING:
    from midas_engine.market.panel import Panel

WIDE = DslLimits(depth=12, nodes=400, total_lookback_bars=10**6)
Array = npt.NDArray[np.float64]


def rows(panel: Panel) -> list[dict[str, Array]]:
    return [{name: values[t] for name, values in panel.fields.items()} for t in range(panel.T)]


def stream_all(engine: StreamEngine, bars: list[dict[str, Array]]) -> dict[str, Array]:
    out = [engine.update(bar) for bar in bars]
    return {name: np.array([o[name] for o in out]) for name in engine.expressions}


def assert_equal(text: str, batch: Array, streamed: Array) -> None:
    """1e-12 relative where the arithmetic is not recursive, 1e-9 where it is; NaN in the same cells."""
    tolerance = 1e-9 if parse(text, limits=WIDE).recursive else 1e-12
    assert np.array_equal(np.isnan(batch), np.isnan(streamed)), text
    ok = np.isfinite(batch)
    assert np.all(np.abs(batch[ok] - streamed[ok]) <= tolerance * np.maximum(np.abs(batch[ok]), 1e-300)), text


@pytest.mark.parametrize("name", list(OPERATORS))
@pytest.mark.parametrize("symbols", [3, 9])
def test_every_operator_streams(name: str, symbols: int) -> None:
    panel = make_panel(2, 150, symbols)
    text = OPERATORS[name].example
    engine = StreamEngine({"f": text}, tuple(panel.fields), panel.symbols)
    assert_equal(text, FeatureEngine(panel, cache_bytes=0).values(text), stream_all(engine, rows(panel))["f"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**31),
    depth=st.integers(1, 5),
    symbols=st.sampled_from([1, 2, 5, 9]),
    bars=st.sampled_from([3, 50, 140]),
    holes=st.sampled_from([0.0, 0.05, 0.5]),
    restart=st.booleans(),
)
def test_batch_equals_stream(seed: int, depth: int, symbols: int, bars: int, holes: float, restart: bool) -> None:
    rng = np.random.default_rng(seed)
    panel = make_panel(seed, bars, symbols, holes)
    exclude = ("cross_section",) if symbols == 1 else ()
    texts = {
        f"f{i}": random_expression(rng, (*COLUMNS, "vwap", "returns"), depth, exclude=exclude, limits=WIDE)
        for i in range(4)
    }
    batch = FeatureEngine(panel, limits=WIDE, cache_bytes=0)

    def fresh() -> StreamEngine:
        return StreamEngine(texts, tuple(panel.fields), panel.symbols, limits=WIDE)

    engine = fresh()
    bars_in = rows(panel)
    half = bars // 2 if restart else 0
    before = [engine.update(bar) for bar in bars_in[:half]]
    if restart:
        saved = engine.state()
        engine = fresh()
        engine.restore(saved)
        assert engine.bars == half
    out = before + [engine.update(bar) for bar in bars_in[half:]]
    for name, text in texts.items():
        assert_equal(text, batch.values(text), np.array([o[name] for o in out]))


def test_equal_parts_are_one_node() -> None:
    texts = {f"f{i}": f"ts_mean(close, 24) * {i + 2}" for i in range(10)}
    engine = StreamEngine(texts, ["close"], ["a", "b"])
    assert engine.node_count == 11
    assert engine.lookback == 23


def test_features_use_one_another() -> None:
    panel = make_panel(2, 60, 3)
    engine = StreamEngine({"ranked": "cs_rank(gain)", "gain": "returns(close, 4)"}, tuple(panel.fields), panel.symbols)
    streamed = stream_all(engine, rows(panel))
    batch = FeatureEngine(panel, cache_bytes=0).values("cs_rank(returns(close, 4))")
    assert np.array_equal(streamed["ranked"], batch, equal_nan=True)


def test_warm_is_replaying() -> None:
    panel = make_panel(2, 80, 3)
    texts = {"f": "ts_zscore(close, 24) + ema(volume, 5)"}
    one, two = (StreamEngine(texts, tuple(panel.fields), panel.symbols) for _ in range(2))
    one.warm(panel.fields, 60)
    for bar in rows(panel)[:60]:
        two.update(bar)
    last = rows(panel)[60]
    assert np.array_equal(one.update(last)["f"], two.update(last)["f"], equal_nan=True)


def test_values_belong_to_the_caller() -> None:
    engine = StreamEngine({"f": "close + 1"}, ["close"], ["a"])
    first = engine.update({"close": np.array([1.0])})["f"]
    engine.update({"close": np.array([5.0])})
    assert first.tolist() == [2.0]


def test_infinite_input_is_missing() -> None:
    engine = StreamEngine({"f": "close * 2"}, ["close"], ["a", "b"])
    out = engine.update({"close": np.array([np.inf, 1.0])})["f"]
    assert np.isnan(out[0])
    assert out[1] == 2.0


def test_bad_bars_change_nothing() -> None:
    engine = StreamEngine({"f": "ts_sum(close, 3) + volume"}, ["close", "volume"], ["a", "b"])
    good = {"close": np.array([1.0, 2.0]), "volume": np.array([1.0, 1.0])}
    engine.update(good)
    with pytest.raises(UnknownNameError, match="no column 'volume'"):
        engine.update({"close": np.array([1.0, 2.0])})
    with pytest.raises(ExpressionError, match="shape"):
        engine.update({"close": np.array([1.0]), "volume": np.array([1.0])})
    assert engine.bars == 1
    assert engine.update(good)["f"].tolist() == [3.0, 5.0]


def test_state_of_another_engine_is_refused() -> None:
    one = StreamEngine({"f": "ts_mean(close, 5)"}, ["close"], ["a"])
    one.update({"close": np.array([1.0])})
    saved = one.state()
    others = [
        StreamEngine({"f": "ts_mean(close, 6)"}, ["close"], ["a"]),
        StreamEngine({"f": "ts_sum(close, 5)"}, ["close"], ["a"]),
        StreamEngine({"f": "ts_mean(close, 5)"}, ["close"], ["b"]),
        StreamEngine({"f": "ts_mean(close, 5)"}, ["close"], ["a", "b"]),
    ]
    for other in others:
        with pytest.raises(ExpressionError, match="saved stream state"):
            other.restore(saved)
        assert other.bars == 0


def test_damaged_state_is_refused() -> None:
    engine = StreamEngine({"f": "ts_mean(close, 5)"}, ["close"], ["a"])
    saved = engine.state()
    pickled = io.BytesIO()
    np.savez(pickled, meta=np.array([{"a": 1}], dtype=object))
    for blob in (b"", b"rubbish", saved[:-20], saved[: len(saved) // 2], pickled.getvalue()):
        with pytest.raises(ExpressionError, match="saved stream state"):
            engine.restore(blob)


def test_one_symbol_has_no_cross_section() -> None:
    with pytest.raises(ExpressionTypeError):
        StreamEngine({"f": "cs_rank(close)"}, ["close"], ["a"])


def test_state_is_bounded() -> None:
    engine = StreamEngine({"f": "ts_zscore(close, 24) + ts_rank(close, 12)"}, ["close"], ["a", "b"])
    rng = np.random.default_rng(0)
    sizes = []
    for _ in range(200):
        engine.update({"close": rng.normal(size=2)})
        sizes.append(sum(s.workspace.nbytes + s.counters.nbytes for s in engine._states.values()))
    assert len(set(sizes)) == 1


def test_sums_that_overflow_warn_of_nothing() -> None:
    engine = StreamEngine({"f": "close * 0 + 1"}, ["close"], ["a", "b", "c"])
    out = engine.update({"close": np.array([1e308, 1e308, -np.inf])})["f"]
    assert np.isnan(out[2])
    assert out[:2].tolist() == [1.0, 1.0]
