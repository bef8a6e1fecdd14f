"""Windows in two levels: a third of the bytes, and every value equal to the last bit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from helpers_dsl import make_panel
from midas_engine.dsl import OPERATORS, StreamEngine
from midas_engine.dsl.compact import LEAST_WINDOW, is_compact, spare, state_rows

if TYPE_CHECKING:
    from midas_engine.market.panel import Panel

PANEL = make_panel(4, 230, 5)
LAID_OUT = [name for name, operator in OPERATORS.items() if operator.layout is not None]


def engine(text: str, **keywords: object) -> StreamEngine:
    return StreamEngine({"f": text}, tuple(PANEL.fields), PANEL.symbols, **keywords)  # type: ignore[arg-type]


def bar(t: int, panel: Panel = PANEL) -> dict[str, np.ndarray]:
    return {name: values[t] for name, values in panel.fields.items()}


def windowed(name: str, n: int) -> str:
    arguments = "returns(close, 1), volume" if OPERATORS[name].arity == 2 else "returns(close, 1)"
    return f"{name}({arguments}, {n})"


@pytest.mark.parametrize("name", LAID_OUT)
def test_a_layout_says_how_many_rows_its_operator_has(name: str) -> None:
    operator = OPERATORS[name]
    assert operator.layout is not None
    assert operator.state_rows is not None
    assert [operator.layout.rows(n) for n in (2, 7, 240)] == [operator.state_rows((n,)) for n in (2, 7, 240)]


@pytest.mark.parametrize("name", LAID_OUT)
@pytest.mark.parametrize("n", [LEAST_WINDOW, 45])
def test_two_levels_give_the_same_bits(name: str, n: int) -> None:
    plain, compact = engine(windowed(name, n)), engine(windowed(name, n), compact=True)
    for t in range(PANEL.T):
        assert plain.update(bar(t))["f"].tobytes() == compact.update(bar(t))["f"].tobytes(), t


def test_every_blocked_operator_with_tables_has_a_layout() -> None:
    blocked = [n for n, o in OPERATORS.items() if o.blocked and o.state_rows and o.state_rows((100,)) > 150]
    assert sorted(LAID_OUT) == sorted(blocked)


def test_the_state_of_240_bars_is_little_more_than_the_bars() -> None:
    for name in ("ts_mean", "ts_std", "ts_max", "ts_rank", "ts_decay_linear"):
        assert state_rows(OPERATORS[name], (240,), compact=True) <= 1.2 * 240
    assert state_rows(OPERATORS["ts_corr"], (240,), compact=True) <= 1.2 * 2 * 240
    assert not is_compact(OPERATORS["ts_mean"], (LEAST_WINDOW - 1,))
    assert spare(240) == 8


@pytest.mark.parametrize("compact", [False, True])
def test_a_history_in_one_go_is_the_bars_one_by_one(compact: bool) -> None:
    texts = {
        "a": "ts_zscore(delta(close, 3), 40) + cs_rank(volume) * 2",
        "b": "ema(close, 12) / ts_max(high, 33) - ts_median(volume, 9)",
        "c": "close",
        "d": "if_else(a > 0, b, 1.5)",
    }
    columns = tuple(PANEL.fields)
    slow, fast = (StreamEngine(texts, columns, PANEL.symbols, compact=compact) for _ in range(2))
    one_by_one = [slow.update(bar(t)) for t in range(150)]
    out = np.empty((150, len(texts), PANEL.S))
    for first, last in ((0, 64), (64, 65), (65, 150)):
        fast.advance({name: values[first:last] for name, values in PANEL.fields.items()}, out[first:last])
    for place, name in enumerate(texts):
        assert out[:, place].tobytes() == np.array([row[name] for row in one_by_one]).tobytes()
    assert slow.bars == fast.bars == 150
    assert {n: v.tobytes() for n, v in slow.update(bar(150)).items()} == {
        n: v.tobytes() for n, v in fast.update(bar(150)).items()
    }


def test_a_compact_state_is_saved_and_taken_up_again() -> None:
    text = "ts_std(close, 40) + ts_argmin(low, 50)"
    one, two = engine(text, compact=True), engine(text, compact=True)
    for t in range(130):
        one.update(bar(t))
    two.restore(one.state())
    for t in range(130, 200):
        assert one.update(bar(t))["f"].tobytes() == two.update(bar(t))["f"].tobytes()


def test_a_feature_may_use_names_that_the_stream_does_not_compute() -> None:
    named = StreamEngine(
        {"f": "cs_rank(gain)"}, tuple(PANEL.fields), PANEL.symbols, named={"gain": "returns(close, 4)"}
    )
    assert list(named.update(bar(0))) == ["f"]
