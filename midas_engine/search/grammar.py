"""Typed random trees of the operator registry; every pair of columns is covered before any comes again."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from midas_engine.dsl.labels import is_label
from midas_engine.dsl.nodes import Call, Column, Node
from midas_engine.dsl.registry import OPERATORS, Kind, Operator, Param

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

WINDOWS = (2, 3, 6, 12, 24, 48, 96, 168)
"""Steps of a factor of two: neighbours of a window correlate above 0.7, finer ones are found by climbing."""
_CLASSES = {"window": 0.62, "point": 0.14, "cross": 0.24}
_PAIRS = {"point": 0.78, "window": 0.18, "logic": 0.04}
_SIZES = (0.14, 0.36, 0.50)
"""Chance of trees of one, two and three operators."""
_DULL = ("neg", "eq", "ne", "not", "and", "or", "lt", "le", "ts_sum", "ts_product", "power", "clip", "cs_scale")
"""Operators that only repeat what others give up to sign or scale, or that scores cannot see."""

INTERACTIONS = ("mul", "ts_corr", "ts_cov")
"""Operators that say something of two columns of which neither says anything, so that no part of a tree is a root."""

_SCALES_ACROSS = ("cs_rank", "cs_zscore")
_SCALES_IN_TIME = ("ts_rank", "ts_zscore")


class Grammar:
    """Draws trees.

    Args:
        rng: Source of randomness; the same state gives the same trees.
        columns: Columns of the data; labels are left out.
        cross: The data is a cross-section.
        longest: Longest window in bars.

    Example:
        >>> import numpy as np
        >>> from midas_engine.dsl.nodes import columns_of
        >>> grammar = Grammar(np.random.default_rng(1), ["a", "b", "c"], True, 168)
        >>> {columns_of(grammar.tree(2)) for _ in range(3)} == {("a", "b"), ("a", "c"), ("b", "c")}
        True
    """

    def __init__(self, rng: np.random.Generator, columns: Sequence[str], cross: bool, longest: int) -> None:
        self.rng = rng
        self.columns = [c for c in columns if not is_label(c)] or list(columns)
        self.windows = [w for w in WINDOWS if w <= longest] or [max(1, longest)]
        usable = [o for o in OPERATORS.values() if o.name not in _DULL and not o.name.startswith("cs_group_")]
        usable = [o for o in usable if cross or o.family != "cross_section"]
        self.unary = _by_class([o for o in usable if o.arity == 1])
        self.binary = _by_class([o for o in usable if o.arity == 2])
        self._decks: dict[int, list[tuple[str, ...]]] = {}

    def tree(self, columns: int = 0) -> Node:
        """A tree of one to three operators on one or two columns (0: mostly two)."""
        wanted = columns or (1 if len(self.columns) < 2 or self.rng.random() < 0.2 else 2)
        leaves = self.leaves(min(wanted, len(self.columns)))
        operators = 1 + int(self.rng.choice(3, p=_SIZES))
        return self.grow(operators, leaves)

    def leaves(self, count: int) -> tuple[str, ...]:
        """The next columns of the deck; it is shuffled again once all of it was dealt."""
        deck = self._decks.setdefault(count, [])
        if not deck:
            whole = list(combinations(self.columns, count))
            deck.extend(whole[int(i)] for i in self.rng.permutation(len(whole)))
        dealt = deck.pop()
        return dealt if self.rng.random() < 0.5 else dealt[::-1]

    def grow(self, operators: int, leaves: tuple[str, ...]) -> Node:
        """A tree of `operators` operators over the leaves, left to right."""
        if len(leaves) == 1:
            node: Node = Column(leaves[0])
            for _ in range(operators):
                node = self.wrapped(node)
            return node
        if operators > 1 and self.rng.random() < 0.4:
            return self.wrapped(self.grow(operators - 1, leaves))
        left = int(self.rng.integers(max(1, operators)))
        return self.joined(self.grow(left, leaves[:1]), self.grow(max(0, operators - 1 - left), leaves[1:]))

    def wrapped(self, node: Node) -> Call:
        """The node under a unary operator."""
        operator = self._drawn(self.unary, _CLASSES)
        return Call(operator.name, (node,), self.literals(operator))

    def joined(self, left: Node, right: Node) -> Call:
        """Two nodes under a binary operator."""
        operator = self._drawn(self.binary, _PAIRS)
        return Call(operator.name, (left, right), self.literals(operator))

    def operators(self, arity: int) -> list[Operator]:
        """All of that arity that trees are made of."""
        return [o for group in (self.unary if arity == 1 else self.binary).values() for o in group]

    def atom(self) -> Node:
        """A column, or a column under one operator."""
        leaf: Node = Column(self.columns[int(self.rng.integers(len(self.columns)))])
        return leaf if self.rng.random() < 0.3 else self.wrapped(leaf)

    def interaction(self) -> Node:
        """Two parts that may say nothing alone under an operator that asks how they go together."""
        leaves = self.leaves(min(2, len(self.columns)))
        first, second = leaves[0], leaves[-1]
        known = {o.name: o for o in self.operators(2)}
        operator = known[INTERACTIONS[int(self.rng.integers(len(INTERACTIONS)))]]
        parts: list[Node] = [Column(first), self.wrapped(Column(second))]
        if self.rng.random() < 0.3:
            parts[0] = self.wrapped(parts[0])
        return Call(operator.name, tuple(parts), self.literals(operator))

    def atoms(self) -> list[Node]:
        """Every column under every unary operator of time once, in random order: what compositions start from."""
        middle = [w for w in self.windows if 8 <= w <= 72] or self.windows
        found: list[Node] = []
        for operator in self.unary.get("window", []):
            for column in self.columns:
                chosen = middle[int(self.rng.integers(len(middle)))]
                params = [max(chosen, int(p.low)) if p.kind is Kind.WINDOW else q for p, q in self._with(operator)]
                found.append(Call(operator.name, (Column(column),), tuple(params)))
        return [found[int(i)] for i in self.rng.permutation(len(found))]

    def _with(self, operator: Operator) -> list[tuple[Param, int | float]]:
        return list(zip(operator.literals, self.literals(operator), strict=True))

    def scale(self) -> Call:
        """An operator that makes pure numbers of anything, over no argument yet."""
        names = _SCALES_ACROSS if "cross" in self.unary else _SCALES_IN_TIME
        operator = OPERATORS[names[int(self.rng.integers(len(names)))]]
        return Call(operator.name, (), self.literals(operator))

    def literals(self, operator: Operator) -> tuple[int | float, ...]:
        """Literal parameters: windows from the ladder, other numbers at their defaults."""
        found: list[int | float] = []
        for p in operator.literals:
            if p.kind is Kind.WINDOW:
                fitting = [w for w in self.windows if w >= p.low] or [int(p.low)]
                found.append(fitting[int(self.rng.integers(len(fitting)))])
            else:
                found.append(float(p.default if p.default is not None else min(max(1.0, p.low), p.high)))
        if operator.name == "macd":
            found[:3] = sorted(int(x) for x in found[:3])[1:] + [int(min(found[:3]))]
        return tuple(found)

    def swapped(self, node: Call) -> Call:
        """The node under another operator of its arity."""
        kinds = (self.unary, _CLASSES) if len(node.args) == 1 else (self.binary, _PAIRS)
        operator = self._drawn(*kinds)
        kept = node.params if len(node.params) == len(operator.literals) == 1 else self.literals(operator)
        return Call(operator.name, node.args, kept)

    def _drawn(self, classes: dict[str, list[Operator]], shares: dict[str, float]) -> Operator:
        names = [name for name in shares if classes.get(name)]
        weights = [shares[name] for name in names]
        chosen = classes[names[int(self.rng.choice(len(names), p=[w / sum(weights) for w in weights]))]]
        return chosen[int(self.rng.integers(len(chosen)))]


def _by_class(operators: Sequence[Operator]) -> dict[str, list[Operator]]:
    found: dict[str, list[Operator]] = {}
    for o in operators:
        windowed = any(p.kind is Kind.WINDOW for p in o.literals)
        name = "window" if windowed else {"cross_section": "cross", "logic": "logic"}.get(o.family, "point")
        if o.arity == 2 and name == "cross":
            name = "point"
        found.setdefault(name, []).append(o)
    return found
