"""Rolling rank, median and quantile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.dsl.jit import kernel
from midas_engine.dsl.registry import Array, Layout, Operator, Params, State, number, register, series, window

if TYPE_CHECKING:
    from collections.abc import Sequence


@kernel("xiiwpw")
def _rank(x: Any, n: int, need: int, ws: Any, pos: Any, out: Any) -> None:
    # Counting beats every ordered structure here: comparisons run across symbols, or across the
    # window when there is one symbol, several to an instruction.
    #
    # Values nearer than 2^-40 of the window's largest are rounding apart, and tie. The largest comes from block
    # prefixes and suffixes, as in `extrema`: row n of the table stays 0.
    rows, symbols = x.shape
    counts, below, top, least, most = ws[0], ws[1], ws[n + 2], ws[n + 3], ws[n + 4]
    table = n + 5
    if pos[1] == 0:
        pos[1] = 1
        for i in range(n):
            for s in range(symbols):
                ws[2 + i, s] = np.nan
    j = pos[0]
    flat = ws.reshape(ws.size)
    for t in range(rows):
        xr, b, o, far = x[t], ws[2 + j], out[t], ws[table + j + 1]
        for s in range(symbols):
            v, old, count, high, other = xr[s], b[s], counts[s], top[s], far[s]
            count -= 1.0 if old == old else 0.0
            count += 1.0 if v == v else 0.0
            size = abs(v)
            high = size if size > high else high
            slack = (high if high > other else other) * 2.0**-40
            counts[s] = count
            b[s] = v
            top[s] = high
            least[s] = v - slack
            most[s] = v + slack
            below[s] = 0.0
        if symbols == 1:
            low, high = least[0], most[0]
            hits = 0
            for i in range(2, n + 2):
                u = flat[i]
                hits += (1 if u < low else 0) + (1 if u <= high else 0)
            below[0] = float(hits)
        else:
            # Four bars a sweep, so that the running counts are loaded and stored a quarter as often.
            whole = n - n % 4
            for i in range(2, whole + 2, 4):
                p, q, u, w = ws[i], ws[i + 1], ws[i + 2], ws[i + 3]
                for s in range(symbols):
                    low, high, a, c, d, e = least[s], most[s], p[s], q[s], u[s], w[s]
                    h = (1.0 if a < low else 0.0) + (1.0 if a <= high else 0.0)
                    h += (1.0 if c < low else 0.0) + (1.0 if c <= high else 0.0)
                    h += (1.0 if d < low else 0.0) + (1.0 if d <= high else 0.0)
                    h += (1.0 if e < low else 0.0) + (1.0 if e <= high else 0.0)
                    below[s] += h
            for i in range(whole + 2, n + 2):
                past = ws[i]
                for s in range(symbols):
                    a, low, high = past[s], least[s], most[s]
                    below[s] += (1.0 if a < low else 0.0) + (1.0 if a <= high else 0.0)
        for s in range(symbols):
            v, h, count = xr[s], below[s], counts[s]
            r = (h + 1.0) * 0.5 / count
            o[s] = r if v == v and count >= need else np.nan
        j += 1
        if j == n:
            j = 0
            for s in range(symbols):
                top[s] = 0.0
            for i in range(n - 1, -1, -1):
                b, far, after = ws[2 + i], ws[table + i], ws[table + i + 1]
                for s in range(symbols):
                    size, high = abs(b[s]), after[s]
                    far[s] = size if size > high else high
    pos[0] = j


@kernel("xiifwpw")
def _quantile(x: Any, n: int, need: int, q: float, ws: Any, pos: Any, out: Any) -> None:
    # One sorted row a symbol: [count, ring of n, sorted n].
    rows, symbols = x.shape
    if pos[1] == 0:
        pos[1] = 1
        for s in range(symbols):
            ws[s, 0] = 0.0
            for i in range(1, n + 1):
                ws[s, i] = np.nan
    start = pos[0]
    for s in range(symbols):
        w = ws[s]
        ring, ordered = w[1 : n + 1], w[n + 1 :]
        count = int(w[0])
        j = start
        for t in range(rows):
            v, old = x[t, s], ring[j]
            ring[j] = v
            if old == old:
                lo, hi = 0, count
                while lo < hi:
                    mid = (lo + hi) >> 1
                    if ordered[mid] < old:
                        lo = mid + 1
                    else:
                        hi = mid
                count -= 1
                for i in range(lo, count):
                    ordered[i] = ordered[i + 1]
            if v == v:
                lo, hi = 0, count
                while lo < hi:
                    mid = (lo + hi) >> 1
                    if ordered[mid] < v:
                        lo = mid + 1
                    else:
                        hi = mid
                for i in range(count, lo, -1):
                    ordered[i] = ordered[i - 1]
                ordered[lo] = v
                count += 1
            if count >= need:
                place = q * (count - 1)
                k = int(place)
                a = ordered[k]
                b = ordered[min(k + 1, count - 1)]
                r = a + (place - k) * (b - a)
                out[t, s] = r if r - r == 0.0 else np.nan
            else:
                out[t, s] = np.nan
            j += 1
            if j == n:
                j = 0
        w[0] = float(count)
    pos[0] = (start + rows) % n


def _ts_rank(args: Sequence[Any], params: Params, need: int, state: State | None, out: Array) -> None:
    assert state is not None
    _rank(args[0], int(params[0]), need, state.workspace, state.counters, out)


def _ts_median(args: Sequence[Any], params: Params, need: int, state: State | None, out: Array) -> None:
    assert state is not None
    _quantile(args[0], int(params[0]), need, 0.5, state.workspace, state.counters, out)


def _ts_quantile(args: Sequence[Any], params: Params, need: int, state: State | None, out: Array) -> None:
    assert state is not None
    _quantile(args[0], int(params[0]), need, float(params[1]), state.workspace, state.counters, out)


def _rank_rows(params: Params) -> int:
    return 6 + 2 * int(params[0])


def _sorted_rows(params: Params) -> int:
    return 1 + 2 * int(params[0])


def _memory(params: Params) -> int:
    return int(params[0]) - 1


register(
    Operator("ts_rank", "time_series", (series(), window(low=2)),
             "Rank of this bar's value among the last n, in (0, 1], ties averaged; values within 2^-40 of the window's "
             "largest tie.", "ts_rank(volume, 48)", "pure",
             memory=_memory, run=_ts_rank, state_rows=_rank_rows, blocked=True,
             layout=Layout(2, (0.0,), tail=3, whole=True), scale="free", shift_free=True)
)  # fmt: skip
register(
    Operator("ts_median", "time_series", (series(), window()), "Median of the valid bars of the last n.",
             "close / ts_median(close, 24) - 1", "first", memory=_memory, run=_ts_median, state_rows=_sorted_rows,
             by_symbol=True, scale="out", odd=True)
)  # fmt: skip
register(
    Operator("ts_quantile", "time_series", (series(), window(), number("q", 0.5, 0.0, 1.0)),
             "Quantile q of the valid bars of the last n, linearly interpolated.", "ts_quantile(volume, 48, 0.9)",
             "first", memory=_memory, run=_ts_quantile, state_rows=_sorted_rows, by_symbol=True, scale="out")
)  # fmt: skip
