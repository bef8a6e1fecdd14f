"""Copies of functions over altered data, and the tables that are altered."""

from __future__ import annotations

import functools
from collections import defaultdict, deque, namedtuple
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest

from midas_engine.dsl.leaks.calendar import Calendar
from midas_engine.dsl.leaks.computes import calendar_of
from midas_engine.dsl.leaks.shadow import Shadow
from midas_engine.dsl.leaks.tables import Altered, Targets, View

TIMES = pd.date_range("2025-01-01", periods=100, freq="h", tz="UTC")
SERIES = pd.Series(np.arange(100.0), index=TIMES)
RETURNS = (SERIES + 0.5).to_frame("ret_4h")
Pair = namedtuple("Pair", "left right")


def halved(view: View | None = None) -> tuple[Shadow, Altered]:
    calendar = calendar_of(RETURNS.index)
    alter = Altered(calendar, view or View(0, 50), Targets(RETURNS, {"ret_4h": 4}))
    return Shadow(alter), alter


@dataclass
class Holder:
    table: Any
    memo: dict[str, Any]


class Slotted:
    __slots__ = ("table",)

    def __init__(self, table: Any) -> None:
        self.table = table

    def length(self) -> int:
        return len(self.table)


def _keyword(*, table: Any = SERIES) -> int:
    return len(table)


def _outer(table: Any) -> Any:
    def inner() -> int:
        return len(table)

    return inner


CASES: dict[str, Any] = {
    "closure": _outer(SERIES),
    "keyword default": _keyword,
    "global": lambda: len(SERIES),
    "nested function": lambda: _outer(SERIES)(),
    "partial": functools.partial(len, SERIES),
    "partial keyword": functools.partial(_keyword, table=SERIES),
    "bound method": Slotted(SERIES).length,
    "dictionary": (lambda d: lambda: len(d["x"]))({"x": SERIES}),
    "default dictionary": (lambda d: lambda: len(d["x"]))(defaultdict(list, x=SERIES)),
    "list of lists": (lambda d: lambda: len(d[0][0]))([[SERIES]]),
    "deque": (lambda d: lambda: len(d[0]))(deque([SERIES])),
    "tuple": (lambda d: lambda: len(d[1]))((1, SERIES)),
    "named tuple": (lambda d: lambda: len(d.right))(Pair(1, SERIES)),
    "dataclass": (lambda d: lambda: len(d.table))(Holder(SERIES, {})),
    "array": (lambda d: lambda: len(d))(SERIES.to_numpy()),
    "array across": (lambda d: lambda: d.shape[1])(np.ones((3, 100))),
    "index": (lambda d: lambda: len(d))(TIMES),
    "frame across": (lambda d: lambda: d.shape[1])(pd.DataFrame(np.ones((3, 100)), columns=TIMES)),
    "frame with a column of times": (lambda d: lambda: len(d))(pd.DataFrame({"at": TIMES, "v": 1.0})),
    "cache": functools.lru_cache(lambda: len(SERIES)),
}


@pytest.mark.parametrize("name", CASES)
def test_the_shadow_sees_altered_data_and_the_original_its_own(name: str) -> None:
    original = CASES[name]
    assert original() == 100
    shadow, alter = halved()
    assert shadow.copy(original)() == 50
    assert alter.met > 0
    assert original() == 100


def test_results_remembered_under_an_expression_are_forgotten() -> None:
    holder = Holder(SERIES, {"rank(close)": SERIES.shift(-1)})
    shadow, _ = halved()
    assert shadow.copy(lambda: len(holder.memo))() == 0
    assert len(holder.memo) == 1


def test_things_that_refer_to_themselves_are_copied_once() -> None:
    ring: dict[str, Any] = {"table": SERIES}
    ring["self"] = ring
    shadow, _ = halved()
    made = shadow.copy(ring)
    assert made["self"] is made
    assert len(made["table"]) == 50


def test_a_library_is_left_alone() -> None:
    shadow, _ = halved()
    assert shadow.copy(np.mean) is np.mean
    assert shadow.copy(len) is len
    assert shadow.copy(None) is None


def test_a_changed_future_keeps_shape_and_past() -> None:
    _, alter = halved(View(0, 100, changed=60))
    made = alter(SERIES)
    assert len(made) == 100
    assert made[:60].equals(SERIES[:60])
    assert not made[60:].equals(SERIES[60:])
    numbers = alter(pd.DataFrame({"a": np.arange(100), "b": np.arange(100) % 2 == 0, "c": "x"}, index=TIMES))
    assert numbers.dtypes.map(lambda d: d.kind).tolist()[:2] == ["i", "b"]
    assert (numbers["a"][60:] != np.arange(60, 100)).any()
    assert (numbers["a"][:60] == np.arange(60)).all()


def test_forward_returns_are_unknown_until_their_horizon_is_over() -> None:
    _, alter = halved(View(0, 50))
    made = alter(RETURNS)["ret_4h"]
    known = made.to_numpy()[:46] == RETURNS["ret_4h"].to_numpy()[:46]
    assert known[:46].all()
    assert (made.to_numpy()[46:50] != RETURNS["ret_4h"].to_numpy()[46:50]).all()
    assert alter(RETURNS["ret_4h"].to_numpy().copy())[45] == 45.5


def test_a_coarse_bar_is_complete_only_at_its_end() -> None:
    daily = pd.DataFrame({"high": np.arange(5.0), "low": 1.0}, index=TIMES[::24])
    events = pd.Series(np.arange(13.0), index=TIMES[::8], name="rate")
    _, alter = halved(View(0, 60))
    assert alter(daily)["high"].iloc[:2].tolist() == [0.0, 1.0]
    assert alter(daily)["high"].iloc[2] != 2.0  # 48:00 to 72:00 is not over at 60:00
    assert alter(events).tolist() == [float(i) for i in range(8)]
    assert len(alter.calendar.events) == 2


def test_holes_go_round_the_symbols() -> None:
    index = pd.MultiIndex.from_product([TIMES, list("abcd")], names=["timestamp", "symbol"])
    returns = pd.Series(1.0, index=index).to_frame("ret_1h")
    calendar = calendar_of(returns.index)
    alter = Altered(calendar, View(0, 50, None, 50), Targets(returns * 2, {}))
    wide = alter(pd.DataFrame(1.0, index=TIMES, columns=list("abcd")))
    assert wide.isna().sum().tolist() == [1, 50, 3, 0]
    tall = alter(pd.Series(1.0, index=index))
    assert tall.isna().groupby(level=1).sum().tolist() == [1, 50, 3, 0]


def test_bars_of_an_index() -> None:
    assert isinstance(calendar_of(RETURNS.index), Calendar)
    assert calendar_of(pd.RangeIndex(10)).numbered
    with pytest.raises(ValueError, match="neither times nor bar numbers"):
        calendar_of(pd.Index(["a", "b"]))
