"""Every tree one exchange away from a hilltop: a part of what is there often ends in another operator than the whole.

Windows are climbed step by step (`hills`) and operators are put on one by one (`growth`), yet neither leads from
`ts_mean(x, 48)` to `delay(x, 40)`, which says half as much of it. So of what is strong each operator is exchanged for
every other one, each column for every other one, and for its join with every other one.
"""

from __future__ import annotations

from itertools import chain, zip_longest
from typing import TYPE_CHECKING

from midas_engine.dsl.nodes import Call, Column, Node, walk
from midas_engine.dsl.registry import OPERATORS, Kind, Operator
from midas_engine.search.growth import SYMMETRIC
from midas_engine.search.variation import operators_in, replaced

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
    ways: list[list[Node]] = []
    joins = [o for o in grammar.operators(2) if not _windows(o)] if operators_in(top) < LARGEST else []
    for part in walk(top):
        if isinstance(part, Column):
            others = [Column(c) for c in grammar.columns if c != part.name]
            ways.append([replaced(top, part, other) for other in others])
            ways.append(
                [replaced(top, part, Call(o.name, pair)) for other in others for o, pair in _joined(part, other, joins)]
            )
        elif isinstance(part, Call):
            ways.append([replaced(top, part, arg) for arg in part.args])
            ways += [list(way) for way in zip_longest(*_exchanges(top, part, grammar))]
    near = [[n for n in way if n is not None] for way in ways]
    return list(chain.from_iterable(near))


def _joined(part: Column, other: Column, joins: list[Operator]) -> Iterator[tuple[Operator, tuple[Node, ...]]]:
    for operator in joins:
        if operator.literals:
            continue
        yield operator, (part, other)
        if operator.name not in SYMMETRIC:
            yield operator, (other, part)


def _exchanges(top: Node, part: Call, grammar: Grammar) -> Iterator[list[Node]]:
    """Of every other operator the trees that end there in it."""
    if len(part.args) > 2:
        return
    window = next((int(part.params[i]) for i in _windows(OPERATORS[part.op])), 0)
    for operator in grammar.operators(len(part.args)):
        if operator.name == part.op:
            continue
        orders = [part.args]
        if len(part.args) == 2 and operator.name not in SYMMETRIC:
            orders.append(part.args[::-1])
        yield [
            replaced(top, part, Call(operator.name, args, params))
            for params in _params(operator, window, grammar)
            for args in orders
        ]


def _params(operator: Operator, window: int, grammar: Grammar) -> list[tuple[int | float, ...]]:
    drawn = grammar.literals(operator)
    places = _windows(operator)
    if len(places) != 1 or not window:
        return [drawn]
    (place,) = places
    low, longest = int(operator.literals[place].low), grammar.windows[-1]
    windows = dict.fromkeys(min(max(round(window * f), low), longest) for f in FACTORS)
    return [(*drawn[:place], w, *drawn[place + 1 :]) for w in windows]


def _windows(operator: Operator) -> list[int]:
    return [i for i, p in enumerate(operator.literals) if p.kind is Kind.WINDOW]
