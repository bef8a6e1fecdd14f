"""Random expressions from the typed grammar: always valid, of bounded depth, from the registry alone.

The property test that batch equals stream draws from it, and so does the search for features.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from midas_engine.dsl.expression import parse
from midas_engine.dsl.labels import is_label
from midas_engine.dsl.registry import OPERATORS, Kind, Operator
from midas_engine.errors import LimitError
from midas_engine.settings import DslLimits

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import numpy as np

WINDOWS = (1, 2, 3, 4, 6, 8, 12, 24, 48, 72, 168)
_TRIES = 20
_CONSTANTS = ("0.5", "1", "2", "-1", "0.001", "100", "1e-6")


def random_expression(
    rng: np.random.Generator,
    columns: Sequence[str],
    max_depth: int = 4,
    *,
    max_window: int = 168,
    exclude: Collection[str] = (),
    infix_share: float = 0.5,
    limits: DslLimits | None = None,
) -> str:
    """One random valid expression.

    Args:
        rng: Source of randomness; the same state gives the same text.
        columns: Columns to draw from.
        max_depth: Operator nesting at most.
        max_window: Longest window or shift.
        exclude: Operators or families left out, e.g. `("cross_section",)` for one symbol.
        infix_share: How often a symbol is written where an operator has one.
        limits: The limits it must meet; None takes the defaults.

    Example:
        >>> random_expression(np.random.default_rng(3), ["close", "volume"], 2)  # doctest: +SKIP
        'ts_rank(volume / close, 24)'
    """
    allowed = [o for o in OPERATORS.values() if o.name not in exclude and o.family not in exclude]
    known = limits if limits is not None else DslLimits()
    writer = _Writer(rng, list(columns), allowed, min(max_window, known.window_bars), infix_share)
    for depth in [max_depth] * _TRIES + list(range(max_depth, -1, -1)):
        text = writer.write(depth)
        with contextlib.suppress(LimitError):
            return parse(text, columns=columns, limits=known).text
    raise LimitError("no expression this random fits the limits", hint="allow longer windows or more nodes")


class _Writer:
    def __init__(
        self, rng: np.random.Generator, columns: list[str], operators: list[Operator], max_window: int, infix: float
    ) -> None:
        self.rng = rng
        self.columns = [c for c in columns if not is_label(c)] or columns
        self.labels = [c for c in columns if is_label(c)]
        self.operators = operators
        self.windows = [w for w in WINDOWS if w <= max_window] or [max_window]
        self.infix = infix

    def write(self, depth: int) -> str:
        """An expression that is not a bare literal."""
        if depth <= 0 or self.rng.random() < 0.1:
            return str(self.rng.choice(self.columns))
        operator = self.operators[int(self.rng.integers(len(self.operators)))]
        literal = operator.scalars and self.rng.random() < 0.25
        args = [self.write(depth - 1) for _ in range(operator.arity)]
        if self.labels and operator.name.startswith("cs_group_"):
            args[1] = str(self.rng.choice(self.labels))
        if literal:
            args[-1] = str(self.rng.choice(_CONSTANTS))
        literals = [self.literal(p.kind, p.low, p.high) for p in operator.literals]
        if operator.name == "clip":
            literals = ["-2", "2"]
        if operator.infix and operator.arity == 2 and self.rng.random() < self.infix:
            return f"({args[0]} {operator.infix} {args[1]})"
        if operator.infix and operator.arity == 1 and operator.name != "neg":
            return f"({operator.infix} {args[0]})"
        if operator.name == "neg" and self.rng.random() < self.infix:
            return f"(-{args[0]})"
        return f"{operator.name}({', '.join(args + literals)})"

    def literal(self, kind: Kind, low: float, high: float) -> str:
        if kind is Kind.WINDOW:
            fitting = [w for w in self.windows if w >= low] or [int(low)]
            return str(fitting[int(self.rng.integers(len(fitting)))])
        low, high = max(low, -3.0), min(high, 3.0)
        return f"{self.rng.uniform(low, high):.2f}"
