"""How complex an expression is, and how alike two are."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from midas_engine.dsl.expression import as_expression, memory_of
from midas_engine.dsl.nodes import Call, Node, Number, columns_of, number_text, walk
from midas_engine.dsl.registry import OPERATORS


@dataclass(frozen=True, slots=True)
class Complexity:
    """What an expression weighs.

    Attributes:
        nodes: Operators, columns and literals.
        depth: Longest path from the whole to a leaf.
        operators: Operators used, with repeats.
        free_parameters: Literals someone chose: windows, quantiles, constants.
        columns: Different columns read.
        lookback: Bars of past needed.
    """

    nodes: int
    depth: int
    operators: int
    free_parameters: int
    columns: int
    lookback: int


def complexity(expr: Any) -> Complexity:
    """The measures of an expression (text or `Expression`).

    Example:
        >>> complexity("ts_mean(returns(close, 1), 24)").operators
        2
    """
    tree = as_expression(expr).ast
    calls = [n for n in walk(tree) if isinstance(n, Call)]
    literals = sum(isinstance(n, Number) for n in walk(tree)) + sum(len(c.params) for c in calls)
    total = sum(1 for _ in walk(tree)) + sum(len(c.params) for c in calls)
    return Complexity(total, _depth(tree), len(calls), literals, len(columns_of(tree)), memory_of(tree))


def similarity(a: Any, b: Any) -> float:
    """Share of sub-trees two expressions have in common, 0 to 1; 1 for equal features.

    Every sub-tree counts by its size, once exactly and once with its literals blanked (windows of 24 and 25
    are nearly the same feature); the result is the mean of both weighted Jaccard indices.

    Example:
        >>> similarity("ts_mean(close, 24)", "ts_mean(close, 24)")
        1.0
        >>> 0 < similarity("ts_mean(close, 24)", "ts_mean(close, 48)") < 1
        True
    """
    x, y = as_expression(a), as_expression(b)
    if x.hash == y.hash:
        return 1.0
    scores = []
    for exact in (True, False):
        left, right = _parts(x.ast, exact), _parts(y.ast, exact)
        keys = left.keys() | right.keys()
        union = sum(max(left[k], right[k]) for k in keys)
        scores.append(sum(min(left[k], right[k]) for k in keys) / union if union else 0.0)
    return min(sum(scores) / 2, 0.999)


def _depth(node: Node) -> int:
    return 1 + max(map(_depth, node.args), default=0) if isinstance(node, Call) else 0


def _parts(tree: Node, exact: bool) -> Counter[str]:
    found: Counter[str] = Counter()

    def visit(node: Node) -> tuple[str, int]:
        if isinstance(node, Number):
            return (number_text(node.value) if exact else "#"), 1
        if not isinstance(node, Call):
            found[node.name] += 1
            return node.name, 1
        parts = [visit(a) for a in node.args]
        texts = [p[0] for p in parts]
        if OPERATORS[node.op].commutative:
            texts.sort()
        literals = [number_text(p) if exact else "#" for p in node.params]
        size = 1 + sum(p[1] for p in parts)
        text = f"{node.op}({','.join(texts + literals)})"
        found[text] += size
        return text, size

    visit(tree)
    return found
