"""Guotai Junan's short-period alphas: values by the report's own formulas, streams, and where a history begins."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from midas_engine.banks import read_bank
from tests.helpers_banks import FUNCTIONS, Array, Reader, delay, formulas, mean, shaken, total, windows
from tests.helpers_conformance import Conformance, market

BANK = read_bank("gtja191")
NOT_WRITTEN = {30, 143, 149, 165, 181, 183}


def smoothed(x: Array, n: float, m: float) -> Array:
    """SMA: y = (m x + (n - m) y') / n, its weights normalised from the first bar on."""
    keep = 1 - m / n
    top, bottom = np.zeros(x.shape[1]), np.zeros(x.shape[1])
    out = np.full(x.shape, np.nan)
    for t, row in enumerate(x):
        known = ~np.isnan(row)
        top, bottom = top * keep + np.where(known, row, 0.0), bottom * keep + known
        with np.errstate(all="ignore"):
            out[t] = np.where(bottom > 0, top / bottom, np.nan)
    return out


def weighed(x: Array, n: float) -> Array:
    """WMA: the bar i bars ago weighs 0.9 ** i."""
    weights = 0.9 ** np.arange(int(n) - 1, -1, -1)
    return (windows(x, int(n)) * weights).sum(axis=2) / weights.sum()


def slope(x: Array, n: float) -> Array:
    """REGBETA on the bars' numbers."""
    steps = np.arange(int(n)) - (int(n) - 1) / 2
    return (windows(x, int(n)) * steps).sum(axis=2) / (steps**2).sum()


def extreme(series: Any, both: Any) -> Any:
    return lambda x, y: series(x, int(y)) if isinstance(y, float) and y >= 2 else both(x, y)


def reader(columns: dict[str, Array], sign: int) -> Reader:
    names = {
        "rank": "rank", "delta": "delta", "delay": "delay", "corr": "correlation", "cov": "covariance", "sum": "sum",
        "std": "stddev", "tsmin": "ts_min", "tsmax": "ts_max", "tsrank": "ts_rank", "decaylinear": "decay_linear",
        "log": "log", "abs": "abs", "sign": "sign",
    }  # fmt: skip
    known = FUNCTIONS | shaken(sign)
    free = {"rank", "log", "abs", "sign"}
    functions: dict[str, Any] = {own: known[name] for own, name in names.items()}
    functions |= {
        "mean": mean,
        "count": total,
        "prod": lambda x, n: FUNCTIONS["product"](x, n),
        "sumif": lambda x, n, condition: total(np.where(np.isnan(condition), np.nan, x * condition), int(n)),
        "sma": smoothed,
        "wma": weighed,
        "regbeta": slope,
        "highday": lambda x, n: n - FUNCTIONS["ts_argmax"](x, n),
        "lowday": lambda x, n: n - FUNCTIONS["ts_argmin"](x, n),
        "min": extreme(FUNCTIONS["ts_min"], np.minimum),
        "max": extreme(FUNCTIONS["ts_max"], np.maximum),
    }
    windowed = (set(names) - free) | {"mean", "count", "prod", "highday", "lowday"}
    return Reader(columns | derived(columns), functions, windowed)


def derived(c: dict[str, Array]) -> dict[str, Array]:
    """The report's own columns, by the definitions before its appendix."""
    before = {name: delay(c[name], 1) for name in ("open", "high", "low", "close")}
    day = c["close"] / c["open"] - 1
    up, down = c["high"] - c["open"], c["open"] - c["low"]
    known = ~np.isnan(before["open"])
    moved = c["open"] - before["open"]
    ranges = (c["high"] - c["low"], np.abs(c["high"] - before["close"]), np.abs(c["low"] - before["close"]))
    return {
        "ret": c["returns"],
        "amount": c["quote_volume"],
        "index": np.broadcast_to(day.mean(axis=1, keepdims=True), day.shape),
        "dtm": np.where(known, np.where(moved <= 0, 0.0, np.maximum(up, moved)), np.nan),
        "dbm": np.where(known, np.where(moved >= 0, 0.0, np.maximum(down, moved)), np.nan),
        "tr": np.maximum(np.maximum(ranges[0], ranges[1]), ranges[2]),
        "hd": c["high"] - before["high"],
        "ld": before["low"] - c["low"],
    }


@pytest.fixture(scope="module")
def bank() -> Conformance:
    return Conformance({entry.name: entry.expression for entry in BANK.entries}, market(500))


def test_what_can_be_defined_is_written_inside_the_limits() -> None:
    assert BANK.bad == ()
    assert {entry.name for entry in BANK.entries} == {f"alpha_{n:03d}" for n in range(1, 192) if n not in NOT_WRITTEN}
    head = " ".join(BANK.source)
    assert all(f"{n:03d}" in head or str(n) in head for n in NOT_WRITTEN)


@pytest.fixture(scope="module")
def compared(bank: Conformance) -> tuple[dict[str, int], float]:
    written = {f"alpha_{n:03d}": formula for n, formula in formulas("gtja191").items()}
    return bank.wrong(lambda sign: reader(dict(bank.columns), sign), written)


def test_values_are_those_of_the_reports_formulas(compared: tuple[dict[str, int], float]) -> None:
    wrong, ties = compared
    assert wrong == {}
    assert ties < 0.02


def test_a_stream_says_what_the_batch_says_to_the_bit(bank: Conformance) -> None:
    assert bank.streamed_otherwise() == {}


@pytest.mark.usefixtures("compared")
def test_values_do_not_depend_on_where_the_history_began(bank: Conformance) -> None:
    # Where the means of ranks of a whole row cancel (alpha_140) rounding ranks them: exact ties are left aside.
    assert bank.begun_otherwise(ties_aside=True) == {}
