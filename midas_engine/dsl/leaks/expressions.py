"""Auditing an expression on a panel: the engine is run, not trusted.

The parser refuses every spelling of look-ahead, so what this catches is an operator that breaks its word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from midas_engine.dsl.doubts import doubts
from midas_engine.dsl.engine import FeatureEngine
from midas_engine.dsl.leaks.report import AuditReport, Check, compare, leak_report, moved
from midas_engine.errors import LookAheadError
from midas_engine.market.panel import Panel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from midas_engine.dsl.expression import Expression
    from midas_engine.dsl.leaks.report import Array
    from midas_engine.settings import DslLimits

LEAST_BARS = 20
# What a scored candidate is audited on: long enough for the default look-back twice, wide enough for ranks.
EXCERPT_BARS, EXCERPT_SYMBOLS = 4096, 24
# A share of values that moved with the start; below it is rounding at the edge of a comparison.
_START_SHARE = 0.005


def excerpt(panel: Panel, bars: int = EXCERPT_BARS, symbols: int = EXCERPT_SYMBOLS) -> Panel:
    """The last bars of the first symbols; the panel itself when it is smaller."""
    if bars >= panel.T and symbols >= panel.S:
        return panel
    short = panel.slice(panel.T - bars, None) if bars < panel.T else panel
    return short.select(short.symbols[:symbols]) if symbols < short.S else short


class ExpressionAuditor:
    """Audits expressions on one panel; the altered copies of the panel are made once.

    Args:
        panel: The data.
        limits: Size limits of expressions.
        features: Expressions usable by name.

    Example:
        >>> from midas_engine.market import SyntheticMarket
        >>> auditor = ExpressionAuditor(SyntheticMarket(1, bars=400, symbols=3).panel())
        >>> auditor.check("ts_zscore(close, 24)").verdict
        'clean'
    """

    def __init__(
        self, panel: Panel, *, limits: DslLimits | None = None, features: Mapping[str, str] | None = None
    ) -> None:
        def engine(part: Panel) -> FeatureEngine:
            return FeatureEngine(part, limits=limits, features=features, cache_bytes=0)

        self.panel = panel
        # Odd places, so that no cut falls on the border of an hour, a day or a kernel's block.
        self._removed_at, self._changed_at = int(panel.T * 0.62) | 1, int(panel.T * 0.83) | 1
        self._start = panel.T // 5
        self._whole = engine(panel)
        self._removed = engine(panel.slice(0, self._removed_at))
        self._changed = engine(with_other_future(panel, self._changed_at))
        self._late = engine(panel.slice(self._start, None))
        self._passed: set[str] = set()

    def check(self, expr: str | Expression) -> AuditReport:
        """The audit of one expression.

        Raises:
            ExpressionError: It is refused before it is run; look-ahead in any spelling is.
        """
        expression = self._whole.parse(expr)
        warnings = tuple(w.message for w in doubts(expression))
        if self.panel.T < LEAST_BARS:
            return AuditReport(
                expression.text, "unproven", (), warnings, f"{self.panel.T} bars are too few; it takes {LEAST_BARS}"
            )
        values = self._whole.values(expression)
        checks = [
            self._against("the future removed", values, self._removed.values(expression), self._removed_at),
            self._against("the future changed", values, self._changed.values(expression), self._changed_at),
        ]
        start, warning = self._started_later(values, expression)
        if start is not None:
            checks.append(start)
        return leak_report(expression.text, checks, (*warnings, *warning))

    def know(self, features: Mapping[str, str]) -> None:
        """Make more features usable by name."""
        for engine in (self._whole, self._removed, self._changed, self._late):
            engine.features |= features

    def refuse(self, expr: str | Expression) -> None:
        """Audit an expression, once, and refuse it when it leaks.

        Raises:
            LookAheadError: Values moved when only later bars did.
        """
        expression = self._whole.parse(expr)
        if expression.text in self._passed:
            return
        report = self.check(expression)
        if not report.ok:
            raise LookAheadError(
                f"the expression sees the future: {report.reason}",
                text=expression.text,
                length=len(expression.text),
                hint="`midas dsl audit EXPR` shows where",
            )
        self._passed.add(expression.text)

    def _against(self, what: str, values: Array, other: Array, cut: int) -> Check:
        size = self.panel.S
        return compare(
            f"{what} from bar {cut:,} on",
            values[:cut].reshape(-1),
            other[:cut].reshape(-1),
            np.repeat(np.arange(cut), size),
            cut,
            np.repeat(self.panel.timestamps[:cut], size),
        )

    def _started_later(self, values: Array, expression: Expression) -> tuple[Check | None, tuple[str, ...]]:
        """Values after the warm-up must not depend on where the history starts."""
        first = self._start + expression.lookback
        if first >= self.panel.T:
            return None, (f"the start was not varied: it needs {expression.lookback:,} bars of past",)
        before, after = values[first:], self._late.values(expression)[expression.lookback :]
        # A float tie broken differently moves single values by a whole rank; only a share of them is a fault.
        differing = int(moved(before, after).sum())
        name = f"the history started {self._start:,} bars later"
        check = Check(name, int(before.size))
        if differing <= _START_SHARE * before.size:
            return check, ()
        text = f"{differing:,} of {before.size:,} values depend on where the history starts: the memory is understated"
        return check, (text,)


def with_other_future(panel: Panel, cut: int, seed: int = 0) -> Panel:
    """The panel with every value from bar `cut` on replaced by another, some by nothing."""
    rng = np.random.default_rng(seed)
    fields = {}
    for name, values in panel.fields.items():
        other = np.array(values)
        late = other[cut:]
        other[cut:] = late[::-1] * rng.lognormal(0.0, 1.0, late.shape)
        other[cut:][rng.random(late.shape) < 0.05] = np.nan
        fields[name] = other
    return Panel(panel.timestamps, panel.symbols, fields, panel.bar_seconds)


def audit(
    expr: str | Expression,
    panel: Panel,
    *,
    limits: DslLimits | None = None,
    features: Mapping[str, str] | None = None,
) -> AuditReport:
    """Audit one expression on a panel; see `ExpressionAuditor`."""
    return ExpressionAuditor(panel, limits=limits, features=features).check(expr)
