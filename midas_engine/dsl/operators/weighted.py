"""Rolling means with weights: linear decay and exponential."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.dsl.jit import kernel
from midas_engine.dsl.registry import Array, Layout, Operator, Params, State, register, series, window

if TYPE_CHECKING:
    from collections.abc import Sequence


@kernel("xiiwpw")
def _decay(x: Any, n: int, need: int, ws: Any, pos: Any, out: Any) -> None:
    # Sums of v and p * v (p the place in the block) give the weighted sum of any window: in the prefix
    # a bar weighs n - j + p, in the suffix p - j. The same sums over ones give the weights' total.
    rows, symbols = x.shape
    pa, pb, pc, pd = ws[0], ws[1], ws[2], ws[3]
    m = n + 1
    base = 4 + n
    j = pos[0]
    for t in range(rows):
        xr, b, o = x[t], ws[4 + j], out[t]
        i = base + j + 1
        ta, tb, tc, td = ws[i], ws[i + m], ws[i + 2 * m], ws[i + 3 * m]
        here, ahead = float(j), float(n - j)
        for s in range(symbols):
            v, a, c, count, d = xr[s], pa[s], pb[s], pc[s], pd[s]
            qa, qb, qc, qd = ta[s], tb[s], tc[s], td[s]
            ok = v == v
            b[s] = v
            z = v if ok else 0.0
            one = 1.0 if ok else 0.0
            a += z
            c += here * z
            count += one
            d += here * one
            pa[s] = a
            pb[s] = c
            pc[s] = count
            pd[s] = d
            top = ahead * a + c + (qb - here * qa)
            weight = ahead * count + d + (qd - here * qc)
            r = top / weight
            o[s] = r if count + qc >= need and r - r == 0.0 else np.nan
        j += 1
        if j == n:
            j = 0
            for s in range(symbols):
                pa[s] = 0.0
                pb[s] = 0.0
                pc[s] = 0.0
                pd[s] = 0.0
            for h in range(n - 1, -1, -1):
                i = base + h
                b, ta, tb, tc, td = ws[4 + h], ws[i], ws[i + m], ws[i + 2 * m], ws[i + 3 * m]
                place = float(h)
                for s in range(symbols):
                    v, a, c, count, d = b[s], pa[s], pb[s], pc[s], pd[s]
                    ok = v == v
                    z = v if ok else 0.0
                    one = 1.0 if ok else 0.0
                    a += z
                    c += place * z
                    count += one
                    d += place * one
                    pa[s] = a
                    pb[s] = c
                    pc[s] = count
                    pd[s] = d
                    ta[s] = a
                    tb[s] = c
                    tc[s] = count
                    td[s] = d
            for s in range(symbols):
                pa[s] = 0.0
                pb[s] = 0.0
                pc[s] = 0.0
                pd[s] = 0.0
    pos[0] = j


@kernel("xiifwpw")
def _ema(x: Any, n: int, need: int, keep: float, ws: Any, pos: Any, out: Any) -> None:
    rows, symbols = x.shape
    top, weight, count, gap = ws[0], ws[1], ws[2], ws[3]
    share = 1.0 - keep
    limit, longest = float(n - need), float(n)
    for t in range(rows):
        xr, o = x[t], out[t]
        for s in range(symbols):
            v, a, w, k, g = xr[s], top[s], weight[s], count[s], gap[s]
            ok = v == v
            g = 0.0 if ok else g + 1.0
            old = g >= longest
            # The weighted mean moves towards v by v's share of the weight: no cancellation, and a
            # constant series stays exactly itself.
            w = keep * w
            w = w + share if ok else w
            step = share / w
            step = step if k > 0.0 else 1.0
            moved = a + step * (v - a)
            first = v if ok else 0.0
            moved = moved if k > 0.0 else first
            a = moved if ok else a
            k = k + 1.0 if ok else k
            a = 0.0 if old else a
            w = 0.0 if old else w
            k = 0.0 if old else k
            g = longest if old else g
            top[s] = a
            weight[s] = w
            count[s] = k
            gap[s] = g
            o[s] = a if k >= need and g <= limit and a - a == 0.0 else np.nan


@kernel("xiifwpw")
def _ema_alone(x: Any, n: int, need: int, keep: float, ws: Any, pos: Any, out: Any) -> None:
    # One series: the same arithmetic with the state in registers, since each bar waits for the one before it.
    a, w, k, g = ws[0, 0], ws[1, 0], ws[2, 0], ws[3, 0]
    share = 1.0 - keep
    limit, longest = float(n - need), float(n)
    for t in range(x.shape[0]):
        v = x[t, 0]
        w = keep * w
        if v == v:
            g = 0.0
            w = w + share
            a = a + share / w * (v - a) if k > 0.0 else v
            k = k + 1.0
        else:
            g = g + 1.0
            if g >= longest:
                a, w, k, g = 0.0, 0.0, 0.0, longest
        out[t, 0] = a if k >= need and g <= limit and a - a == 0.0 else np.nan
    ws[0, 0], ws[1, 0], ws[2, 0], ws[3, 0] = a, w, k, g


def _decay_linear(args: Sequence[Any], params: Params, need: int, state: State | None, out: Array) -> None:
    assert state is not None
    _decay(args[0], int(params[0]), need, state.workspace, state.counters, out)


def _exponential(args: Sequence[Any], params: Params, need: int, state: State | None, out: Array) -> None:
    assert state is not None
    n = int(params[0])
    run = _ema_alone if out.shape[1] == 1 else _ema
    run(args[0], n, need, 1.0 - 2.0 / (n + 1.0), state.workspace, state.counters, out)


def _decay_rows(params: Params) -> int:
    n = int(params[0])
    return 4 + n + 4 * (n + 1)


def _ema_rows(params: Params) -> int:
    return 4


def _span(params: Params) -> int:
    return int(params[0]) - 1


def ema_memory(span: int) -> int:
    """Bars until an older bar weighs less than 1e-9 in an exponential mean of this span."""
    return 0 if span <= 1 else math.ceil(math.log(1e-9) / math.log(1.0 - 2.0 / (span + 1.0)))


def _ema_memory(params: Params) -> int:
    return ema_memory(int(params[0]))


register(
    Operator("ts_decay_linear", "time_series", (series(), window()),
             "Weighted mean of the last n; the newest bar weighs n, the oldest 1; valid bars only.",
             "ts_decay_linear(returns(close, 1), 12)", "first", memory=_span, run=_decay_linear,
             state_rows=_decay_rows, blocked=True, layout=Layout(4, (0.0,) * 4), scale="out", odd=True)
)  # fmt: skip
register(
    Operator("ema", "time_series", (series(), window()),
             "Exponential mean of span n, alpha = 2 / (n + 1), weights normalised from the first bar on; carried "
             "over short gaps, restarted after n missing bars.", "ema(close, 12) / close - 1", "first",
             memory=_ema_memory, run=_exponential, state_rows=_ema_rows, recursive=True, scale="out", odd=True)
)  # fmt: skip
