"""qlib's Alpha158: values by its own definitions, streams, and where a history begins."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from midas_engine.banks import read_bank
from tests.helpers_banks import FUNCTIONS, WINDOWED, Array, Reader, over
from tests.helpers_conformance import Conformance, market

BANK = read_bank("qlib158")
TINY = "0.000000000001"
# The names and definitions of qlib's loader, with {d} for the window; `Greater` and `Less` are the larger and smaller.
BARS = {
    "kmid": "(close-open)/open",
    "klen": "(high-low)/open",
    "kmid2": "(close-open)/(high-low+tiny)",
    "kup": "(high-Greater(open,close))/open",
    "kup2": "(high-Greater(open,close))/(high-low+tiny)",
    "klow": "(Less(open,close)-low)/open",
    "klow2": "(Less(open,close)-low)/(high-low+tiny)",
    "ksft": "(2*close-high-low)/open",
    "ksft2": "(2*close-high-low)/(high-low+tiny)",
    "open0": "open/close",
    "high0": "high/close",
    "low0": "low/close",
    "vwap0": "vwap/close",
}
ROLLING = {
    "roc": "Ref(close,{d})/close",
    "ma": "Mean(close,{d})/close",
    "std": "Std(close,{d})/close",
    "beta": "Slope(close,{d})/close",
    "rsqr": "Rsquare(close,{d})",
    "resi": "Resi(close,{d})/close",
    "max": "Max(high,{d})/close",
    "min": "Min(low,{d})/close",
    "qtlu": "Upper(close,{d})/close",
    "qtld": "Lower(close,{d})/close",
    "rank": "Rank(close,{d})",
    "rsv": "(close-Min(low,{d}))/(Max(high,{d})-Min(low,{d})+tiny)",
    "imax": "IdxMax(high,{d})/{d}",
    "imin": "IdxMin(low,{d})/{d}",
    "imxd": "(IdxMax(high,{d})-IdxMin(low,{d}))/{d}",
    "corr": "Corr(close,Log(volume+1),{d})",
    "cord": "Corr(close/Ref(close,1),Log(volume/Ref(volume,1)+1),{d})",
    "cntp": "Mean(close>Ref(close,1),{d})",
    "cntn": "Mean(close<Ref(close,1),{d})",
    "cntd": "Mean(close>Ref(close,1),{d})-Mean(close<Ref(close,1),{d})",
    "sump": "Sum(Greater(close-Ref(close,1),0),{d})/(Sum(Abs(close-Ref(close,1)),{d})+tiny)",
    "sumn": "Sum(Greater(Ref(close,1)-close,0),{d})/(Sum(Abs(close-Ref(close,1)),{d})+tiny)",
    "vma": "Mean(volume,{d})/(volume+tiny)",
    "vstd": "Std(volume,{d})/(volume+tiny)",
    "wvma": "Std(Abs(close/Ref(close,1)-1)*volume,{d})/(Mean(Abs(close/Ref(close,1)-1)*volume,{d})+tiny)",
    "vsump": "Sum(Greater(volume-Ref(volume,1),0),{d})/(Sum(Abs(volume-Ref(volume,1)),{d})+tiny)",
    "vsumn": "Sum(Greater(Ref(volume,1)-volume,0),{d})/(Sum(Abs(volume-Ref(volume,1)),{d})+tiny)",
}


def written() -> dict[str, str]:
    found = dict(BARS)
    for d in (5, 10, 20, 30, 60):
        rolling = {f"{name}{d}": formula.format(d=d) for name, formula in ROLLING.items()}
        rolling |= {f"{n}d{d}": f"{rolling[f'{n}p{d}']}-{rolling[f'{n}n{d}']}" for n in ("sum", "vsum")}
        found |= rolling
    return {name: formula.replace("tiny", TINY) for name, formula in found.items()}


def line(x: Array, n: int) -> tuple[Array, Array, Array]:
    """Slope, R squared and the newest residual of a straight line through each window, by its normal equations."""
    found = []
    for part in range(3):

        def fitted(w: Array, part: int = part) -> Array:
            design = np.stack([np.ones(n), np.arange(n)], axis=1)
            beta = np.linalg.lstsq(design, w.reshape(-1, n).T, rcond=None)[0]
            rest = w - (design @ beta).T.reshape(w.shape)
            spread = ((w - w.mean(axis=2, keepdims=True)) ** 2).sum(axis=2)
            return (beta[1].reshape(w.shape[:2]), 1 - (rest**2).sum(axis=2) / spread, rest[..., -1])[part]

        found.append(over(np.nan_to_num(x), n, lambda w: fitted(np.nan_to_num(w))))
    return found[0], found[1], found[2]


def reader(columns: dict[str, Array]) -> Reader:
    names = {
        "ref": "delay", "sum": "sum", "std": "stddev", "max": "ts_max", "min": "ts_min", "rank": "ts_rank",
        "idxmax": "ts_argmax", "idxmin": "ts_argmin", "corr": "correlation", "log": "log", "abs": "abs",
    }  # fmt: skip
    functions: dict[str, Any] = {own: FUNCTIONS[name] for own, name in names.items()}
    functions |= {
        "mean": lambda x, n: over(x, n, lambda w: np.nanmean(w, axis=2)),
        "greater": np.maximum,
        "less": np.minimum,
        "upper": lambda x, n: over(x, n, lambda w: np.nanquantile(w, 0.8, axis=2)),
        "lower": lambda x, n: over(x, n, lambda w: np.nanquantile(w, 0.2, axis=2)),
        "slope": lambda x, n: line(x, n)[0],
        "rsquare": lambda x, n: line(x, n)[1],
        "resi": lambda x, n: line(x, n)[2],
    }
    windowed = {name for name, own in names.items() if own in WINDOWED}
    return Reader(columns, functions, windowed | {"mean", "upper", "lower", "slope", "rsquare", "resi"})


@pytest.fixture(scope="module")
def bank() -> Conformance:
    return Conformance({entry.name: entry.expression for entry in BANK.entries}, market(160))


def test_the_whole_list_is_written_inside_the_limits() -> None:
    assert BANK.bad == ()
    assert {entry.name for entry in BANK.entries} == set(written())
    assert len(BANK.entries) == 158


def test_values_are_those_of_the_definitions(bank: Conformance) -> None:
    by_definition = reader(dict(bank.columns))  # no rank of a correlation: nothing here can tie by rounding
    assert bank.wrong(lambda sign: by_definition, written()) == ({}, 0.0)


def test_a_stream_says_what_the_batch_says_to_the_bit(bank: Conformance) -> None:
    assert bank.streamed_otherwise() == {}


def test_values_do_not_depend_on_where_the_history_began(bank: Conformance) -> None:
    assert bank.begun_otherwise() == {}
