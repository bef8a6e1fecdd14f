"""The units check: adding a price to a volume is legal arithmetic and almost always a mistake.

A unit is a pair of exponents (price, quantity). It warns; it never refuses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from midas_engine.dsl.expression import as_expression
from midas_engine.dsl.nodes import Call, Column, Node, Number
from midas_engine.dsl.spelling import spelled

Unit = tuple[float, float]
PURE: Unit = (0.0, 0.0)
_PRICE: Unit = (1.0, 0.0)
_QUANTITY: Unit = (0.0, 1.0)
COLUMN_UNITS: dict[str, Unit] = {
    **dict.fromkeys(("open", "high", "low", "close", "vwap", "mark_close", "index_close"), _PRICE),
    **dict.fromkeys(("volume", "bid_volume", "ask_volume", "taker_buy_volume", "open_interest"), _QUANTITY),
    "quote_volume": (1.0, 1.0),
    "cap": (1.0, 1.0),
    "trades": PURE,
    "funding_rate": PURE,
    "returns": PURE,
}
_NAMES = {PURE: "a pure number", _PRICE: "a price", _QUANTITY: "a volume", (1.0, 1.0): "a quote volume"}


@dataclass(frozen=True, slots=True)
class UnitsWarning:
    """One doubtful place in the text, and what the doubt is about."""

    message: str
    position: int
    length: int
    about: str = "units"


def units_warnings(expr: Any) -> list[UnitsWarning]:
    """Doubtful mixes of units in an expression (text or `Expression`).

    Example:
        >>> [w.message for w in units_warnings("close + volume")]
        ['add mixes a price and a volume: close, volume']
    """
    return [warning for warning, _ in _looked_at(as_expression(expr).ast)]


def mixed_calls(node: Node) -> list[Call]:
    """The calls of a tree that mix units, innermost first, each once."""
    return list({id(call): call for _, call in _looked_at(node)}.values())


def _looked_at(root: Node) -> list[tuple[UnitsWarning, Call]]:
    from midas_engine.dsl.registry import OPERATORS

    found: list[tuple[UnitsWarning, Call]] = []
    done: dict[int, Unit | None] = {}

    def unit(node: Node) -> Unit | None:
        if isinstance(node, Number):
            return None
        if isinstance(node, Column):
            return COLUMN_UNITS.get(node.name)
        if id(node) not in done:
            done[id(node)] = call(node)
        return done[id(node)]

    def call(node: Call) -> Unit | None:
        units = [unit(a) for a in node.args]
        rule = OPERATORS[node.op].units
        if rule in ("same", "compare", "branch"):
            compared = list(zip(node.args, units, strict=True))[1 if rule == "branch" else 0 :]
            known = [(a, u) for a, u in compared if u is not None]
            for (a, u), (b, v) in zip(known, known[1:], strict=False):
                if u != v:
                    message = f"{node.op} mixes {describe(u)} and {describe(v)}: {spelled(a)}, {spelled(b)}"
                    found.append((UnitsWarning(message, node.position, max(1, node.end - node.position)), node))
            if rule == "compare":
                return PURE
            # A bare literal takes the unit of its neighbour.
            return known[0][1] if known else None
        if rule in ("product", "quotient"):
            sign = 1 if rule == "product" else -1
            left, right = (PURE if isinstance(a, Number) else u for a, u in zip(node.args, units, strict=True))
            if left is None or right is None:
                return None
            return (left[0] + sign * right[0], left[1] + sign * right[1])
        if rule == "power":
            exponent = node.args[1]
            if units[0] is None or not isinstance(exponent, Number):
                return None
            return (units[0][0] * exponent.value, units[0][1] * exponent.value)
        if rule == "repeated":
            return PURE if units[0] == PURE else None
        if rule == "second":
            return units[1]
        return units[0] if rule == "first" else PURE

    unit(root)
    return found


def describe(unit: Unit) -> str:
    """A unit in words."""
    if unit in _NAMES:
        return _NAMES[unit]
    parts = [
        f"{name}^{power:g}" if power != 1 else name
        for name, power in zip(("price", "volume"), unit, strict=True)
        if power
    ]
    return "·".join(parts)
