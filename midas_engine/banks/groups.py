"""Groups where the data has none: without the label column an expression names, the market is one group.

`cs_group_demean(x, sector)` then is `cs_demean(x)`, `cs_group_rank(x, sector)` is `cs_rank(x)`, and
`cs_group_mean(x, sector)` is `x - cs_demean(x)`. Published alphas neutralise by industry; a market of coins without
such labels still has the mean of all taken out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.dsl.expression import parse
from midas_engine.dsl.labels import is_label
from midas_engine.dsl.nodes import Call, Column, Node
from midas_engine.dsl.spelling import spelled

if TYPE_CHECKING:
    from collections.abc import Collection

    from midas_engine.settings import DslLimits

_WHOLE = {"cs_group_demean": "cs_demean", "cs_group_rank": "cs_rank"}


def as_one_group(
    expression: str, columns: Collection[str], *, limits: DslLimits | None = None
) -> tuple[str, tuple[str, ...]]:
    """The expression with groups that the data cannot tell apart taken as one, and the labels that are missing.

    Args:
        expression: Checked already.
        columns: What the data has.
        limits: Size limits; None takes the defaults.

    Example:
        >>> as_one_group("cs_group_demean(vwap, sector) * volume", ["vwap", "volume"])
        ('cs_demean(vwap) * volume', ('sector',))
        >>> as_one_group("cs_group_demean(vwap, sector)", ["vwap", "sector"])
        ('cs_group_demean(vwap, sector)', ())
    """
    missing: set[str] = set()

    def visit(node: Node) -> Node:
        if not isinstance(node, Call):
            return node
        args = tuple(visit(a) for a in node.args)
        if node.op.startswith("cs_group_") and isinstance(args[1], Column):
            label = args[1].name
            if is_label(label) and label not in columns:
                missing.add(label)
                if node.op in _WHOLE:
                    return Call(_WHOLE[node.op], args[:1])
                return Call("sub", (args[0], Call("cs_demean", args[:1])))
        return Call(node.op, args, node.params)

    tree = visit(parse(expression, limits=limits).ast)
    return (spelled(tree) if missing else expression), tuple(sorted(missing))
