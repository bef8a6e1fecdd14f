"""Two operators: one with a kernel of its own, one that is a template over others."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from midas_engine.dsl.registry import Array, Operator, Params, State, series, window


def _softsign(args: Sequence[Any], params: Params, need: int, state: State | None, out: Array) -> None:
    x = args[0]
    np.divide(x, 1.0 + np.abs(x), out=out)


OPERATORS = (
    Operator(
        "softsign",
        "arithmetic",
        (series(),),
        "x / (1 + |x|): the sign, but smooth around zero.",
        "softsign(ts_zscore(close, 24))",
        "pure",
        run=_softsign,
        odd=True,
    ),
    Operator(
        "ts_range",
        "time_series",
        (series(), window()),
        "Largest less smallest value of the last n.",
        "ts_range(close, 24) / close",
        "first",
        memory=lambda params: int(params[0]) - 1,
        expand="ts_max(x, n) - ts_min(x, n)",
        scale="out",
        shift_free=True,
        even=True,
    ),
)
