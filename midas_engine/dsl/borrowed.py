"""An expression as it is written for pandas, numpy, TA-Lib, qlib or the 101 alphas, in the language of Midas.

Nothing is computed here, and nothing that the language refuses comes in: the result is a text, and the parser reads it
like any other. What has no counterpart (a whole history, a fill, the future) is refused by name.
"""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from midas_engine.dsl.borrowed_names import (
    COLUMNS,
    FOLDED,
    FORMS,
    IDLE_WORDS,
    SAME,
    SERIES_WORDS,
    WINDOW_WORDS,
)
from midas_engine.dsl.borrowed_text import as_python
from midas_engine.dsl.labels import is_label
from midas_engine.dsl.registry import OPERATORS, Kind
from midas_engine.dsl.spelling import spelled
from midas_engine.errors import ExpressionError

if TYPE_CHECKING:
    from collections.abc import Callable

    from midas_engine.dsl.expression import Expression

MOST_BYTES = 4_096
_DEEP = 60
_INFIX = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**"}
_COMPARED = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}
_LIBRARIES = frozenset({"np", "numpy", "math", "pd", "pandas", "ta", "talib", "op", "ops", "f", "torch", "pl", "bn"})
_FRAMES = frozenset({"df", "data", "panel", "frame", "bars", "ohlcv", "market", "prices"})
_OVER_TIME = frozenset({"symbol", "asset", "ticker", "coin", "instrument", "pair", "contract"})
_OVER_SYMBOLS = frozenset({"timestamp", "time", "date", "datetime", "bar", "ts", "open_time"})
_ROLLED = {
    "mean": "ts_mean", "sum": "ts_sum", "std": "ts_std", "min": "ts_min", "max": "ts_max", "median": "ts_median",
    "skew": "ts_skew", "rank": "ts_rank", "corr": "ts_corr", "cov": "ts_cov", "quantile": "ts_quantile",
}  # fmt: skip
_INFIX_METHODS = {
    "add": "+", "sub": "-", "subtract": "-", "mul": "*", "multiply": "*", "div": "/", "divide": "/", "truediv": "/",
    "pow": "**", "gt": ">", "ge": ">=", "lt": "<", "le": "<=", "eq": "==", "ne": "!=",
}  # fmt: skip
_RETURN = frozenset({"returns", "ret", "rets", "return", "pct_change", "ret_1h"})
_PLAIN_METHODS = frozenset({"abs", "shift", "diff", "pct_change", "log", "sqrt", "exp"})


class _NoCounterpartError(Exception):
    """Something that the language has nothing for; its text says what."""


@dataclass(frozen=True, slots=True)
class _Rolling:
    """`x.rolling(n)` or `x.ewm(span=n)`, before it is known what of it."""

    text: str
    bars: str
    fading: bool = False


@dataclass(frozen=True, slots=True)
class _Grouped:
    """`x.groupby(...)`: over the time of each symbol, or over the symbols of each bar."""

    text: str
    across: bool


_Value = str | _Rolling | _Grouped


def understood(text: str, parsed: Callable[[str], Expression]) -> tuple[Expression, bool]:
    """The expression that a text means, and whether it was written for another library.

    What the language reads stands as it is. Only what it refuses is looked at as another library's.

    Args:
        text: As it came.
        parsed: Reads an expression of the language.

    Raises:
        ExpressionError: As the language refuses it; the hint says what has no counterpart.

    Example:
        >>> from midas_engine.dsl.expression import parse
        >>> understood("rank(close.pct_change(24).rolling(12).mean())", parse)[0].text
        'cs_rank(ts_mean(returns(close, 24), 12))'
    """
    try:
        return parsed(text), False
    except ExpressionError as error:
        try:
            found = parsed(borrowed(text, lambda name: _reads(parsed, name)))
            return (found if found.lineage else parsed(spelled(found.ast))), True
        except _NoCounterpartError as lacking:
            if not str(lacking):
                raise error from None
            hint = f"{error.hint}; {lacking}".removeprefix("; ")
            raise type(error)(
                error.message, text=error.text, position=error.position, length=error.length, hint=hint
            ) from None
        except ExpressionError as second:
            # What is left of it is a fault of meaning, unless it is the same fault.
            raise (error if second.message == error.message else second) from None


def _reads(parsed: Callable[[str], Expression], name: str) -> bool:
    try:
        parsed(name)
    except ExpressionError:
        return False
    return True


