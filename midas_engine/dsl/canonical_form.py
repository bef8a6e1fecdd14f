"""The canonical form: every spelling of one feature gives one text.

The tree is rewritten into sums of coefficient x product, with terms sorted. Constants fold, `lt` becomes `gt`
with swapped sides, a scale, sign or offset that an operator ignores is dropped and one that it passes on is
pulled out (the registry says which). Nothing that changes where a value is NaN is cancelled: x - x keeps x.
The engines never compute the canonical form; they compute what was written.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

from midas_engine.dsl.nodes import Call, Column, Node, Number
from midas_engine.dsl.parser import expanded
from midas_engine.dsl.registry import OPERATORS, Operator

# Twelve significant digits: the same constant reached through different arithmetic is the same constant.
_DIGITS = 12
_MIRROR = {"ts_max": "ts_min", "ts_min": "ts_max", "max": "min", "min": "max"}
_IDEMPOTENT = ("cs_rank", "cs_demean", "cs_zscore", "cs_scale")
_FLIP = {"ts_argmax": "ts_argmin", "ts_argmin": "ts_argmax"}


def _number(value: float) -> str:
    rounded = float(f"{value:.{_DIGITS}g}")
    rounded = 0.0 if rounded == 0 else rounded
    return str(int(rounded)) if rounded.is_integer() and abs(rounded) < 1e15 else repr(rounded)


@dataclass(frozen=True, slots=True)
class _Sum:
    """constant + sum of coefficient * term; a term is a product's text."""

    constant: float
    terms: tuple[tuple[str, float], ...]

    @property
    def text(self) -> str:
        parts = [term if coefficient == 1 else f"{_number(coefficient)}*{term}" for term, coefficient in self.terms]
        if self.constant or not parts:
            parts.append(_number(self.constant))
        return parts[0] if len(parts) == 1 else "(" + " + ".join(parts) + ")"

    @property
    def single(self) -> tuple[str, float] | None:
        """Its only term, when it is one product and nothing else."""
        return self.terms[0] if len(self.terms) == 1 and not self.constant else None

    def times(self, factor: float) -> _Sum:
        return _Sum(self.constant * factor, tuple((t, c * factor) for t, c in self.terms))

    def plus(self, other: _Sum) -> _Sum:
        terms = dict(self.terms)
        for term, coefficient in other.terms:
            terms[term] = terms.get(term, 0.0) + coefficient
        return _Sum(self.constant + other.constant, tuple(sorted(terms.items())))

    def scale(self) -> float:
        """What divides it into the form whose first coefficient is 1."""
        return self.terms[0][1] if self.terms and self.terms[0][1] else 1.0


def _atom(text: str) -> _Sum:
    return _Sum(0.0, ((text, 1.0),))


def canonical_text(node: Node) -> str:
    """The canonical text of a tree."""
    return _Form().of(expanded(node)).text


def family_text(node: Node) -> str:
    """The canonical text without scale, sign and offset."""
    form = _Form().of(expanded(node))
    return _Sum(0.0, form.terms).times(1.0 / form.scale()).text if form.terms else form.text


def text_hash(text: str) -> str:
    """16 hex digits."""
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


