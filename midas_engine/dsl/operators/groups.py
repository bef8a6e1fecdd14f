"""Within groups: the symbols of one bar that carry the same label, such as a sector or a cluster.

A label is a number that only says same or other; it may change from bar to bar. A symbol without a label has no
value, and a group needs 2 valid values: alone in its group a symbol is compared with nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.dsl.jit import kernel
from midas_engine.dsl.registry import Array, Operator, Params, Run, State, register, series

if TYPE_CHECKING:
    from collections.abc import Sequence

_MEAN, _DEMEAN = range(2)


@kernel("ixxw")
def _group_centre(mode: int, x: Any, g: Any, out: Any) -> None:
    rows, symbols = x.shape
    for t in range(rows):
        xr, gr, o = x[t], g[t], out[t]
        for s in range(symbols):
            v, label = xr[s], gr[s]
            size, total, rest = 0.0, 0.0, 0.0
            for i in range(symbols):
                u = xr[i]
                ok = gr[i] == label and u == u
                size += 1.0 if ok else 0.0
                total += u if ok else 0.0
            mean = total / size
            # The second sum removes the rounding of the first, so that equal values centre to exactly 0.
            for i in range(symbols):
                u = xr[i] - mean
                ok = gr[i] == label and u == u
                rest += u if ok else 0.0
            mean = mean + rest / size
            r = mean if mode == 0 else v - mean
            o[s] = r if v == v and size >= 2.0 and r - r == 0.0 else np.nan


@kernel("xxw")
def _group_rank(x: Any, g: Any, out: Any) -> None:
    rows, symbols = x.shape
    for t in range(rows):
        xr, gr, o = x[t], g[t], out[t]
        for s in range(symbols):
            v, label = xr[s], gr[s]
            top = 0.0
            for i in range(symbols):
                u = abs(xr[i]) if gr[i] == label else 0.0
                top = u if u > top else top
            # Values nearer than 2^-40 of the group's largest are rounding apart, and tie.
            slack = top * 2.0**-40
            size, less, upto = 0, 0, 0
            for i in range(symbols):
                u = xr[i]
                ok = gr[i] == label and u == u
                size += 1 if ok else 0
                less += 1 if ok and u < v - slack else 0
                upto += 1 if ok and u <= v + slack else 0
            r = 0.5 * (less + upto + 1.0) / size
            o[s] = r if v == v and size >= 2 else np.nan


def _centred(mode: int) -> Run:
    def run(args: Sequence[Any], params: Params, need: int, state: State | None, out: Array) -> None:
        _group_centre(mode, args[0], args[1], out)

    return run


def _ranked(args: Sequence[Any], params: Params, need: int, state: State | None, out: Array) -> None:
    _group_rank(args[0], args[1], out)


_XG = (series("x"), series("g"))

register(
    Operator("cs_group_mean", "cross_section", _XG,
             "Mean over the symbols of this bar with the same label g; needs 2 valid in the group.",
             "returns(close, 1) - cs_group_mean(returns(close, 1), volume > delay(volume, 1))", "first",
             run=_centred(_MEAN), scale="out", odd=True)
)  # fmt: skip
register(
    Operator("cs_group_demean", "cross_section", _XG,
             "x minus the mean of its group, the symbols of this bar with the same label g: x neutralized by group; "
             "needs 2 valid in the group.",
             "cs_group_demean(returns(close, 24), volume > delay(volume, 24))", "first", run=_centred(_DEMEAN),
             scale="out", shift_free=True, odd=True)
)  # fmt: skip
register(
    Operator("cs_group_rank", "cross_section", _XG,
             "Rank among the symbols of this bar with the same label g, in (0, 1], ties averaged as in cs_rank; "
             "needs 2 valid in the group.",
             "cs_group_rank(returns(close, 24), volume > delay(volume, 24))", "pure", run=_ranked, scale="free",
             shift_free=True, symmetric_pair=True)
)  # fmt: skip
