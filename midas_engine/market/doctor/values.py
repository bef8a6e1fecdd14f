"""Figures of bars: prices, ranges, volumes, stretches where nothing moves or nothing is known."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.market.doctor.report import Defect, defect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from midas_engine.market.doctor.gather import Gathered, SymbolRows

    Values = NDArray[np.float64]
    Mask = NDArray[np.bool_]

PRICES = ("open", "high", "low", "close")
NEIGHBOURS = 49
# Ten times the median of a day around it is no move of a market: the worst hourly bar of the 2025-10-10 crash lost
# nine tenths at its low and closed far above it.
SPIKE = 10.0
WICK = 5.0
FROZEN_BARS = 24
# Prices are rounded to ticks, volumes to lots: a little outside is inside.
ROUNDING = 1e-6
VWAP_SLACK = 2e-3
VWAP_SHARE = 0.01
# In so many bars it is not a wrong figure here and there, but the wrong column.
MOSTLY = 0.5
MOST_FIT = 0.98


def check_bars(bars: Gathered) -> Iterator[Defect]:
    """Everything about the figures of bars."""
    have = set(bars.frame.columns)
    if bars.frame["close"].isna().all():
        yield defect("no-close", "every close is empty", count=len(bars.frame), column="close")
        return
    for column in ("open", "high", "low", "volume"):
        if column not in have or bars.frame[column].isna().all():
            yield defect("missing-column", f"no {column} in these bars", count=len(bars.frame), column=column)
    for rows in bars.by_symbol():
        yield from _prices(rows)
        yield from _ranges(rows)
        yield from _moves(rows)
        yield from _stillness(rows)
        yield from _volumes(rows)


def _told(code: str, detail: str, mask: Mask, rows: SymbolRows, column: str = "") -> Iterator[Defect]:
    if mask.any():
        yield defect(
            code, detail, count=mask.sum(), symbol=rows.symbol, column=column, first_at=rows.times[int(np.argmax(mask))]
        )


def _prices(rows: SymbolRows) -> Iterator[Defect]:
    for column in PRICES:
        if column in rows.values:
            values = rows.values[column]
            yield from _told("no-price", f"lowest {np.nanmin(values, initial=np.inf):g}", values <= 0, rows, column)


def _ranges(rows: SymbolRows) -> Iterator[Defect]:
    high, low = rows.values.get("high"), rows.values.get("low")
    if high is None or low is None:
        return
    yield from _told("high-below-low", "the high lies below the low", high < low, rows, "high")
    opened, close = rows.values.get("open", rows.values["close"]), rows.values["close"]
    top, bottom = np.fmax(opened, close), np.fmin(opened, close)
    sound = high >= low
    outside = sound & ((top > high * (1 + ROUNDING)) | (bottom < low * (1 - ROUNDING)))
    wrong = outside | (high < low)
    if wrong.sum() > MOSTLY * max(1, np.isfinite(close).sum()) and wrong.sum() > 2:
        at = int(np.argmax(wrong))
        detail = f"open or close lies outside low and high in {wrong.sum()} of {len(close)} bars: the columns are in "
        yield defect(
            "column-order",
            detail + _order_that_fits(rows),
            count=wrong.sum(),
            symbol=rows.symbol,
            first_at=rows.times[at],
        )
        return
    yield from _told("outside-range", "open or close lies outside low and high", outside, rows)
    positive = sound & (low > 0) & ~outside
    yield from _told(
        "wick",
        f"high or low {WICK:g} times away from open and close",
        positive & ((high > WICK * top) | (low * WICK < bottom)),
        rows,
    )


def _order_that_fits(rows: SymbolRows) -> str:
    """The order of the four prices that fits every bar, in words: an open is the close before it."""
    if not set(PRICES) <= rows.values.keys():
        return "another order"
    best: tuple[float, tuple[str, ...]] | None = None
    for names in itertools.permutations(PRICES):
        opened, high, low, close = (rows.values[PRICES[names.index(p)]] for p in PRICES)
        fits = (np.fmax(opened, close) <= high * (1 + ROUNDING)) & (np.fmin(opened, close) >= low * (1 - ROUNDING))
        if fits.mean() > MOST_FIT:
            miss = float(np.nanmedian(np.abs(opened[1:] - close[:-1])))
            if best is None or miss < best[0]:
                best = (miss, names)
    return f"the order {', '.join(best[1])}" if best else "another order"


def _moves(rows: SymbolRows) -> Iterator[Defect]:
    import pandas as pd

    close = rows.values["close"]
    good = np.isfinite(close) & (close > 0)
    if good.sum() < 4:
        return
    logs = np.log(close[good])
    times = rows.times[good]
    usual = pd.Series(logs).rolling(NEIGHBOURS, center=True, min_periods=3).median().to_numpy()
    spike = np.abs(logs - usual) > np.log(SPIKE)
    if spike.any():
        at = int(np.argmax(spike))
        factor = float(np.exp(logs[at] - usual[at]))
        yield defect(
            "price-spike",
            f"close {np.exp(logs[at]):g} is {factor:.3g} times the bars around it",
            count=spike.sum(),
            symbol=rows.symbol,
            column="close",
            first_at=times[at],
        )
    step = np.abs(np.diff(logs)) > np.log(SPIKE)
    jump = np.concatenate([[False], step & ~spike[1:] & ~spike[:-1]])
    if jump.any():
        at = int(np.argmax(jump))
        factor = float(np.exp(logs[at] - logs[at - 1]))
        yield defect(
            "price-jump",
            f"close moves by a factor of {factor:.3g} in one bar and stays",
            count=jump.sum(),
            symbol=rows.symbol,
            column="close",
            first_at=times[at],
        )


def _stillness(rows: SymbolRows) -> Iterator[Defect]:
    close = rows.values["close"]
    unknown = np.isnan(close)
    run, at = longest_run(unknown)
    if run:
        yield defect(
            "nan-run",
            f"no close; the longest stretch {run} bars",
            count=unknown.sum(),
            symbol=rows.symbol,
            column="close",
            first_at=rows.times[int(np.argmax(unknown))],
        )
    still = np.zeros(len(close), dtype=bool)
    still[1:] = close[1:] == close[:-1]
    for column in ("high", "low"):
        if column in rows.values:
            still &= rows.values[column] == close
    if "volume" in rows.values:
        still &= ~(rows.values["volume"] == 0)  # a halted market has no volume and says so
    run, at = longest_run(still)
    if run >= FROZEN_BARS:
        yield defect(
            "frozen",
            f"the same price for {run + 1} bars",
            count=run + 1,
            symbol=rows.symbol,
            column="close",
            first_at=rows.times[max(at - 1, 0)],
        )


def _volumes(rows: SymbolRows) -> Iterator[Defect]:
    volume = rows.values.get("volume")
    for column in ("volume", "quote_volume", "trades", "taker_buy_volume", "taker_buy_quote_volume"):
        if column in rows.values:
            yield from _told("negative-volume", "below zero", rows.values[column] < 0, rows, column)
    if volume is None:
        return
    yield from _told("zero-volume", f"bars without a trade, of {len(volume)}", volume == 0, rows, "volume")
    for part, whole in (("taker_buy_volume", "volume"), ("taker_buy_quote_volume", "quote_volume")):
        if part in rows.values and whole in rows.values:
            above = rows.values[part] > rows.values[whole] * (1 + ROUNDING)
            yield from _told("taker-above-volume", f"{part} above {whole}", above, rows, part)
    if not {"quote_volume", "high", "low"} <= rows.values.keys():
        return
    with np.errstate(all="ignore"):
        vwap = rows.values["quote_volume"] / volume
    sound = np.isfinite(vwap) & (volume > 0) & (rows.values["low"] > 0)
    outside = sound & ((vwap > rows.values["high"] * (1 + VWAP_SLACK)) | (vwap < rows.values["low"] * (1 - VWAP_SLACK)))
    if outside.sum() > VWAP_SHARE * max(1, sound.sum()):
        at = int(np.argmax(outside))
        detail = f"quote volume / volume is {vwap[at]:g}, the bar's low {rows.values['low'][at]:g}"
        yield from _told("volume-unit", detail, outside, rows, "quote_volume")


def longest_run(mask: Mask) -> tuple[int, int]:
    """Length and first position of the longest stretch of True.

    Example:
        >>> longest_run(np.array([True, False, True, True]))
        (2, 2)
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    starts, ends = edges[::2], edges[1::2]
    if not len(starts):
        return 0, 0
    best = int(np.argmax(ends - starts))
    return int(ends[best] - starts[best]), int(starts[best])
