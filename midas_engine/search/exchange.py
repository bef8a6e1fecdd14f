"""Every tree one exchange away from a hilltop: a part of what is there often ends in another operator than the whole.

Windows are climbed step by step (`hills`) and operators are put on one by one (`growth`), yet neither leads from
`ts_mean(x, 48)` to `delay(x, 40)`, which says half as much of it. So of what is strong each operator is exchanged for
every other one, each column for every other one, and for its join with every other one.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

from midas_engine.dsl.nodes import Call, Column, Node, walk
from midas_engine.search.growth import both_orders, literals
from midas_engine.search.variation import operators_in, replaced, window_params

if TYPE_CHECKING:
    from collections.abc import Iterator

    from midas_engine.search.grammar import Grammar

FACTORS = (1.0, 0.25, 4.0)
"""Of the window that stood there: operators of one window see different times, a step of two is left to the climb."""
LARGEST = 5
"""Operators of a tree that a column of it is still joined in."""


def exchanged(top: Node, grammar: Grammar) -> list[Node]:
    """The hilltop with one operator, or one column, in turn exchanged for all others; what keeps its windows first.

    Example:
        >>> import numpy as np
        >>> from midas_engine.dsl.expression import parse
        >>> from midas_engine.dsl.spelling import spelled
        >>> from midas_engine.search.grammar import Grammar
        >>> grammar = Grammar(np.random.default_rng(1), ["a", "b"], False, 168)
        >>> texts = [spelled(n) for n in exchanged(parse("ts_mean(a, 48)").ast, grammar)]
        >>> {"delay(a, 48)", "ts_mean(b, 48)", "ts_mean(a * b, 48)", "delay(a, 12)", "a"} <= set(texts)
        True
    """
    found: list[Node] = []
    joins = [o for o in grammar.operators(2) if not o.literals] if operators_in(top) < LARGEST else []
    for part in walk(top):
        if isinstance(part, Column):
            others = [Column(c) for c in grammar.columns if c != part.name]
            found += [replaced(top, part, other) for other in others]
            joined = [Call(o.name, pair) for c in others for o in joins for pair in both_orders(o, (part, c))]
            found += [replaced(top, part, call) for call in joined]
        elif isinstance(part, Call):
            found += [replaced(top, part, arg) for arg in part.args]
            # Every operator once before any comes again at another window.
            turns = zip_longest(*([replaced(top, part, call) for call in same] for same in _instead(part, grammar)))
            found += [node for turn in turns for node in turn if node is not None]
    return found


def _instead(part: Call, grammar: Grammar) -> Iterator[list[Call]]:
    """Of every other operator of its arity the calls that may stand in its place."""
    window = next((int(part.params[place]) for place in window_params(part)), 0)
    steps = [round(window * factor) for factor in FACTORS]
    for operator in grammar.operators(len(part.args)) if len(part.args) <= 2 else ():
        if operator.name != part.op:
            params = list(literals(operator, grammar, steps)) if window else [grammar.literals(operator)]
            orders = both_orders(operator, part.args)
            yield [Call(operator.name, args, p) for p in params for args in orders]
