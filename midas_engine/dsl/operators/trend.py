"""Rolling regression on time, and the rolling product: each bar goes through its window from the oldest on.

Nothing is carried from bar to bar but the window itself, so a value depends on the last n bars and on nothing
else, to the last bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.dsl.jit import kernel
from midas_engine.dsl.registry import Array, Operator, Params, Run, State, register, series, window

if TYPE_CHECKING:
    from collections.abc import Sequence

_SLOPE, _RSQUARE, _RESID = range(3)
_SUMS = 7  # rows before the window's values


@kernel("xiiiwpw")
def _trend(x: Any, n: int, need: int, mode: int, ws: Any, pos: Any, out: Any) -> None:
    # Places count back from the newest bar, 0, -1, ..; values are relative to the oldest valid one.
    rows, symbols = x.shape
    counts, bases, sp, spp, sv, spv, svv = ws[0], ws[1], ws[2], ws[3], ws[4], ws[5], ws[6]
    if pos[1] == 0:
        pos[1] = 1
        for i in range(n):
            for s in range(symbols):
                ws[7 + i, s] = np.nan
    j = pos[0]
    for t in range(rows):
        xr, b, o = x[t], ws[7 + j], out[t]
        for s in range(symbols):
            b[s] = xr[s]
        for i in range(7):
            row = ws[i]
            for s in range(symbols):
                row[s] = 0.0
        j += 1
        if j == n:
            j = 0
        for h in range(n):
            i = j + h
            past = ws[7 + i - n] if i >= n else ws[7 + i]
            place = float(h - n + 1)
            for s in range(symbols):
                v, count, base = past[s], counts[s], bases[s]
                ok = v == v
                first = v if ok else 0.0
                base = base if count > 0.0 else first
                d = v - base
                d = d if ok else 0.0
                p = place if ok else 0.0
                counts[s] = count + 1.0 if ok else count
                bases[s] = base
                sp[s] += p
                spp[s] += p * p
                sv[s] += d
                spv[s] += p * d
                svv[s] += d * d
        for s in range(symbols):
            count, tp, tv = counts[s], sp[s], sv[s]
            xx = count * spp[s] - tp * tp
            xy = count * spv[s] - tp * tv
            yy = count * svv[s] - tv * tv
            if mode == 0:
                r = xy / xx
            elif mode == 1:
                # Rounding noise of a flat window is not a trend.
                yy = yy if yy > 1e-14 * count * svv[s] else 0.0
                q = xy / (np.sqrt(xx) * np.sqrt(yy))
                r = q * q
                r = 1.0 if r > 1.0 and r - r == 0.0 else r
            else:
                r = (count * (xr[s] - bases[s]) - tv + xy / xx * tp) / count
            o[s] = r if count >= need and r - r == 0.0 else np.nan
    pos[0] = j


@kernel("xiiwpw")
def _product(x: Any, n: int, need: int, ws: Any, pos: Any, out: Any) -> None:
    rows, symbols = x.shape
    counts, totals = ws[0], ws[1]
    if pos[1] == 0:
        pos[1] = 1
        for i in range(n):
            for s in range(symbols):
                ws[2 + i, s] = np.nan
    j = pos[0]
    for t in range(rows):
        xr, b, o = x[t], ws[2 + j], out[t]
        for s in range(symbols):
            b[s] = xr[s]
            counts[s] = 0.0
            totals[s] = 1.0
        j += 1
        if j == n:
            j = 0
        for h in range(n):
            i = j + h
            past = ws[2 + i - n] if i >= n else ws[2 + i]
            for s in range(symbols):
                v, count, total = past[s], counts[s], totals[s]
                ok = v == v
                counts[s] = count + 1.0 if ok else count
                totals[s] = total * v if ok else total
        for s in range(symbols):
            r = totals[s]
            o[s] = r if counts[s] >= need and r - r == 0.0 else np.nan
    pos[0] = j


def _regression(mode: int) -> Run:
    def run(args: Sequence[Any], params: Params, need: int, state: State | None, out: Array) -> None:
        assert state is not None
        _trend(args[0], int(params[0]), need, mode, state.workspace, state.counters, out)

    return run


def _ts_product(args: Sequence[Any], params: Params, need: int, state: State | None, out: Array) -> None:
    assert state is not None
    _product(args[0], int(params[0]), need, state.workspace, state.counters, out)


def _trend_rows(params: Params) -> int:
    return _SUMS + int(params[0])


def _product_rows(params: Params) -> int:
    return 2 + int(params[0])


def _memory(params: Params) -> int:
    return int(params[0]) - 1


register(
    Operator("ts_slope", "time_series", (series(), window(low=2)),
             "Slope per bar of the least-squares line through the valid bars of the last n; 0 when flat.",
             "ts_slope(log(close), 24)", "first", memory=_memory, run=_regression(_SLOPE), state_rows=_trend_rows,
             blocked=True, min_bars=2, scale="out", shift_free=True, odd=True)
)  # fmt: skip
register(
    Operator("ts_rsquare", "time_series", (series(), window(low=3)),
             "Share of the variance of the last n that the line through them explains, 0 to 1; NaN when flat.",
             "ts_rsquare(close, 24)", "pure", memory=_memory, run=_regression(_RSQUARE), state_rows=_trend_rows,
             blocked=True, min_bars=3, scale="free", shift_free=True, even=True)
)  # fmt: skip
register(
    Operator("ts_resid", "time_series", (series(), window(low=3)),
             "This bar's distance from the least-squares line through the valid bars of the last n; NaN where this "
             "bar is missing.", "ts_resid(close, 24) / close", "first", memory=_memory, run=_regression(_RESID),
             state_rows=_trend_rows, blocked=True, min_bars=3, scale="out", shift_free=True, odd=True)
)  # fmt: skip
register(
    Operator("ts_product", "time_series", (series(), window()),
             "Product of the valid bars of the last n; NaN where it overflows.",
             "ts_product(1 + returns(close, 1), 24) - 1", "repeated", memory=_memory, run=_ts_product,
             state_rows=_product_rows, blocked=True)
)  # fmt: skip
