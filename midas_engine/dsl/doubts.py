"""What is allowed and doubtful in an expression: mixed units, and windows too short to say what they seem to."""

from __future__ import annotations

from typing import Any

from midas_engine.dsl.expression import as_expression
from midas_engine.dsl.labels import is_label
from midas_engine.dsl.nodes import Call, Column, walk
from midas_engine.dsl.units import COLUMN_UNITS, UnitsWarning, units_warnings

# Two values always lie on a line and always at the same distance from their mean.
_ONLY_SIGN = {
    "ts_corr": "+1 or -1, the sign that both changes have in common",
    "ts_zscore": "+0.71 or -0.71, the sign of the last change",
}


GROUPED = ("cs_group_mean", "cs_group_demean", "cs_group_rank")


def _second(node: Call) -> list[UnitsWarning]:
    """A column taken for a regressor that may be a label, or for a label that is a measure."""
    given = node.args[1]
    if not isinstance(given, Column) or is_label(given.name):
        return []
    name, measured = given.name, given.name in COLUMN_UNITS
    if node.op == "cs_neutralize" and not measured:
        message = f"{name} is taken for a measure to regress on; if it is a label write cs_group_demean(x, {name})"
    elif node.op != "cs_neutralize" and measured:
        message = f"{name} is a measure, not a label: a group is the symbols where it is equal to the last bit"
    else:
        return []
    return [UnitsWarning(message, given.position, max(1, given.end - given.position), "groups")]


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
        elif isinstance(node, Call) and node.op in ("cs_neutralize", *GROUPED):
            found += _second(node)
    return sorted(found, key=lambda w: w.position)
