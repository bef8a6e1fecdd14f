"""Rolling extrema by block prefixes and suffixes: the same few operations whatever the window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.dsl.jit import kernel
from midas_engine.dsl.registry import Array, Layout, Operator, Params, Run, State, register, series, window

if TYPE_CHECKING:
    from collections.abc import Sequence


@kernel("xiifwpw")
def _extreme(x: Any, n: int, need: int, sign: float, ws: Any, pos: Any, out: Any) -> None:
    rows, symbols = x.shape
    pm, pc = ws[0], ws[1]
    sm, sc = 2 + n, 2 + 2 * n + 1
    low = -np.inf
    if pos[1] == 0:
        pos[1] = 1
        for i in range(n + 1):
            for s in range(symbols):
                ws[sm + i, s] = low
        for s in range(symbols):
            pm[s] = low
    j = pos[0]
    for t in range(rows):
        xr, b, o, a, k = x[t], ws[2 + j], out[t], ws[sm + j + 1], ws[sc + j + 1]
        for s in range(symbols):
            v, top, count, other, ka = xr[s] * sign, pm[s], pc[s], a[s], k[s]
            b[s] = v
            top = v if v > top else top
            count += 1.0 if v == v else 0.0
            pm[s] = top
            pc[s] = count
            r = top if top > other else other
            o[s] = r * sign if count + ka >= need else np.nan
        j += 1
        if j == n:
            j = 0
            for s in range(symbols):
                pm[s] = low
                pc[s] = 0.0
            for i in range(n - 1, -1, -1):
                b, a, k = ws[2 + i], ws[sm + i], ws[sc + i]
                for s in range(symbols):
                    v, top, count = b[s], pm[s], pc[s]
                    top = v if v > top else top
                    count += 1.0 if v == v else 0.0
                    pm[s] = top
                    pc[s] = count
                    a[s] = top
                    k[s] = count
            for s in range(symbols):
                pm[s] = low
                pc[s] = 0.0
    pos[0] = j


@kernel("xiifwpw")
def _arg_extreme(x: Any, n: int, need: int, sign: float, ws: Any, pos: Any, out: Any) -> None:
    rows, symbols = x.shape
    pm, pi, pc = ws[0], ws[1], ws[2]
    sm, si, sc = 3 + n, 3 + 2 * n + 1, 3 + 3 * n + 2
    low = -np.inf
    if pos[1] == 0:
        pos[1] = 1
        for i in range(n + 1):
            for s in range(symbols):
                ws[sm + i, s] = low
        for s in range(symbols):
            pm[s] = low
    j = pos[0]
    for t in range(rows):
        xr, b, o, a, g, k = x[t], ws[3 + j], out[t], ws[sm + j + 1], ws[si + j + 1], ws[sc + j + 1]
        here = float(j)
        for s in range(symbols):
            v, top, where, count = xr[s] * sign, pm[s], pi[s], pc[s]
            other, place, ka = a[s], g[s], k[s]
            b[s] = v
            # Values nearer than 2^-40 are rounding apart, and tie.
            take = v >= top - abs(v) * 2.0**-40
            top = v if v > top else top
            where = here if take else where
            count += 1.0 if v == v else 0.0
            pm[s] = top
            pi[s] = where
            pc[s] = count
            age = here - where if top >= other - abs(other) * 2.0**-40 else here + n - place
            o[s] = age if count + ka >= need else np.nan
        j += 1
        if j == n:
            j = 0
            for s in range(symbols):
                pm[s] = low
                pi[s] = 0.0
                pc[s] = 0.0
            for i in range(n - 1, -1, -1):
                b, a, g, k = ws[3 + i], ws[sm + i], ws[si + i], ws[sc + i]
                here = float(i)
                for s in range(symbols):
                    v, top, where, count = b[s], pm[s], pi[s], pc[s]
                    take = v > top + abs(v) * 2.0**-40
                    top = v if v > top else top
                    where = here if take else where
                    count += 1.0 if v == v else 0.0
                    pm[s] = top
                    pi[s] = where
                    pc[s] = count
                    a[s] = top
                    g[s] = where
                    k[s] = count
            for s in range(symbols):
                pm[s] = low
                pi[s] = 0.0
                pc[s] = 0.0
    pos[0] = j


def _value(sign: float) -> Run:
    def run(args: Sequence[Any], params: Params, need: int, state: State | None, out: Array) -> None:
        assert state is not None
        _extreme(args[0], int(params[0]), need, sign, state.workspace, state.counters, out)

    return run


def _age(sign: float) -> Run:
    def run(args: Sequence[Any], params: Params, need: int, state: State | None, out: Array) -> None:
        assert state is not None
        _arg_extreme(args[0], int(params[0]), need, sign, state.workspace, state.counters, out)

    return run


def _rows(params: Params) -> int:
    n = int(params[0])
    return 2 + n + 2 * (n + 1)


def _arg_rows(params: Params) -> int:
    n = int(params[0])
    return 3 + n + 3 * (n + 1)


def _value_layout(sign: float) -> Layout:
    return Layout(2, (-np.inf, 0.0), sign=sign)


def _age_layout(sign: float) -> Layout:
    return Layout(3, (-np.inf, 0.0, 0.0), sign=sign)


def _memory(params: Params) -> int:
    return int(params[0]) - 1


_ARGS = (series(), window())

register(
    Operator("ts_max", "time_series", _ARGS, "Highest valid value of the last n bars.", "ts_max(high, 24)", "first",
             memory=_memory, run=_value(1.0), state_rows=_rows, blocked=True, layout=_value_layout(1.0), scale="out")
)  # fmt: skip
register(
    Operator("ts_min", "time_series", _ARGS, "Lowest valid value of the last n bars.", "ts_min(low, 24)", "first",
             memory=_memory, run=_value(-1.0), state_rows=_rows, blocked=True, layout=_value_layout(-1.0), scale="out")
)  # fmt: skip
register(
    Operator("ts_argmax", "time_series", _ARGS, "Bars since the highest of the last n, 0 now; the latest within 2^-40.",
             "ts_argmax(high, 24)", "bars", memory=_memory, run=_age(1.0), state_rows=_arg_rows, blocked=True,
             layout=_age_layout(1.0),
             scale="free", shift_free=True)
)  # fmt: skip
register(
    Operator("ts_argmin", "time_series", _ARGS, "Bars since the lowest of the last n, 0 now; the latest within 2^-40.",
             "ts_argmin(low, 24)", "bars", memory=_memory, run=_age(-1.0), state_rows=_arg_rows, blocked=True,
             layout=_age_layout(-1.0),
             scale="free", shift_free=True)
)  # fmt: skip