class _Form:
    def __init__(self) -> None:
        self.done: dict[int, _Sum] = {}

    def of(self, node: Node) -> _Sum:
        if isinstance(node, Number):
            return _Sum(node.value, ())
        if isinstance(node, Column):
            # The derived column is by definition one bar's return.
            return self.returns() if node.name == "returns" else _atom(node.name)
        if id(node) not in self.done:
            self.done[id(node)] = self.call(node)
        return self.done[id(node)]

    def returns(self) -> _Sum:
        return self.ratio([("close", 1.0)], [("delay(close,1)", 1.0)]).plus(_Sum(-1.0, ()))

    def call(self, node: Call) -> _Sum:
        args = [self.of(a) for a in node.args]
        if all(not a.terms for a in args):
            folded = _fold(node.op, [a.constant for a in args])
            if folded is not None:
                return _Sum(folded, ())
        op = node.op
        if op == "add":
            return args[0].plus(args[1])
        if op == "sub":
            return args[0].plus(args[1].times(-1.0))
        if op == "neg":
            return args[0].times(-1.0)
        if op in ("mul", "div"):
            return self.product(op, args)
        if op == "delta":
            past = self.linear("delay", args[0], node.params)
            return args[0].plus(past.times(-1.0))
        if op in ("lt", "le"):
            return self.plain("gt" if op == "lt" else "ge", [args[1], args[0]], ())
        if op == "power" and not args[1].terms and args[1].constant == 1.0:
            return args[0]
        if op in ("delay", "ema") and not args[0].terms:
            return args[0]
        if op == "delay":
            return self.linear(op, args[0], node.params)
        if op in ("max", "min"):
            return self.extreme(op, args)
        return self.general(OPERATORS[op], args, node.params)

    def linear(self, op: str, arg: _Sum, params: tuple[int | float, ...]) -> _Sum:
        """An operator that passes sums, scales and constants through, as a delay does."""
        total = _Sum(arg.constant, ())
        for term, coefficient in arg.terms:
            total = total.plus(_atom(_call(op, [term], params)).times(coefficient))
        return total

    def product(self, op: str, args: list[_Sum]) -> _Sum:
        x, y = args
        if op == "mul" and not x.terms:
            return y.times(x.constant)
        if not y.terms and (op == "mul" or y.constant):
            return x.times(y.constant if op == "mul" else 1.0 / y.constant)
        top, bottom = _factors(x), _factors(y)
        return self.ratio(top + bottom, []) if op == "mul" else self.ratio(top, bottom)

    def ratio(self, top: list[tuple[str, float]], bottom: list[tuple[str, float]]) -> _Sum:
        coefficient = math.prod(c for _, c in top) / (math.prod(c for _, c in bottom) or 1.0)
        over: list[str] = []
        under: list[str] = []
        for text, _ in top:
            a, b = _split(text)
            over += a
            under += b
        for text, _ in bottom:
            a, b = _split(text)
            over += b
            under += a
        over, under = [t for t in over if t != "1"], [t for t in under if t != "1"]
        body = "*".join(sorted(over)) or "1"
        if under:
            body = f"[{body} / {'*'.join(sorted(under))}]"
        elif len(over) > 1:
            body = f"[{body} / 1]"
        return _atom(body).times(coefficient) if over or under else _Sum(coefficient, ())

    def extreme(self, op: str, args: list[_Sum]) -> _Sum:
        """max(2x, 2y) is 2 max(x, y); with a negative factor the extremes change places."""
        first = min(args, key=lambda a: (not a.terms, a.terms[:1]))
        scale = first.scale()
        if scale < 0:
            op = _MIRROR[op]
        args = [a.times(1.0 / scale) for a in args]
        return self.plain(op, args, ()).times(scale)

    def general(self, operator: Operator, args: list[_Sum], params: tuple[int | float, ...]) -> _Sum:
        op, factor = operator.name, 1.0
        for i in range(2 if operator.symmetric_pair else 1):
            arg = args[i]
            if operator.shift_free and arg.terms:
                arg = _Sum(0.0, arg.terms)
            scale = arg.scale()
            if operator.scale and scale != 1.0 and arg.terms:
                sign = math.copysign(1.0, scale)
                flips = operator.odd or operator.even or op in _MIRROR or op in _FLIP
                if sign < 0 and not flips:
                    scale, sign = abs(scale), 1.0
                arg = arg.times(1.0 / scale)
                if operator.scale == "out":
                    factor *= abs(scale)
                if sign < 0:
                    factor *= -1.0 if operator.odd or op in _MIRROR else 1.0
                    op = _MIRROR.get(op) or _FLIP.get(op) or op
            args[i] = arg
        if op == "abs" and args[0].single and args[0].terms[0][0].startswith("abs("):
            return args[0].times(factor)
        if op == "sign" and args[0].single and args[0].terms[0][0].startswith("sign("):
            return args[0].times(factor)
        if op in _IDEMPOTENT and args[0].single and args[0].terms[0][0].startswith(f"{op}("):
            # Ranking ranks, centring the centred, changes nothing but rounding.
            return args[0].times(factor)
        return self.plain(op, args, params).times(factor)

    def plain(self, op: str, args: list[_Sum], params: tuple[int | float, ...]) -> _Sum:
        texts = [a.text for a in args]
        if OPERATORS[op].commutative:
            texts.sort()
        return _atom(_call(op, texts, params))


def _call(op: str, texts: list[str], params: tuple[int | float, ...]) -> str:
    return f"{op}({','.join([*texts, *(_number(float(p)) for p in params)])})"


def _factors(value: _Sum) -> list[tuple[str, float]]:
    """The factors of a sum: its one product, or itself divided by its leading coefficient."""
    if value.single:
        return [value.single]
    if not value.terms:
        return [("1", value.constant)] if value.constant else [("0", 1.0)]
    scale = value.scale()
    return [(value.times(1.0 / scale).text, scale)]


def _split(text: str) -> tuple[list[str], list[str]]:
    """Numerator and denominator of a product's text, at bracket depth zero."""
    if not (text.startswith("[") and text.endswith("]")):
        return [text], []
    over: list[str] = []
    under: list[str] = []
    depth, start = 0, 1
    target = over
    for i in range(1, len(text)):
        c = text[i]
        if depth == 0 and (c == "*" or c == "]" or text[i : i + 3] == " / "):
            target.append(text[start:i].strip(" "))
            start = i + 1
            if c == " ":
                target = under
                start = i + 3
        depth += c in "(["
        depth -= c in ")]"
    return [t for t in over if t], [t for t in under if t and t != "1"]


def _fold(op: str, values: list[float]) -> float | None:
    """An operator on constants, when the result is a finite number."""
    a = values[0] if values else 0.0
    b = values[1] if len(values) > 1 else 0.0
    try:
        if op == "power":
            result = a**b
        elif op == "log":
            result = math.log(a)
        elif op == "div":
            result = a / b
        else:
            table = {
                "add": a + b, "sub": a - b, "mul": a * b, "neg": -a, "abs": abs(a),
                "max": max(a, b), "min": min(a, b), "sign": math.copysign(1.0, a) if a else 0.0,
            }  # fmt: skip
            if op not in table:
                return None
            result = table[op]
    except (ArithmeticError, ValueError):
        return None
    return float(result) if isinstance(result, float) and math.isfinite(result) else None