def borrowed(text: str, there: Callable[[str], bool] = lambda name: False) -> str:
    """`text` in the language of Midas.

    Args:
        text: As it came.
        there: Whether a name is a column or a feature already: then it means that.

    Raises:
        _NoCounterpartError: It cannot be said in it.
    """
    if not isinstance(text, str) or len(text) > MOST_BYTES:
        raise _NoCounterpartError("")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(as_python(text), mode="eval")
        return _text(_Reader(there).value(tree.body, 0))
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise _NoCounterpartError("") from error


class _Reader:
    """Writes what a tree of another language says."""

    def __init__(self, there: Callable[[str], bool]) -> None:
        self._there = there
        self._bound: dict[str, str] = {}

    def value(self, node: ast.expr, deep: int) -> _Value:
        if deep > _DEEP:
            raise _NoCounterpartError("")
        go = deep + 1
        match node:
            case ast.Constant(value=bool()):
                return "1" if node.value else "0"
            case ast.Constant(value=int() | float()):
                return repr(node.value)
            case ast.Name():
                return self._bound.get(node.id, "") or self._column(node.id)
            case ast.UnaryOp(op=ast.Not()):
                return f"(not {self.text(node.operand, go)})"
            case ast.UnaryOp(op=ast.USub() | ast.UAdd()):
                inner = self.text(node.operand, go)
                return f"(-{inner})" if isinstance(node.op, ast.USub) else inner
            case ast.BinOp() if type(node.op) in _INFIX:
                folded = _folded(node)
                if folded is not None:
                    return folded
                return f"({self.text(node.left, go)} {_INFIX[type(node.op)]} {self.text(node.right, go)})"
            case ast.BoolOp():
                word = " and " if isinstance(node.op, ast.And) else " or "
                return "(" + word.join(self.text(v, go) for v in node.values) + ")"
            case ast.Compare() if all(type(o) in _COMPARED for o in node.ops):
                every = [self.text(v, go) for v in (node.left, *node.comparators)]
                pairs = zip(every, node.ops, every[1:], strict=False)
                return "(" + " and ".join(f"({a} {_COMPARED[type(o)]} {b})" for a, o, b in pairs) + ")"
            case ast.IfExp():
                return f"if_else({', '.join(self.text(v, go) for v in (node.test, node.body, node.orelse))})"
            case ast.Attribute() | ast.Subscript():
                return self._part(node, go)
            case ast.Call():
                return self._call(node, go)
        raise _NoCounterpartError("")

    def text(self, node: ast.expr, deep: int) -> str:
        return _text(self.value(node, deep))

    def _column(self, name: str) -> str:
        low = name.lower()
        if self._there(low):
            return low
        if found := re.fullmatch(r"adv_?(\d{1,3})", low):
            return f"ts_mean(quote_volume, {int(found[1])})"
        if low == "vwap":
            return "(quote_volume / volume)"
        return "returns(close, 1)" if low in _RETURN else COLUMNS.get(low, low)

    def _part(self, node: ast.Attribute | ast.Subscript, deep: int) -> _Value:
        """`df.close`, `df['close']`: a column; of a group, the group of that column."""
        if isinstance(node, ast.Attribute):
            name = node.attr
        elif isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
            name = node.slice.value
        else:
            raise _NoCounterpartError("an expression has no subscripts: write delay(x, n) for the past")
        if isinstance(node.value, ast.Name) and node.value.id.lower() in _FRAMES - set(self._bound):
            return self._column(name)
        if isinstance(node.value, ast.Call):
            inner = self.value(node.value, deep)
            if isinstance(inner, _Grouped) and not inner.text:
                return _Grouped(self._column(name), inner.across)
        raise _NoCounterpartError(f"there is nothing like .{name[:40]} here")

    def _call(self, node: ast.Call, deep: int) -> _Value:
        if isinstance(node.func, ast.Name):
            return self._function(node.func.id, node, deep)
        if not isinstance(node.func, ast.Attribute):
            raise _NoCounterpartError("")
        base, name = node.func.value, node.func.attr
        while isinstance(base, ast.Attribute) and isinstance(base.value, ast.Name) and base.value.id in _LIBRARIES:
            base = base.value
        if isinstance(base, ast.Name) and base.id.lower() in _LIBRARIES and base.id not in self._bound:
            return self._function(name, node, deep)
        if isinstance(base, ast.Name) and base.id.lower() in _FRAMES and name == "groupby":
            return self._grouped("", node)
        return self._method(self.value(base, deep), name, node, deep)

    # -- functions -------------------------------------------------------------------------------

    def _function(self, name: str, node: ast.Call, deep: int) -> str:
        args = self._arguments(node, deep)
        low = name.lower()
        low = SAME.get(low, low) if low not in OPERATORS else low
        if low == "cs_neutralize" and len(args) == 2 and is_label(args[1]):
            low = "cs_group_demean"
        if low in ("rsi", "macd", "bbands_pct") and args and _is_number(args[0]):
            args = ["close", *args]
        if low == "atr" and len(args) < 3 and all(map(_is_number, args)):
            args = ["high", "low", "close", *args]
        if low == "obv" and (not args or _is_number(args[0])):
            args = ["close", "volume", *args]
        if low in ("delay", "delta") and len(args) == 1:
            args = [*args, "1"]
        if low == "ts_quantile" and len(args) == 3 and _is_number(args[1]) and float(args[1]) < 1.0:
            args = [args[0], args[2], args[1]]
        if name.lower() == "sma" and len(args) == 3 and all(map(_is_number, args[1:])):
            return _written("ema", [args[0], str(round(2.0 * float(args[1]) / max(1.0, float(args[2])) - 1.0))])
        if low in FOLDED and len(args) >= 2:
            whole = args[0]
            for arg in args[1:]:
                whole = f"({whole} {FOLDED[low]} {arg})" if FOLDED[low] in ("and", "or") else (
                    f"{FOLDED[low]}({whole}, {arg})"
                )  # fmt: skip
            return whole
        if low in OPERATORS:
            return _written(low, args)
        for form in FORMS.get(low, ()):
            if _places(form) == len(args):
                return f"({form.format(*args)})"
        raise _NoCounterpartError(f"{name[:40]} with {len(args)} arguments has no counterpart here")

    def _arguments(self, node: ast.Call, deep: int, idle: tuple[str, ...] = IDLE_WORDS) -> list[str]:
        """Positional ones, then those by keyword: series, bars, the rest."""
        named: list[tuple[int, str]] = []
        for k in node.keywords:
            word = (k.arg or "").lower()
            if word in idle or (word == "axis" and _axis(k.value)):
                continue
            place = 0 if word in SERIES_WORDS else 1 if word in WINDOW_WORDS else 2
            if place == 2 and word not in ("q", "k", "fast", "slow", "signal", "low", "high", "lower", "upper", "std"):
                raise _NoCounterpartError(f"the argument {word[:40]} has no counterpart here")
            named.append((place, self.text(k.value, deep)))
        return [self.text(a, deep) for a in node.args] + [t for _, t in sorted(named, key=lambda p: p[0])]

    # -- methods ---------------------------------------------------------------------------------

    def _method(self, base: _Value, name: str, node: ast.Call, deep: int) -> _Value:
        if name in ("apply", "transform", "agg") and len(node.args) == 1:
            return self._applied(base, node.args[0], deep)
        if name == "groupby":
            return self._grouped(_text(base), node)
        if name == "astype" and _is_condition(node.func):
            return base
        args = self._arguments(node, deep, (*IDLE_WORDS, "axis") if name in _INFIX_METHODS else IDLE_WORDS)
        across = any(k.arg == "axis" and _axis(k.value) for k in node.keywords)
        return self._of(base, name, args, across)

    def _of(self, base: _Value, name: str, args: list[str], across: bool) -> _Value:
        """What a method makes of its base; `across` is over the symbols of a bar."""
        if isinstance(base, _Grouped):
            across = across or base.across
            base = base.text
        if across and (name not in ("rank", "mean") or args or isinstance(base, _Rolling)):
            raise _NoCounterpartError(f"{name[:40]} over the symbols of a bar has no counterpart here")
        if isinstance(base, _Rolling):
            if name == "var" and not args and not base.fading:
                return f"(ts_std({base.text}, {base.bars}) ** 2)"
            if name not in _ROLLED or (base.fading and name != "mean"):
                raise _NoCounterpartError(f".{name} of a window has no counterpart here")
            own = [a for a in args if not _is_number(a)] if name in ("corr", "cov") else []
            rest = args if name == "quantile" else []
            return _written("ema" if base.fading else _ROLLED[name], [base.text, *own, base.bars, *rest])
        if name in ("rolling", "ewm") and len(args) == 1:
            return _Rolling(base, args[0], name == "ewm")
        if name in _INFIX_METHODS and len(args) == 1:
            return f"({base} {_INFIX_METHODS[name]} {args[0]})"
        if across:
            return f"cs_rank({base})" if name == "rank" else f"({base} - cs_demean({base}))"
        if name in ("shift", "diff", "pct_change") and len(args) <= 1:
            return self._function_of(name, [base, *(args or ["1"])])
        if name == "clip" and len(args) == 2:
            return _written("clip", [base, *args])
        if name == "where" and len(args) == 2:
            return f"if_else({args[0]}, {base}, {args[1]})"
        if name in _PLAIN_METHODS and not args:
            return self._function_of(name, [base])
        raise _NoCounterpartError(f".{name[:40]} looks at a whole history, or has no counterpart here")

    def _function_of(self, name: str, args: list[str]) -> str:
        low = SAME.get(name, name)
        if low in OPERATORS:
            return _written(low, args)
        form = next(f for f in FORMS[low] if _places(f) == len(args))
        return f"({form.format(*args)})"

    def _grouped(self, base: str, node: ast.Call) -> _Grouped:
        keys = [*node.args, *(k.value for k in node.keywords if k.arg in ("level", "by"))]
        words = {str(k.value).lower() for k in keys if isinstance(k, ast.Constant)}
        if len(keys) == 1 and words & _OVER_TIME:
            return _Grouped(base, across=False)
        if len(keys) == 1 and words & _OVER_SYMBOLS:
            return _Grouped(base, across=True)
        raise _NoCounterpartError("groups are cs_group_mean, cs_group_demean and cs_group_rank by a label")

    def _applied(self, base: _Value, work: ast.expr, deep: int) -> _Value:
        """`.transform(lambda s: ...)` of one symbol's series: the body, over the series."""
        if isinstance(work, ast.Constant) and isinstance(work.value, str):
            return self._of(base, work.value, [], across=False)
        plain: _Value = base
        if isinstance(base, _Grouped) and not base.across:
            plain = base.text
        if isinstance(work, ast.Attribute | ast.Name) and isinstance(plain, str):
            return self._function_of((work.attr if isinstance(work, ast.Attribute) else work.id).lower(), [plain])
        if not isinstance(work, ast.Lambda) or len(work.args.args) != 1 or not isinstance(plain, str):
            raise _NoCounterpartError("a function of one's own has no counterpart here")
        name = work.args.args[0].arg
        kept, self._bound = self._bound, self._bound | {name: plain}
        try:
            return self.value(work.body, deep)
        finally:
            self._bound = kept


