"""The published alphas by their own formulas: a small reader of the papers' notation over plain numpy.

Nothing here knows the expression language. Windows are looked at one by one, means are means, ranks are counted.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable

Array = npt.NDArray[np.float64]
DATA = Path(__file__).parent / "data" / "banks"
_TOKEN = re.compile(r"\s*(\d+\.\d*|\.\d+|\d+|[A-Za-z_][A-Za-z_0-9.]*|\|\||&&|==|<=|>=|[-+*/^()?:,<>])")
# Loosest first; the ternary is looser than all, and a sign binds tighter than a product.
_LEVELS = (("||",), ("&&",), ("<", ">", "<=", ">=", "=="), ("+", "-"), ("*", "/"), ("^",))
TIE = 1e-11
"""Ranks take values this near, of the largest that is ranked, for equal."""


def formulas(bank: str) -> dict[int, str]:
    """Number -> formula, of a file of the papers' formulas."""
    lines = (DATA / f"{bank}.tsv").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return {int(number): formula for number, formula in rows}


class Reader:
    """Computes a formula as it reads it; equal parts are computed once.

    Args:
        columns: Names a formula may read, lower case, [T, S] each.
        functions: By lower-case name; a function named in `windowed` gets its last argument as a whole number.
    """

    def __init__(self, columns: dict[str, Array], functions: dict[str, Callable[..., Any]], windowed: set[str]) -> None:
        self.columns, self.functions, self.windowed = columns, functions, windowed
        self.known: dict[str, Any] = {}

    def value(self, formula: str) -> Any:
        """The value of a whole formula."""
        self.tokens: list[str] = []
        at = 0
        text = formula.strip()
        while at < len(text):
            found = _TOKEN.match(text, at)
            assert found, f"no token at {text[at : at + 20]!r}"
            self.tokens.append(found[1])
            at = found.end()
        self.at = 0
        result = self._ternary()
        assert self.at == len(self.tokens), f"left over: {self.tokens[self.at :]}"
        return result

    def _peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def _pop(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1]

    def _ternary(self) -> Any:
        condition = self._binary(0)
        if self._peek() != "?":
            return condition
        self._pop()
        yes = self._ternary()
        assert self._pop() == ":"
        no = self._ternary()
        chosen = np.where(condition > 0, yes, no)
        return np.where(np.isnan(condition), np.nan, chosen)

    def _binary(self, level: int) -> Any:
        if level == len(_LEVELS):
            return self._sign()
        left = self._binary(level + 1)
        while self._peek() in _LEVELS[level]:
            symbol = self._pop()
            left = _OPERATIONS[symbol](left, self._binary(level + 1))
        return left

    def _sign(self) -> Any:
        if self._peek() == "-":
            self._pop()
            return -self._sign()
        return self._atom()

    def _atom(self) -> Any:
        start = self.at
        token = self._pop()
        if token == "(":
            value = self._ternary()
            assert self._pop() == ")"
            return value
        if token[0].isdigit() or token[0] == ".":
            return float(token)
        name = token.lower()
        if self._peek() != "(":
            return self._column(name)
        self._pop()
        args = [self._ternary()]
        while self._peek() == ",":
            self._pop()
            args.append(self._ternary())
        assert self._pop() == ")"
        key = "".join(self.tokens[start : self.at])
        if key not in self.known:
            if name in self.windowed:
                args[-1] = int(args[-1])
            self.known[key] = self.functions[name](*args)
        return self.known[key]

    def _column(self, name: str) -> Any:
        return self.columns[name]


def _where_known(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def apply(a: Any, b: Any) -> Any:
        return np.where(np.isnan(a) | np.isnan(b), np.nan, function(a, b))

    return apply


def _divide(a: Any, b: Any) -> Any:
    with np.errstate(all="ignore"):
        found = np.divide(a, b)
    return np.where(np.isfinite(found), found, np.nan)


def _power(a: Any, b: Any) -> Any:
    with np.errstate(all="ignore"):
        found = np.power(a, b)
    return np.where(np.isfinite(found), found, np.nan)


_OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "||": _where_known(lambda a, b: ((a > 0) | (b > 0)) * 1.0),
    "&&": _where_known(lambda a, b: ((a > 0) & (b > 0)) * 1.0),
    "<": _where_known(lambda a, b: (a < b) * 1.0),
    ">": _where_known(lambda a, b: (a > b) * 1.0),
    "<=": _where_known(lambda a, b: (a <= b) * 1.0),
    ">=": _where_known(lambda a, b: (a >= b) * 1.0),
    "==": _where_known(lambda a, b: (a == b) * 1.0),
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": _divide,
    "^": _power,
}


