"""A tree as a person would write it: symbols between their operands, brackets only where they are needed."""

from __future__ import annotations

from midas_engine.dsl.nodes import Call, Column, Node, Number, number_text
from midas_engine.dsl.registry import OPERATORS

# Loosest first, as the parser reads them; a bare sign binds tighter than `*` and looser than `**`.
_BINDING = {
    "or": 10, "and": 20, "<": 40, "<=": 40, ">": 40, ">=": 40, "==": 40, "!=": 40, "+": 50, "-": 50, "*": 55, "/": 55,
    "**": 70,
}  # fmt: skip
_SIGN, _COMPARISON, _POWER, _ATOM = 60, 40, 70, 100


def spelled(node: Node) -> str:
    """The tree as text; parses back to an equal tree.

    Example:
        >>> from midas_engine.dsl.expression import parse
        >>> spelled(parse("div(sub(close, low), ts_mean(high-low, 24))").ast)
        '(close - low) / ts_mean(high - low, 24)'
    """
    return _visit(node)[0]


def _visit(node: Node) -> tuple[str, int]:
    """(text, how tightly its outermost operator binds)."""
    if isinstance(node, Column):
        return node.name, _ATOM
    if isinstance(node, Number):
        return number_text(node.value), _SIGN if node.value < 0 else _ATOM
    symbol = OPERATORS[node.op].infix
    if node.op == "neg":
        return "-" + _bracketed(node.args[0], _SIGN + 1), _SIGN
    if symbol in _BINDING:
        return _infix(symbol, node), _BINDING[symbol]
    inner = [_visit(a)[0] for a in node.args] + [number_text(p) for p in node.params]
    return f"{node.op}({', '.join(inner)})", _ATOM


def _infix(symbol: str, node: Call) -> str:
    binding = _BINDING[symbol]
    # Chains lean to the left, a power to the right, and comparisons do not chain.
    left = binding + (binding in (_COMPARISON, _POWER))
    right = binding + (binding != _POWER)
    return f"{_bracketed(node.args[0], left)} {symbol} {_bracketed(node.args[1], right)}"


def _bracketed(node: Node, least: int) -> str:
    text, binding = _visit(node)
    return text if binding >= least else f"({text})"
