"""Whether a value is a nominal size: a price, a volume or a count, that says which symbol it is and not how it does.

`close` ranks BTC first at every bar because a bitcoin is worth more than a dogecoin. Whatever such a feature
"predicts" across symbols is who drifted over the sample. So is `close * 2`, `log(close)`, `cs_rank(close)` or
`ts_mean(volume, 24)`; `close / delay(close, 24)`, `ts_zscore(volume, 24)` or `ts_corr(cs_rank(close), volume, 24)`
are not, for they compare a symbol with its own past. Used across symbols, a nominal size is refused by name.

Every node is a number, free of units, a *size* (raw, its logarithm or its rank across symbols) or a *change* (a
difference of two sizes, in their unit). The rule is about what can be told from the text: what it lets through
still meets the standing gate, which reads the values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from midas_engine.dsl.bounds import steady
from midas_engine.dsl.expression import as_expression
from midas_engine.dsl.nodes import Call, Column, Node, Number
from midas_engine.dsl.spelling import spelled
from midas_engine.dsl.units import COLUMN_UNITS

Unit = tuple[float, float, float]  # exponents of price, quantity, count
_PURE: Unit = (0.0, 0.0, 0.0)
_COUNTS = ("trades",)
_ADVICE = "compare a symbol with its own past first: divide by ts_mean(..., 168), or take returns, ts_zscore or ts_rank"
_ACROSS = ("cs_rank", "cs_zscore", "cs_scale", "cs_group_rank")
_CHANGES = ("delta", "macd")
_SIZES_OF_CHANGES = ("abs", "ts_std", "ts_max", "ts_min")
_LOGIC = ("and", "or", "not")


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a node is: form "number", "free", "raw", "log", "rank" or "change", and the unit it came from."""

    form: str
    unit: Unit = _PURE

    @property
    def size(self) -> bool:
        return self.form in ("raw", "log", "rank")

    @property
    def still(self) -> bool:
        """A size or a number: nothing in it that moves."""
        return self.size or self.form == "number"


_NUMBER, _FREE = _Kind("number"), _Kind("free")


def nominal_size(expr: Any) -> str:
    """Why an expression cannot be compared across symbols; empty when nothing in its text says so.

    Example:
        >>> nominal_size("cs_rank(close)").split(":")[0]
        'cs_rank(close) is a price, ranked across symbols'
        >>> nominal_size("close / delay(close, 24)")
        ''
    """
    done: dict[int, _Kind] = {}

    def kind(node: Node) -> _Kind:
        if isinstance(node, Number):
            return _NUMBER
        if isinstance(node, Column):
            unit = COLUMN_UNITS.get(node.name)
            if node.name in _COUNTS:
                return _Kind("raw", (0.0, 0.0, 1.0))
            return _FREE if unit is None or unit == (0.0, 0.0) else _Kind("raw", (*unit, 0.0))
        if id(node) not in done:
            done[id(node)] = _called(node, [kind(a) for a in node.args])
        return done[id(node)]

    root = as_expression(expr).ast
    found = kind(root)
    if not found.size:
        return ""
    form = {"log": ", as a logarithm", "rank": ", ranked across symbols"}.get(found.form, "")
    return f"{spelled(root)} is {_words(found.unit)}{form}: it says which symbol this is, not how it does; {_ADVICE}"


def _called(node: Call, kinds: list[_Kind]) -> _Kind:
    from midas_engine.dsl.registry import OPERATORS

    op, rule = node.op, OPERATORS[node.op].units
    first = kinds[0] if kinds else _NUMBER
    if all(k.form == "number" for k in kinds):
        return _NUMBER
    if op in ("add", "sub", "max", "min"):
        return _joined(node, *kinds[:2])
    if op in ("mul", "div"):
        return _scaled(node, *kinds[:2])
    if op == "power":
        return _powered(node, *kinds[:2])
    if rule == "compare" or op in _LOGIC or rule == "branch":
        return _chosen(rule, op, kinds)
    if op == "log" and first.form == "raw":
        return _Kind("log", first.unit)
    if op in ("log", "sign"):
        return _Kind("rank", first.unit) if first.size else _FREE
    if op in _ACROSS:
        return _Kind("rank", first.unit) if first.size else _FREE
    if op == "ts_product":
        return first if first.size else _FREE
    if op in _CHANGES:
        return _Kind("change", first.unit) if first.form in ("raw", "change") else _FREE
    if op in _SIZES_OF_CHANGES and first.form == "change":
        return _Kind("raw", first.unit)
    if op == "ts_std":
        return first if first.form == "raw" else _FREE
    return first if rule == "first" else _FREE


