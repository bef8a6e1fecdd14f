"""Rolling mean, sum, deviation, z-score and skewness by merging blocks.

Time is cut into blocks of n bars. A window is a suffix of one block and a prefix of the next; the sums of
each part are merged at every bar. Nothing is ever subtracted for a bar that left, so a bad tick is forgotten
exactly. Means and sums carry twice the digits and round once: they do not depend on where the blocks lie.
Higher moments are kept relative to a value inside each part, so prices may wander, a flat window has deviation
0, and whole numbers give the same bits wherever the blocks lie.

Workspace rows: 0 reference of the suffix, 1 reference of the prefix, 2.. prefix sums, then the block's values,
then one suffix table of n + 1 rows for every sum; row j + 1 is what the window at offset j needs.

Every value is read into a local before a condition uses it: a conditional load becomes a masked load, which
costs more than all the arithmetic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.dsl.jit import kernel
from midas_engine.dsl.registry import Array, Layout, Operator, Params, Run, State, register, series, window

if TYPE_CHECKING:
    from collections.abc import Sequence

_PREFIX = 8  # rows before the block's values
_THREE, _FOUR = (Layout(_PREFIX, (0.0,) * tables) for tables in (3, 4))


@kernel("xiiiwpw")
def _first_moment(x: Any, n: int, need: int, mode: int, ws: Any, pos: Any, out: Any) -> None:
    # Every sum is a pair high + low of about 106 bits (Knuth's two-sum), rounded once at the end: the value
    # does not depend on where a block began, and whole numbers and ticks come out as their exact mean.
    rows, symbols = x.shape
    ph, pl, pc = ws[2], ws[0], ws[3]
    highs, lows, counts = 8 + n, 8 + 2 * n + 1, 8 + 3 * n + 2
    j = pos[0]
    for t in range(rows):
        xr, b, o = x[t], ws[8 + j], out[t]
        a, g, k = ws[highs + j + 1], ws[lows + j + 1], ws[counts + j + 1]
        for s in range(symbols):
            v, high, low, count, ah, al, ak = xr[s], ph[s], pl[s], pc[s], a[s], g[s], k[s]
            b[s] = v
            z = v if v == v else 0.0
            total = high + z
            back = total - high
            low += (high - (total - back)) + (z - back)
            count += 1.0 if v == v else 0.0
            ph[s] = total
            pl[s] = low
            pc[s] = count
            size = ak + count
            merged = ah + total
            back = merged - ah
            r = merged + ((ah - (merged - back)) + (total - back) + (al + low))
            if mode == 0:
                # The mean of equal values is that value, which the rounded quotient may miss by its last bit.
                q = r / size
                r = v if abs(q - v) <= 2.3e-16 * abs(v) else q
            o[s] = r if size >= need and r - r == 0.0 else np.nan
        j += 1
        if j == n:
            j = 0
            for s in range(symbols):
                ph[s] = 0.0
                pl[s] = 0.0
                pc[s] = 0.0
            # Row n of the tables stays 0: each row is the one after it and one more bar.
            for i in range(n - 1, -1, -1):
                b, a, g, k = ws[8 + i], ws[highs + i], ws[lows + i], ws[counts + i]
                a1, g1, k1 = ws[highs + i + 1], ws[lows + i + 1], ws[counts + i + 1]
                for s in range(symbols):
                    v, high, low, count = b[s], a1[s], g1[s], k1[s]
                    z = v if v == v else 0.0
                    total = high + z
                    back = total - high
                    a[s] = total
                    g[s] = low + ((high - (total - back)) + (z - back))
                    k[s] = count + 1.0 if v == v else count
    pos[0] = j


@kernel("xiiiwpw")
def _second_moment(x: Any, n: int, need: int, mode: int, ws: Any, pos: Any, out: Any) -> None:
    rows, symbols = x.shape
    c1, c2, ps, pq, pc = ws[0], ws[1], ws[2], ws[4], ws[3]
    sums, squares, counts = 8 + n, 8 + 2 * n + 1, 8 + 3 * n + 2
    j = pos[0]
    for t in range(rows):
        xr, b, o = x[t], ws[8 + j], out[t]
        a, q, k = ws[sums + j + 1], ws[squares + j + 1], ws[counts + j + 1]
        for s in range(symbols):
            v, c, total, sq, count = xr[s], c2[s], ps[s], pq[s], pc[s]
            ka, ref, sa, qa = k[s], c1[s], a[s], q[s]
            ok = v == v
            b[s] = v
            c = c if count > 0.0 else v
            c = c if c == c else 0.0
            d = v - c
            d = d if ok else 0.0
            total += d
            sq += d * d
            count += 1.0 if ok else 0.0
            c2[s] = c
            ps[s] = total
            pq[s] = sq
            pc[s] = count
            ref = ref if ka > 0.0 else c
            e = c - ref
            size = ka + count
            merged = sa + total + count * e
            squared = qa + sq + e * (2.0 * total + count * e)
            # Over one denominator, which is exact for whole numbers whatever the reference is.
            m2 = size * squared - merged * merged
            m2 = m2 if m2 > 0.0 else 0.0
            std = np.sqrt(m2 / (size * (size - 1.0)))
            r = std if mode == 0 else ((v - ref) * size - merged) / (size * std)
            o[s] = r if size >= need and r - r == 0.0 else np.nan
        j += 1
        if j == n:
            j = 0
            for s in range(symbols):
                c1[s] = 0.0
                ps[s] = 0.0
                pq[s] = 0.0
                pc[s] = 0.0
            for i in range(n - 1, -1, -1):
                b, a, q, k = ws[8 + i], ws[sums + i], ws[squares + i], ws[counts + i]
                for s in range(symbols):
                    v, c, total, sq, count = b[s], c1[s], ps[s], pq[s], pc[s]
                    ok = v == v
                    c = c if count > 0.0 else v
                    c = c if c == c else 0.0
                    d = v - c
                    d = d if ok else 0.0
                    total += d
                    sq += d * d
                    count += 1.0 if ok else 0.0
                    c1[s] = c
                    ps[s] = total
                    pq[s] = sq
                    pc[s] = count
                    a[s] = total
                    q[s] = sq
                    k[s] = count
            for s in range(symbols):
                ps[s] = 0.0
                pq[s] = 0.0
                pc[s] = 0.0
    pos[0] = j


@kernel("xiiwpw")
def _third_moment(x: Any, n: int, need: int, ws: Any, pos: Any, out: Any) -> None:
    rows, symbols = x.shape
    c1, c2, ps, pc, pq, pr = ws[0], ws[1], ws[2], ws[3], ws[4], ws[5]
    sums, squares, cubes, counts = 8 + n, 8 + 2 * n + 1, 8 + 3 * n + 2, 8 + 4 * n + 3
    j = pos[0]
    for t in range(rows):
        xr, b, o = x[t], ws[8 + j], out[t]
        a, q, u, k = ws[sums + j + 1], ws[squares + j + 1], ws[cubes + j + 1], ws[counts + j + 1]
        for s in range(symbols):
            v, c, total, sq, cu, count = xr[s], c2[s], ps[s], pq[s], pr[s], pc[s]
            ka, ref, sa, qa, ua = k[s], c1[s], a[s], q[s], u[s]
            ok = v == v
            b[s] = v
            c = c if count > 0.0 else v
            c = c if c == c else 0.0
            d = v - c
            d = d if ok else 0.0
            total += d
            sq += d * d
            cu += d * d * d
            count += 1.0 if ok else 0.0
            c2[s] = c
            ps[s] = total
            pq[s] = sq
            pr[s] = cu
            pc[s] = count
            ref = ref if ka > 0.0 else c
            e = c - ref
            size = ka + count
            s1 = sa + total + count * e
            s2 = qa + sq + e * (2.0 * total + count * e)
            s3 = ua + cu + e * (3.0 * sq + e * (3.0 * total + count * e))
            mean = s1 / size
            m2 = s2 / size - mean * mean
            m3 = s3 / size - mean * (3.0 * (s2 / size) - 2.0 * mean * mean)
            # A flat window must be NaN and not rounding noise over rounding noise.
            m2 = m2 if m2 > 1e-14 * (s2 / size) else 0.0
            r = m3 / (m2 * np.sqrt(m2)) * np.sqrt(size * (size - 1.0)) / (size - 2.0)
            o[s] = r if size >= need and r - r == 0.0 else np.nan
        j += 1
        if j == n:
            j = 0
            for s in range(symbols):
                c1[s] = 0.0
                ps[s] = 0.0
                pq[s] = 0.0
                pr[s] = 0.0
                pc[s] = 0.0
            for i in range(n - 1, -1, -1):
                b, a, q, u, k = ws[8 + i], ws[sums + i], ws[squares + i], ws[cubes + i], ws[counts + i]
                for s in range(symbols):
                    v, c, total, sq, cu, count = b[s], c1[s], ps[s], pq[s], pr[s], pc[s]
                    ok = v == v
                    c = c if count > 0.0 else v
                    c = c if c == c else 0.0
                    d = v - c
                    d = d if ok else 0.0
                    total += d
                    sq += d * d
                    cu += d * d * d
                    count += 1.0 if ok else 0.0
                    c1[s] = c
                    ps[s] = total
                    pq[s] = sq
                    pr[s] = cu
                    pc[s] = count
                    a[s] = total
                    q[s] = sq
                    u[s] = cu
                    k[s] = count
            for s in range(symbols):
                ps[s] = 0.0
                pq[s] = 0.0
                pr[s] = 0.0
                pc[s] = 0.0
    pos[0] = j


def _first(mode: int) -> Run:
    def run(args: Sequence[Any], params: Params, need: int, state: State | None, out: Array) -> None:
        assert state is not None
        _first_moment(args[0], int(params[0]), need, mode, state.workspace, state.counters, out)

    return run


def _second(mode: int) -> Run:
    def run(args: Sequence[Any], params: Params, need: int, state: State | None, out: Array) -> None:
        assert state is not None
        _second_moment(args[0], int(params[0]), need, mode, state.workspace, state.counters, out)

    return run


def _skew(args: Sequence[Any], params: Params, need: int, state: State | None, out: Array) -> None:
    assert state is not None
    _third_moment(args[0], int(params[0]), need, state.workspace, state.counters, out)


def _tables(count: int) -> Any:
    def rows(params: Params) -> int:
        n = int(params[0])
        return _PREFIX + n + count * (n + 1)

    return rows


def _memory(params: Params) -> int:
    return int(params[0]) - 1


register(
    Operator("ts_mean", "time_series", (series(), window()), "Mean of the valid bars of the last n.",
             "ts_mean(funding_rate, 24)", "first", memory=_memory, run=_first(0), state_rows=_tables(3), blocked=True,
             layout=_THREE, scale="out", odd=True)
)  # fmt: skip
register(
    Operator("ts_sum", "time_series", (series(), window()), "Sum of the valid bars of the last n.",
             "ts_sum(volume, 24)", "first", memory=_memory, run=_first(1), state_rows=_tables(3), blocked=True,
             layout=_THREE, scale="out", odd=True)
)  # fmt: skip
register(
    Operator("ts_std", "time_series", (series(), window(low=2)),
             "Sample standard deviation (n - 1) of the valid bars of the last n; exactly 0 when flat.",
             "ts_std(returns(close, 1), 24)", "first", memory=_memory, run=_second(0), state_rows=_tables(3),
             blocked=True, layout=_THREE, min_bars=2, scale="out", shift_free=True, even=True)
)  # fmt: skip
register(
    Operator("ts_zscore", "time_series", (series(), window(low=2)),
             "(x - ts_mean) / ts_std over the last n; NaN when flat.", "ts_zscore(close, 24)", "pure",
             memory=_memory, run=_second(1), state_rows=_tables(3), blocked=True,
             layout=_THREE, min_bars=2, scale="free",
             shift_free=True, odd=True)
)  # fmt: skip
register(
    Operator("ts_skew", "time_series", (series(), window(low=3)),
             "Skewness (adjusted Fisher-Pearson) of the last n; NaN when flat.",
             "ts_skew(returns(close, 1), 48)", "pure", memory=_memory, run=_skew, state_rows=_tables(4), blocked=True,
             layout=_FOUR, min_bars=3, scale="free", shift_free=True, odd=True)
)  # fmt: skip
