"""Cross-section: one bar, all symbols that have a value. Undefined (an error) on one symbol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.dsl.jit import Kernel, kernel
from midas_engine.dsl.registry import Array, Operator, Params, Run, State, register, series

if TYPE_CHECKING:
    from collections.abc import Sequence


@kernel("xw")
def _rank(x: Any, out: Any) -> None:
    rows, symbols = x.shape
    # The bits of positive numbers order as the numbers do, and their maximum runs several to an instruction.
    bits, room = x.view(np.int64), out.view(np.int64)
    for t in range(rows):
        xr, xb, o = x[t], bits[t], out[t]
        size, top = 0, 0
        for s in range(symbols):
            v = xb[s] & 0x7FFFFFFFFFFFFFFF
            ok = v <= 0x7FF0000000000000
            size += 1 if ok else 0
            v = v if ok else 0
            top = v if v > top else top
        room[t, 0] = top
        # Values nearer than 2^-40 of the row's largest are rounding apart, and tie.
        slack = o[0] * 2.0**-40
        total = 0
        for s in range(symbols):
            v = xr[s] - slack
            less = 0
            for i in range(symbols):
                less += 1 if xr[i] < v else 0
            total += less
            o[s] = less
        # Without ties the counts are 0, 1, ..., size - 1; only a row with ties pays for a second count.
        tied = total != size * (size - 1) // 2
        for s in range(symbols):
            v = xr[s]
            equal = 1.0
            if tied:
                edge = v + slack
                upto = 0
                for i in range(symbols):
                    upto += 1 if xr[i] <= edge else 0
                equal = upto - o[s]
            r = (o[s] + 0.5 * (equal + 1.0)) / size
            o[s] = r if v == v and size >= 2 else np.nan


@kernel("ixw")
def _centre(mode: int, x: Any, out: Any) -> None:
    rows, symbols = x.shape
    for t in range(rows):
        xr, o = x[t], out[t]
        size, total = 0.0, 0.0
        for s in range(symbols):
            v = xr[s]
            ok = v == v
            size += 1.0 if ok else 0.0
            total += v if ok else 0.0
        mean = total / size
        # The second sum removes the rounding of the first, so that equal values centre to exactly 0.
        rest, squares = 0.0, 0.0
        for s in range(symbols):
            d = xr[s] - mean
            d = d if d == d else 0.0
            rest += d
        mean = mean + rest / size
        if mode == 1:
            for s in range(symbols):
                d = xr[s] - mean
                d = d if d == d else 0.0
                squares += d * d
        std = np.sqrt(squares / (size - 1.0))
        # Equal values leave only rounding of the mean.
        flat = std <= 1e-14 * abs(mean)
        for s in range(symbols):
            d = xr[s] - mean
            if mode == 1:
                d = np.nan if flat else d / std
            o[s] = d if size >= 2.0 and d - d == 0.0 else np.nan


@kernel("xw")
def _scale(x: Any, out: Any) -> None:
    rows, symbols = x.shape
    for t in range(rows):
        xr, o = x[t], out[t]
        size, gross = 0.0, 0.0
        for s in range(symbols):
            v = abs(xr[s])
            ok = v == v
            size += 1.0 if ok else 0.0
            gross += v if ok else 0.0
        for s in range(symbols):
            r = xr[s] / gross
            o[s] = r if size >= 2.0 and r - r == 0.0 else np.nan


@kernel("xxw")
def _residual(x: Any, g: Any, out: Any) -> None:
    rows, symbols = x.shape
    for t in range(rows):
        xr, gr, o = x[t], g[t], out[t]
        size, sx, sg = 0.0, 0.0, 0.0
        for s in range(symbols):
            v, w = xr[s], gr[s]
            ok = v + w == v + w
            size += 1.0 if ok else 0.0
            sx += v if ok else 0.0
            sg += w if ok else 0.0
        mx, mg = sx / size, sg / size
        sgg, sxg = 0.0, 0.0
        for s in range(symbols):
            d, e = xr[s] - mx, gr[s] - mg
            ok = d + e == d + e
            sgg += e * e if ok else 0.0
            sxg += d * e if ok else 0.0
        beta = sxg / sgg if sgg > 1e-28 * size * mg * mg else 0.0
        for s in range(symbols):
            d, e = xr[s] - mx, gr[s] - mg
            r = d - beta * e
            o[s] = r if size >= 3.0 and r - r == 0.0 else np.nan


def _plain(function: Kernel) -> Run:
    def run(args: Sequence[Any], params: Params, need: int, state: State | None, out: Array) -> None:
        function(*args, out)

    return run


def _centred(mode: int) -> Run:
    def run(args: Sequence[Any], params: Params, need: int, state: State | None, out: Array) -> None:
        _centre(mode, args[0], out)

    return run


register(
    Operator("cs_rank", "cross_section", (series(),),
             "Rank among the symbols of this bar, in (0, 1], ties averaged; values within 2^-40 of the largest tie; "
             "needs 2 valid.",
             "cs_rank(returns(close, 24))", "pure", run=_plain(_rank), scale="free", shift_free=True)
)  # fmt: skip
register(
    Operator("cs_zscore", "cross_section", (series(),),
             "(x - mean) / sample standard deviation over the symbols of this bar; NaN when all are equal.",
             "cs_zscore(funding_rate)", "pure", run=_centred(1), scale="free", shift_free=True, odd=True)
)  # fmt: skip
register(
    Operator("cs_demean", "cross_section", (series(),), "x minus the mean over the symbols of this bar.",
             "cs_demean(returns(close, 1))", "first", run=_centred(0), scale="out", shift_free=True, odd=True)
)  # fmt: skip
register(
    Operator("cs_scale", "cross_section", (series(),),
             "x over the sum of |x| over the symbols of this bar, so that their gross is 1; NaN when all are 0; "
             "needs 2 valid.", "cs_scale(cs_demean(returns(close, 24)))", "pure", run=_plain(_scale), scale="free",
             odd=True)
)  # fmt: skip
register(
    Operator("cs_neutralize", "cross_section", (series("x"), series("g")),
             "Residual of x after a regression with intercept on the measure g (no label) over the symbols of this "
             "bar; needs 3 valid pairs; where g is flat it is the demeaned x.",
             "cs_neutralize(returns(close, 24), ts_std(returns(close, 1), 168))", "first", run=_plain(_residual),
             scale="out", shift_free=True, odd=True)
)  # fmt: skip
