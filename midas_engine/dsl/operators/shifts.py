"""Looking back by whole bars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.dsl.jit import kernel
from midas_engine.dsl.operators.numeric import finite
from midas_engine.dsl.registry import Array, Operator, Params, State, register, series, window

if TYPE_CHECKING:
    from collections.abc import Sequence


@kernel("xiwpw")
def _ring(x: Any, n: int, ws: Any, pos: Any, out: Any) -> None:
    rows, symbols = x.shape
    if pos[1] == 0:
        pos[1] = 1
        for i in range(n):
            for s in range(symbols):
                ws[i, s] = np.nan
    j = pos[0]
    for t in range(rows):
        xr, b, o = x[t], ws[j], out[t]
        for s in range(symbols):
            old = b[s]
            b[s] = xr[s]
            o[s] = old
        j += 1
        if j == n:
            j = 0
    pos[0] = j


def _delay(args: Sequence[Any], params: Params, need: int, state: State | None, out: Array) -> None:
    assert state is not None
    _ring(args[0], int(params[0]), state.workspace, state.counters, out)


def _delay_batch(args: Sequence[Any], params: Params, need: int, state: State | None, out: Array) -> None:
    n = int(params[0])
    out[:n] = np.nan
    out[n:] = args[0][:-n]


def _delta(args: Sequence[Any], params: Params, need: int, state: State | None, out: Array) -> None:
    _delay(args, params, need, state, out)
    finite(np.subtract, (args[0], out), out)


def _delta_batch(args: Sequence[Any], params: Params, need: int, state: State | None, out: Array) -> None:
    n = int(params[0])
    out[:n] = np.nan
    finite(np.subtract, (args[0][n:], args[0][:-n]), out[n:])


def _span(params: Params) -> int:
    return int(params[0])


register(
    Operator("delay", "time_series", (series(), window()), "The value n bars ago.", "delay(close, 24)", "first",
             memory=_span, run=_delay, batch=_delay_batch, state_rows=_span, min_bars=0, scale="out", odd=True)
)  # fmt: skip
register(
    Operator("delta", "time_series", (series(), window()), "Change over n bars.", "delta(close, 24)", "first",
             memory=_span, run=_delta, batch=_delta_batch, state_rows=_span, min_bars=0, scale="out", odd=True,
             shift_free=True)
)  # fmt: skip
register(
    Operator("returns", "time_series", (series(), window(default=1)), "Relative change over n bars.",
             "returns(close, 24)", "pure", memory=_span, expand="x / delay(x, n) - 1", scale="free",
             even=True)
)  # fmt: skip
