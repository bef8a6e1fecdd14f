"""Between which numbers an expression lies, as far as its text says: ranks in 0 to 1, signs in -1 to 1."""

from __future__ import annotations

import math

from midas_engine.dsl.nodes import Call, Column, Node, Number

Bounds = tuple[float, float]

_ANY: Bounds = (-math.inf, math.inf)
_UNIT = ("cs_rank", "cs_group_rank", "ts_rank", "ts_rsquare", "and", "or", "not", "gt", "ge", "lt", "le", "eq", "ne")
_SIGNED = ("sign", "ts_corr")
_INSIDE = ("delay", "ts_mean", "ts_max", "ts_min", "ts_median", "ts_quantile", "ts_decay_linear", "ema")
"""Operators whose value lies between the least and the largest of their first argument."""


def bounds(node: Node) -> Bounds:
    """The least and the largest value that a text may have; infinite where it does not say.

    Example:
        >>> from midas_engine.dsl import parse
        >>> bounds(parse("1 + 0.1 * cs_rank(returns)").ast)
        (1.0, 1.1)
    """
    if isinstance(node, Number):
        return node.value, node.value
    if isinstance(node, Column):
        return _ANY
    if node.op in _UNIT:
        return 0.0, 1.0
    if node.op in _SIGNED:
        return -1.0, 1.0
    if node.op in _INSIDE:
        return bounds(node.args[0])
    return _combined(node)


def _combined(node: Call) -> Bounds:
    if node.op == "neg":
        low, high = bounds(node.args[0])
        return -high, -low
    if node.op == "abs":
        low, high = bounds(node.args[0])
        return 0.0 if low <= 0.0 <= high else min(abs(low), abs(high)), max(abs(low), abs(high))
    if node.op not in ("add", "sub", "mul", "max", "min"):
        return _ANY
    (a, b), (c, d) = (bounds(x) for x in node.args[:2])
    if node.op == "add":
        return a + c, b + d
    if node.op == "sub":
        return a - d, b - c
    if node.op == "max":
        return max(a, c), max(b, d)
    if node.op == "min":
        return min(a, c), min(b, d)
    corners = [x * y for x in (a, b) for y in (c, d)]
    return _ANY if any(math.isnan(x) for x in corners) else (min(corners), max(corners))


def steady(node: Node, most: float = 2.0) -> bool:
    """Whether a text keeps one sign and varies by no more than `most` times: as a factor it leaves a size a size."""
    low, high = sorted(abs(x) for x in bounds(node))
    signed = math.copysign(1.0, bounds(node)[0]) == math.copysign(1.0, bounds(node)[1])
    return signed and low > 0.0 and high <= most * low
