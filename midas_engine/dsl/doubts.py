"""What is allowed and doubtful in an expression: mixed units, and windows too short to say what they seem to."""

from __future__ import annotations

from typing import Any

from midas_engine.dsl.expression import as_expression
from midas_engine.dsl.nodes import Call, walk
from midas_engine.dsl.units import UnitsWarning, units_warnings

# Two values always lie on a line and always at the same distance from their mean.
_ONLY_SIGN = {
    "ts_corr": "+1 or -1, the sign that both changes have in common",
    "ts_zscore": "+0.71 or -0.71, the sign of the last change",
}


def doubts(expr: Any) -> list[UnitsWarning]:
    """Every warning on an expression (text or `Expression`), in the order of the text.

    Example:
        >>> [w.message for w in doubts("ts_corr(close, volume, 2)")]
        ['ts_corr over 2 bars is only +1 or -1, the sign that both changes have in common: take 3 bars or more']
    """
    expression = as_expression(expr)
    found = units_warnings(expression)
    for node in walk(expression.ast):
        if isinstance(node, Call) and node.op in _ONLY_SIGN and node.params[0] < 3:
            message = f"{node.op} over 2 bars is only {_ONLY_SIGN[node.op]}: take 3 bars or more"
            found.append(UnitsWarning(message, node.position, max(1, node.end - node.position), "window"))
    return sorted(found, key=lambda w: w.position)