# Windows -----------------------------------------------------------------------------------------------------------


def windows(x: Array, n: int) -> Array:
    """The last n of every cell [T, S, n], newest last, NaN before the first bar."""
    padded = np.vstack([np.full((n - 1, x.shape[1]), np.nan), x])
    return np.lib.stride_tricks.sliding_window_view(padded, n, axis=0)


def over(x: Array, n: int, function: Callable[[Array], Array], least: int = 1) -> Array:
    """`function` of the windows [T, S, n] -> [T, S], NaN where fewer than half of the bars are known."""
    w = windows(x, n)
    enough = (~np.isnan(w)).sum(axis=2) >= max(least, -(-n // 2))
    with np.errstate(all="ignore"):
        return np.where(enough, function(np.where(enough[..., None], w, 0.0)), np.nan)


def delay(x: Array, n: int) -> Array:
    return np.vstack([np.full((n, x.shape[1]), np.nan), x[:-n]]) if n else x


def mean(x: Array, n: int) -> Array:
    return over(x, n, lambda w: np.nanmean(w, axis=2))


def total(x: Array, n: int) -> Array:
    return over(x, n, lambda w: np.nansum(w, axis=2))


def std(x: Array, n: int) -> Array:
    return over(x, n, lambda w: np.nanstd(w, axis=2, ddof=1), 2)


def product(x: Array, n: int) -> Array:
    return over(x, n, lambda w: np.nanprod(w, axis=2))


def ts_max(x: Array, n: int) -> Array:
    return over(x, n, lambda w: np.nanmax(w, axis=2))


def ts_min(x: Array, n: int) -> Array:
    return over(x, n, lambda w: np.nanmin(w, axis=2))


def ts_argmax(x: Array, n: int) -> Array:
    """Which of the n bars held the highest, the newest is n; the latest of ties."""

    def place(w: Array) -> Array:
        highest = np.nanmax(w, axis=2, keepdims=True)
        return n - np.argmax((w >= highest - TIE * np.abs(highest))[..., ::-1], axis=2).astype(float)

    return over(x, n, place)


def ts_argmin(x: Array, n: int) -> Array:
    return ts_argmax(-x, n)


def ts_rank(x: Array, n: int) -> Array:
    def rank(w: Array) -> Array:
        return _placed(w, w[..., -1:])[..., 0]

    return over(x, n, rank)


def _placed(w: Array, x: Array) -> Array:
    """Mean rank of x [..., k] among w [..., n] over how many are known, ties within TIE of the largest."""
    near = TIE * np.nanmax(np.abs(w), axis=-1, keepdims=True)[..., None]
    gap = x[..., :, None] - w[..., None, :]
    below, equal = (gap > near).sum(axis=-1), (np.abs(gap) <= near).sum(axis=-1)
    known = (~np.isnan(w)).sum(axis=-1, keepdims=True)
    return np.where(np.isnan(x), np.nan, (below + (equal + 1) / 2) / known)


def decay_linear(x: Array, n: int) -> Array:
    weights = np.arange(1.0, n + 1)

    def weighted(w: Array) -> Array:
        known = ~np.isnan(w)
        return np.nansum(w * weights, axis=2) / (known * weights).sum(axis=2)

    return over(x, n, weighted)


def covariance(x: Array, y: Array, n: int) -> Array:
    return _pair(x, y, n)[0]


def correlation(x: Array, y: Array, n: int) -> Array:
    cov, sx, sy = _pair(x, y, n)
    return np.clip(_divide(cov, sx * sy), -1.0, 1.0)


def _pair(x: Array, y: Array, n: int) -> tuple[Array, Array, Array]:
    both = np.isnan(x) | np.isnan(y)
    a, b = windows(np.where(both, np.nan, x), n), windows(np.where(both, np.nan, y), n)
    known = ~np.isnan(a)
    count = known.sum(axis=2)
    with np.errstate(all="ignore"):
        da = np.where(known, a - (np.nansum(a, axis=2) / count)[..., None], 0.0)
        db = np.where(known, b - (np.nansum(b, axis=2) / count)[..., None], 0.0)
        # What is left of a flat window is rounding.
        va, vb = (da * da).sum(axis=2), (db * db).sum(axis=2)
        va = np.where(va <= 1e-14 * np.nansum(a * a, axis=2), 0.0, va)
        vb = np.where(vb <= 1e-14 * np.nansum(b * b, axis=2), 0.0, vb)
        found = ((da * db).sum(axis=2) / (count - 1), np.sqrt(va / (count - 1)), np.sqrt(vb / (count - 1)))
    enough = count >= max(2, -(-n // 2))
    return tuple(np.where(enough, v, np.nan) for v in found)  # type: ignore[return-value]


# Across symbols ----------------------------------------------------------------------------------------------------


def rank(x: Array) -> Array:
    known = (~np.isnan(x)).sum(axis=1, keepdims=True)
    with np.errstate(all="ignore"):
        filled = np.where(known > 0, x, 0.0)
        return np.where((known >= 2) & ~np.isnan(x), _placed(filled, filled), np.nan)


def scale(x: Array, to: float = 1.0) -> Array:
    known = (~np.isnan(x)).sum(axis=1, keepdims=True)
    return np.where(known >= 2, _divide(x * to, np.nansum(np.abs(x), axis=1, keepdims=True)), np.nan)


def neutral(x: Array, labels: Array) -> Array:
    out = np.full(x.shape, np.nan)
    for label in np.unique(labels[0]):
        inside = labels[0] == label
        part = x[:, inside]
        known = (~np.isnan(part)).sum(axis=1, keepdims=True)
        means = np.nansum(part, axis=1, keepdims=True) / np.maximum(known, 1)
        out[:, inside] = np.where(known >= 2, part - means, np.nan)
    return out


def of_window(series: Callable[[Array, int], Array], both: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """The papers' min and max: over d bars with a number, of two series otherwise."""
    return lambda x, y: series(x, int(y)) if isinstance(y, float) else both(x, y)


def log(x: Array) -> Array:
    with np.errstate(all="ignore"):
        return np.where(x > 0, np.log(x), np.nan)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "rank": rank, "delta": lambda x, n: x - delay(x, n), "delay": delay, "correlation": correlation,
    "covariance": covariance, "sum": total, "stddev": std, "ts_min": ts_min, "ts_max": ts_max, "ts_rank": ts_rank,
    "ts_argmax": ts_argmax, "ts_argmin": ts_argmin, "decay_linear": decay_linear, "product": product, "scale": scale,
    "log": log, "abs": np.abs, "sign": np.sign, "signedpower": lambda x, a: np.sign(x) * _power(np.abs(x), a),
    "indneutralize": neutral, "min": of_window(ts_min, np.minimum), "max": of_window(ts_max, np.maximum),
}  # fmt: skip
WINDOWED = {
    "delta", "delay", "correlation", "covariance", "sum", "stddev", "ts_min", "ts_max", "ts_rank", "ts_argmax",
    "ts_argmin", "decay_linear", "product",
}  # fmt: skip


def shaken(sign: int) -> dict[str, Callable[..., Any]]:
    """Correlations and weighted means moved by rounding: an alpha that this moves ranks or compares an exact tie.

    Moved by +x and by -x, no tie of two stays hidden: one of them breaks it the other way.
    """
    if not sign:
        return {}
    rng = np.random.default_rng(abs(sign))

    def moved(x: Array, size: Any = 1.0) -> Array:
        return x + np.sign(sign) * 1e-10 * rng.normal(size=x.shape) * size

    return {
        "decay_linear": lambda x, n: moved(decay_linear(x, n)),
        "correlation": lambda x, y, n: moved(correlation(x, y, n)),
        "covariance": lambda x, y, n: moved(covariance(x, y, n), std(x, n) * std(y, n)),
    }


class Kakushadze(Reader):
    """The notation of "101 Formulaic Alphas": adv{d} is the mean dollar volume, IndClass names the labels."""

    def __init__(self, columns: dict[str, Array], *, sign: int = 0) -> None:
        super().__init__(columns, FUNCTIONS | shaken(sign), WINDOWED)

    def _column(self, name: str) -> Any:
        if name.startswith("adv"):
            return mean(self.columns["quote_volume"], int(name[3:]))
        return self.columns[name.removeprefix("indclass.")]
