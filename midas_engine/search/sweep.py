"""Every pair of columns that may say nothing alone, one of them changed: what no small tree leads to.

`ts_corr` of a column and a changed one shows only whole: no part of it is a root, so that nothing grows into it and a
draw meets it by luck. The sweep goes through all of them, through every operator of time over what one column has
more of than another, and through every one over a changed column. It takes many sessions, each going on where the marks
of what was asked end. Where two columns move alike, what one of them says the other all but says: it comes later.
"""

from __future__ import annotations

from itertools import combinations, permutations, product
from typing import TYPE_CHECKING

from midas_engine.dsl.nodes import Call, Column, Node
from midas_engine.dsl.registry import Kind, Operator
from midas_engine.dsl.units import mixed_calls
from midas_engine.search.growth import SYMMETRIC

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np

    from midas_engine.search.grammar import Grammar

INNER = (6, 24, 96)
"""Windows of what is put under another operator."""
OUTER = (5, 12, 24, 48, 96)
"""Windows of the operator that a tree ends in: a factor of two from one that is there, two thirds of it are lost."""
STRIDE = 7
"""Windows between two passes: far apart on both ladders, and no divisor of how many there are."""
LATER = 2
"""Passes over the first of every kin before one over what says nearly the same."""
MEANS = ("ts_mean", "ema", "ts_decay_linear", "ts_median")
CHANGES = ("delta", "returns")
"""Operators that move alike under another one; the first speaks for the others. It is climbed to them."""
_SAME = {*MEANS[1:], *CHANGES[1:], "ts_quantile", "bbands_pct", "log", "abs", "sign"}
"""The others, a quantile at its middle, a band that is a z-score, and what changes no order of positive columns."""
_CONTRASTS = ("sub", "div")
_PRODUCT = "mul"

_Params = tuple[int | float, ...]


def swept(grammar: Grammar, rng: np.random.Generator, kin: Mapping[str, str] | None = None) -> Iterator[Node]:
    """All of the sweep: every structure once, then every one again with other windows, each pass in drawn order.

    Args:
        grammar: What trees are made of.
        rng: Draws the order.
        kin: Of each column the first one that moves as it does; what says nearly the same as another tree is asked
            when the others were asked `LATER` times.

    Example:
        >>> import numpy as np
        >>> from midas_engine.dsl.spelling import spelled
        >>> from midas_engine.search.grammar import Grammar
        >>> grammar = Grammar(np.random.default_rng(1), ["a", "b"], False, 168)
        >>> nodes = swept(grammar, np.random.default_rng(1))
        >>> "ts_corr(ema(a, 24), b, 48)" in {spelled(n) for n in nodes}
        True
    """
    found = structures(grammar)
    late = [LATER if s.repeats(kin or {}) else 0 for s in found]
    passes = max((s.size for s in found), default=0) + LATER
    for turn in range(passes):
        for place in map(int, rng.permutation(len(found))):
            structure = found[place]
            if 0 <= turn - late[place] < structure.size:
                # Its place says where it begins, whatever the seed: every pass mixes windows, none repeats a pass.
                yield structure.at(place + STRIDE * (turn - late[place]))


class Structure:
    """Trees that differ in nothing but windows.

    Args:
        outer: The operator that they end in.
        inner: What is put under it: an operator of the first column, or of both.
        columns: Of the tree; a second one stands beside the first, or with it under `inner`.
        windows: Parameters of both.
        turned: The changed column comes second.
    """

    __slots__ = ("_columns", "_inner", "_outer", "_turned", "_windows", "size")

    def __init__(
        self, outer: str, inner: str, columns: tuple[str, ...], windows: list[tuple[_Params, _Params]], turned: bool
    ) -> None:
        self._outer, self._inner, self._columns, self._turned = outer, inner, columns, turned
        self._windows, self.size = windows, len(windows)

    def repeats(self, kin: Mapping[str, str]) -> bool:
        """Whether another tree says nearly the same: its inner operator, or a column, moves as an earlier one does.

        What two columns that move alike have between them nothing else says.
        """
        if self._inner in _SAME:
            return True
        first = [kin.get(c, c) for c in self._columns]
        return len(set(first)) == len(first) and tuple(first) != self._columns

    def at(self, place: int) -> Node:
        """The tree with its next windows, round and round."""
        inner, outer = self._windows[place % self.size]
        leaves = tuple(Column(c) for c in self._columns)
        if self._inner in _CONTRASTS:
            return Call(self._outer, (Call(self._inner, leaves, inner),), outer)
        args: tuple[Node, ...] = (Call(self._inner, leaves[:1], inner), *leaves[1:])
        return Call(self._outer, args[::-1] if self._turned else args, outer)


def structures(grammar: Grammar) -> list[Structure]:
    """What a pass of the sweep goes through, in the order of the registry and of the columns."""
    unary, binary = grammar.operators(1), grammar.operators(2)
    joins = [o for o in binary if _windowed(o) or o.name == _PRODUCT]
    inside = {o.name: _stepped(o, grammar, INNER) for o in unary}
    outside = {o.name: _stepped(o, grammar, OUTER) for o in (*unary, *joins)}
    found: list[Structure] = []
    for pair, inner, join in product(permutations(grammar.columns, 2), unary, joins):
        windows = list(product(inside[inner.name], outside[join.name]))
        ways = (False,) if join.name in SYMMETRIC else (False, True)
        found += [Structure(join.name, inner.name, pair, windows, turned) for turned in ways]
    over = [o for o in unary if _windowed(o)]
    for column, inner, outer in product(grammar.columns, unary, over):
        windows = list(product(inside[inner.name], outside[outer.name]))
        found.append(Structure(outer.name, inner.name, (column,), windows, False))
    for pair, contrast, outer in product(combinations(grammar.columns, 2), _CONTRASTS, over):
        one: list[tuple[_Params, _Params]] = [((), p) for p in outside[outer.name]]
        if not mixed_calls(Call(contrast, tuple(Column(c) for c in pair))):  # a ratio says it where units differ
            found.append(Structure(outer.name, contrast, pair, one, False))
    return found


def _windowed(operator: Operator) -> bool:
    return any(p.kind is Kind.WINDOW for p in operator.literals)


def _stepped(operator: Operator, grammar: Grammar, steps: Sequence[int]) -> list[_Params]:
    """Its parameters at each step that the data allows; what has no window, or several, stands at its defaults."""
    places = [i for i, p in enumerate(operator.literals) if p.kind is Kind.WINDOW]
    longest = grammar.windows[-1]
    plain = [float(p.default if p.default is not None else min(max(1.0, p.low), p.high)) for p in operator.literals]
    if len(places) != 1:
        return [tuple(min(int(v), longest) if i in places else v for i, v in enumerate(plain))]
    low = int(operator.literals[places[0]].low)
    windows = dict.fromkeys(min(max(step, low), longest) for step in steps)
    return [tuple(w if i in places else v for i, v in enumerate(plain)) for w in windows]
