"""Arithmetic on values of one bar. A result that is not finite is NaN: x/0, log of x <= 0, overflow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.dsl.operators.numeric import finite
from midas_engine.dsl.registry import Array, Operator, Params, Run, State, number, register, series

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def _ufunc(function: Callable[..., Any]) -> Run:
    def run(args: Sequence[Any], params: Params, need: int, state: State | None, out: Array) -> None:
        finite(function, tuple(args), out)

    return run


def _clip(args: Sequence[Any], params: Params, need: int, state: State | None, out: Array) -> None:
    np.clip(args[0], params[0], params[1], out=out)


_XY = (series("x"), series("y"))
_X = (series("x"),)

register(
    Operator("add", "arithmetic", _XY, "Sum.", "add(high, low)", "same", run=_ufunc(np.add), scalars=True,
             infix="+", commutative=True)
)  # fmt: skip
register(
    Operator("sub", "arithmetic", _XY, "Difference.", "sub(high, low)", "same", run=_ufunc(np.subtract),
             scalars=True, infix="-")
)  # fmt: skip
register(
    Operator("mul", "arithmetic", _XY, "Product.", "mul(close, volume)", "product", run=_ufunc(np.multiply),
             scalars=True, infix="*", commutative=True, scale="out", odd=True, symmetric_pair=True)
)  # fmt: skip
register(
    Operator("div", "arithmetic", _XY, "Quotient; NaN where y is 0.", "div(high, low)", "quotient",
             run=_ufunc(np.divide), scalars=True, infix="/", scale="out", odd=True)
)  # fmt: skip
register(
    Operator("power", "arithmetic", _XY, "x to the power y; NaN where it is not a finite real number.",
             "power(volume, 0.5)", "power", run=_ufunc(np.power), scalars=True, infix="**")
)  # fmt: skip
register(
    Operator("neg", "arithmetic", _X, "Sign changed; the unary minus.", "neg(returns(close, 1))", "first",
             run=_ufunc(np.negative), scale="out", odd=True)
)  # fmt: skip
register(
    Operator("abs", "arithmetic", _X, "Absolute value.", "abs(returns(close, 1))", "first",
             run=_ufunc(np.absolute), scale="out", even=True)
)  # fmt: skip
register(
    Operator("sign", "arithmetic", _X, "-1, 0 or 1.", "sign(delta(close, 4))", "pure", run=_ufunc(np.sign),
             scale="free", odd=True)
)  # fmt: skip
register(
    Operator("log", "arithmetic", _X, "Natural logarithm; NaN where x <= 0.", "log(volume)", "pure",
             run=_ufunc(np.log))
)  # fmt: skip
register(
    Operator("max", "arithmetic", _XY, "The larger; NaN where either is.", "max(delta(close, 1), 0)", "same",
             run=_ufunc(np.maximum), scalars=True, commutative=True)
)  # fmt: skip
register(
    Operator("min", "arithmetic", _XY, "The smaller; NaN where either is.", "min(delta(close, 1), 0)", "same",
             run=_ufunc(np.minimum), scalars=True, commutative=True)
)  # fmt: skip
register(
    Operator("clip", "arithmetic", (series("x"), number("low"), number("high")),
             "x held between two numbers.", "clip(ts_zscore(close, 24), -3, 3)", "first", run=_clip)
)  # fmt: skip