def _joined(node: Call, a: _Kind, b: _Kind) -> _Kind:
    """A sum, difference, larger or smaller of two."""
    if a == b and node.op == "sub" and a.form != "number":
        if a.form == "raw" and _is(node.args[0], "high", "ts_max") and _is(node.args[1], "low", "ts_min"):
            return a  # a range is never negative: it is a price as its ends are
        alike = math.isclose(_weight(node.args[0]), _weight(node.args[1]))
        return (_Kind("change", a.unit) if a.form in ("raw", "change") else _FREE) if alike else a
    sizes = [k for k in (a, b) if k.size]
    if sizes:
        # A size stays one, whatever is added to it: only weights say how much of it is left, and a text can hide those.
        return next((k for k in sizes if k.form == "raw"), sizes[0])
    return next((k for k in (a, b) if k.form == "change"), _FREE) if node.op in ("add", "sub") else _FREE


def _is(node: Node, column: str, op: str) -> bool:
    return isinstance(node, Column) and node.name == column or isinstance(node, Call) and node.op == op


def _weight(node: Node) -> float:
    """The numbers that a text is multiplied by."""
    if isinstance(node, Number):
        return node.value
    if isinstance(node, Call) and node.op == "neg":
        return -_weight(node.args[0])
    if isinstance(node, Call) and node.op == "mul":
        return _weight(node.args[0]) * _weight(node.args[1])
    if isinstance(node, Call) and node.op == "ts_sum":
        return _weight(node.args[0]) * float(node.params[0])
    if isinstance(node, Call) and node.op == "div" and isinstance(node.args[1], Number) and node.args[1].value:
        return _weight(node.args[0]) / node.args[1].value
    return 1.0


def _scaled(node: Call, a: _Kind, b: _Kind) -> _Kind:
    """A product or quotient of two."""
    op, sign = node.op, 1.0 if node.op == "mul" else -1.0
    if b.form == "number" or (a.size and not b.size and steady(node.args[1])):
        return a
    if a.form == "number" or (b.size and not a.size and steady(node.args[0])):
        return _Kind(b.form, _times(b.unit, sign)) if b.form == "raw" else b
    carried = [k for k in (a, b) if k.form in ("raw", "change")]
    if not carried:
        if not (a.size and b.size) or (a == b and op == "div"):
            return _FREE
        return a
    parts = (a.unit if a in carried else _PURE, b.unit if b in carried else _PURE)
    unit = tuple(x + sign * y for x, y in zip(*parts, strict=True))
    if unit == _PURE:
        return _FREE if a.form != "rank" and b.form != "rank" else _Kind("rank", a.unit)
    square = op == "mul" and spelled(node.args[0]) == spelled(node.args[1])
    return _Kind("raw" if a.size and b.size or square else "change", (unit[0], unit[1], unit[2]))


def _powered(node: Call, base: _Kind, exponent: _Kind) -> _Kind:
    by = node.args[1]
    if not isinstance(by, Number):
        return base if base.still and exponent.still else _FREE
    if base.form == "raw" or (base.form == "change" and by.value % 2.0 == 0.0):
        return _Kind("raw", _times(base.unit, by.value)) if by.value else _FREE
    return base


def _chosen(rule: str, op: str, kinds: list[_Kind]) -> _Kind:
    """A comparison, a connective or a branch: still when all it is made of is, and not two sizes of one unit."""
    if not all(k.still for k in kinds):
        return _FREE
    sizes = [k for k in kinds if k.size]
    if rule == "compare" and len(sizes) == 2 and sizes[0] == sizes[1]:
        return _FREE  # close > delay(close, 1)
    return sizes[0] if rule == "branch" and sizes[0].form == "raw" else _Kind("rank", sizes[0].unit)


def _times(unit: Unit, factor: float) -> Unit:
    return (unit[0] * factor, unit[1] * factor, unit[2] * factor)


def _words(unit: Unit) -> str:
    known = {(1.0, 0.0, 0.0): "a price", (0.0, 1.0, 0.0): "a volume", (1.0, 1.0, 0.0): "a traded notional",
             (0.0, 0.0, 1.0): "a count"}  # fmt: skip
    return known.get(unit, "a nominal size")
