"""Comparisons and conditions. A condition is 1 or 0, true means greater than 0, NaN in gives NaN out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.dsl.jit import kernel
from midas_engine.dsl.registry import Array, Operator, Params, Run, State, register, series

if TYPE_CHECKING:
    from collections.abc import Sequence

_GT, _GE, _LT, _LE, _EQ, _NE, _AND, _OR = range(8)


@kernel("ixxw")
def _compare(op: int, x: Any, y: Any, out: Any) -> None:
    a, b, o = x.reshape(x.size), y.reshape(y.size), out.reshape(out.size)
    nan = np.nan
    if op == 0:
        for i in range(a.size):
            u, v = a[i], b[i]
            o[i] = nan if (u != u or v != v) else (1.0 if u > v else 0.0)
    elif op == 1:
        for i in range(a.size):
            u, v = a[i], b[i]
            o[i] = nan if (u != u or v != v) else (1.0 if u >= v else 0.0)
    elif op == 4:
        for i in range(a.size):
            u, v = a[i], b[i]
            o[i] = nan if (u != u or v != v) else (1.0 if u == v else 0.0)
    elif op == 5:
        for i in range(a.size):
            u, v = a[i], b[i]
            o[i] = nan if (u != u or v != v) else (0.0 if u == v else 1.0)
    elif op == 6:
        for i in range(a.size):
            u, v = a[i], b[i]
            p, q = (1.0 if u > 0.0 else 0.0), (1.0 if v > 0.0 else 0.0)
            o[i] = nan if (u != u or v != v) else p * q
    else:
        for i in range(a.size):
            u, v = a[i], b[i]
            p, q = (1.0 if u > 0.0 else 0.0), (1.0 if v > 0.0 else 0.0)
            o[i] = nan if (u != u or v != v) else (p if p > q else q)


@kernel("xxxw")
def _select(c: Any, x: Any, y: Any, out: Any) -> None:
    k, a, b, o = c.reshape(c.size), x.reshape(x.size), y.reshape(y.size), out.reshape(out.size)
    for i in range(k.size):
        v, p, q = k[i], a[i], b[i]
        r = p if v > 0.0 else q
        o[i] = r if v == v else np.nan


@kernel("xw")
def _not_kernel(x: Any, out: Any) -> None:
    a, o = x.reshape(x.size), out.reshape(out.size)
    for i in range(a.size):
        v = a[i]
        r = 0.0 if v > 0.0 else 1.0
        o[i] = r if v == v else np.nan


def _comparison(op: int, swap: bool = False) -> Run:
    def run(args: Sequence[Any], params: Params, need: int, state: State | None, out: Array) -> None:
        x, y = (args[1], args[0]) if swap else (args[0], args[1])
        _compare(op, x, y, out)

    return run


def _if_else(args: Sequence[Any], params: Params, need: int, state: State | None, out: Array) -> None:
    _select(args[0], args[1], args[2], out)


def _not(args: Sequence[Any], params: Params, need: int, state: State | None, out: Array) -> None:
    _not_kernel(args[0], out)


_XY = (series("x"), series("y"))

register(Operator("gt", "logic", _XY, "1 where x > y, else 0.", "gt(close, open)", "compare",
                  run=_comparison(_GT), infix=">"))  # fmt: skip
register(Operator("ge", "logic", _XY, "1 where x >= y, else 0.", "ge(close, open)", "compare",
                  run=_comparison(_GE), infix=">="))  # fmt: skip
register(Operator("lt", "logic", _XY, "1 where x < y, else 0.", "lt(close, open)", "compare",
                  run=_comparison(_GT, swap=True), infix="<"))  # fmt: skip
register(Operator("le", "logic", _XY, "1 where x <= y, else 0.", "le(close, open)", "compare",
                  run=_comparison(_GE, swap=True), infix="<="))  # fmt: skip
register(Operator("eq", "logic", _XY, "1 where x equals y, else 0.", "eq(close, open)", "compare",
                  run=_comparison(_EQ), infix="==", commutative=True))  # fmt: skip
register(Operator("ne", "logic", _XY, "1 where x differs from y, else 0.", "ne(close, open)", "compare",
                  run=_comparison(_NE), infix="!=", commutative=True))  # fmt: skip
register(Operator("and", "logic", _XY, "1 where both are > 0, else 0.", "close > open and volume > 0", "pure",
                  run=_comparison(_AND), infix="and", commutative=True, scale="free", symmetric_pair=True))  # fmt: skip
register(Operator("or", "logic", _XY, "1 where either is > 0, else 0.", "close > open or volume > 0", "pure",
                  run=_comparison(_OR), infix="or", commutative=True, scale="free", symmetric_pair=True))  # fmt: skip
register(Operator("not", "logic", (series("x"),), "1 where x <= 0, else 0.", "not close > open", "pure",
                  run=_not, infix="not", scale="free"))  # fmt: skip
register(Operator("if_else", "logic", (series("cond"), series("x"), series("y")),
                  "x where cond > 0, y elsewhere; NaN where cond is NaN.",
                  "if_else(gt(close, open), volume, -volume)", "branch", run=_if_else, scale="free"))  # fmt: skip
