"""Every tree one operator larger than a root: what a beam over sizes asks, where drawing at random would ask some.

A tree of three operators has roots of one and two that show a part of what it says. A root is joined with every
column under every binary operator, in both orders where they differ, and each of its parts put under every unary one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_engine.dsl.nodes import Call, Column, Node, walk
from midas_engine.dsl.registry import Kind, Operator
from midas_engine.search.variation import replaced

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from midas_engine.search.grammar import Grammar

STEPS = (6, 24, 96)
"""Windows a factor of four apart: every other one is within a factor of two of one of them, and is climbed to."""
SYMMETRIC = frozenset({"add", "sub", "mul", "max", "min", "ts_cov", "ts_corr"})
"""Operators whose arguments may change places without a change of what is said, up to its sign."""


def grown(root: Node, grammar: Grammar) -> list[Node]:
    """The root joined with every column, and with each of its parts under every unary operator; joins come first.

    Example:
        >>> import numpy as np
        >>> from midas_engine.dsl.spelling import spelled
        >>> from midas_engine.search.grammar import Grammar
        >>> grammar = Grammar(np.random.default_rng(1), ["a", "b"], False, 168)
        >>> [spelled(n) for n in grown(Column("a"), grammar)][:3]
        ['a + b', 'a - b', 'a * b']
    """
    found: list[Node] = []
    for column in grammar.columns:
        other = Column(column)
        if other == root:
            continue
        for operator in grammar.operators(2):
            pairs = both_orders(operator, (root, other))
            found += [Call(operator.name, pair, p) for p in literals(operator, grammar) for pair in pairs]
    for part in walk(root):
        for operator in grammar.operators(1):
            found += [replaced(root, part, Call(operator.name, (part,), p)) for p in literals(operator, grammar)]
    return found


def both_orders(operator: Operator, args: tuple[Node, ...]) -> list[tuple[Node, ...]]:
    """The arguments, and turned round where that says something else."""
    return [args] if len(args) < 2 or operator.name in SYMMETRIC else [args, args[::-1]]


def literals(operator: Operator, grammar: Grammar, steps: Sequence[int] = STEPS) -> Iterator[tuple[int | float, ...]]:
    """Its parameters at each of the steps that the data allows; what is no window stays as it comes."""
    drawn = grammar.literals(operator)
    places = [i for i, p in enumerate(operator.literals) if p.kind is Kind.WINDOW]
    if len(places) != 1:
        yield drawn
        return
    (place,) = places
    low, longest = int(operator.literals[place].low), grammar.windows[-1]
    for window in dict.fromkeys(min(max(step, low), longest) for step in steps):
        yield (*drawn[:place], window, *drawn[place + 1 :])