def _text(value: _Value) -> str:
    if not isinstance(value, str):
        raise _NoCounterpartError("a window or a group needs to say what of it: .mean(), .std(), ...")
    return value


def _written(operator: str, args: list[str]) -> str:
    """A call; a window that is written as a product or with a point is written out."""
    params = OPERATORS[operator].params
    for i, arg in enumerate(args[: len(params)]):
        if params[i].kind is Kind.WINDOW and _is_number(arg) and float(arg).is_integer():
            args[i] = str(int(float(arg)))
    return f"{operator}({', '.join(args)})"


def _folded(node: ast.BinOp) -> str | None:
    """A product of whole numbers as one: `24*7` bars."""
    match node:
        case ast.BinOp(left=ast.Constant(value=int(a)), op=ast.Mult(), right=ast.Constant(value=int(b))):
            return str(a * b) if abs(a) < 10**6 and abs(b) < 10**6 else None
        case ast.BinOp(left=ast.BinOp() as left, op=ast.Mult(), right=ast.Constant(value=int(b))):
            inner = _folded(left)
            return str(int(inner) * b) if inner is not None and abs(b) < 10**6 else None
    return None


def _is_condition(method: ast.expr) -> bool:
    """Whether a method's base is 1 or 0 whatever type it is made of."""
    base = method.value if isinstance(method, ast.Attribute) else method
    return isinstance(base, ast.Compare | ast.BoolOp) or (
        isinstance(base, ast.UnaryOp) and isinstance(base.op, ast.Not)
    )


def _axis(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value in (1, "columns")


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdigit()


def _places(form: str) -> int:
    return 1 + max(i for i in range(4) if f"{{{i}}}" in form)
