"""`FeatureEngine`: expressions over a whole panel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.dsl.cache import Pool, ValueCache
from midas_engine.dsl.expression import Expression, parse
from midas_engine.dsl.lanes import run_cut
from midas_engine.dsl.nodes import Number
from midas_engine.dsl.operators.numeric import watching
from midas_engine.dsl.plan import Plan, Step, build_plan, peak_bytes
from midas_engine.dsl.registry import OPERATORS, Array
from midas_engine.errors import ExpressionTypeError, LimitError
from midas_engine.settings import DslLimits

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from midas_engine.market.panel import Panel

DEFAULT_CACHE_BYTES = 256 * 2**20
_PLANS = 512
_SHARED_CACHE = ValueCache(DEFAULT_CACHE_BYTES)


class FeatureEngine:
    """Computes expressions over a panel; parts that occur twice are computed once.

    Building one is cheap: it holds references only. The cache of shared parts belongs to the process and is
    keyed by the panel's content, so several engines on one panel share it.

    Args:
        panel: The market data.
        limits: Size limits; None takes the defaults.
        cache_bytes: Budget of the cache; 0 keeps nothing between calls.
        features: Expressions usable by name.
        min_shares: Share of valid bars a window needs, by operator, where it differs from the limits' setting.
        cache: A cache of its own; None uses the process's.

    Example:
        >>> from midas_engine.market import Panel
        >>> t = np.datetime64("2026-01-01", "ns") + np.arange(3) * np.timedelta64(3600, "s")
        >>> p = Panel(t, ("BTCUSDT",), {"close": np.array([[1.0], [2.0], [4.0]])}, 3600)
        >>> FeatureEngine(p).values("close / delay(close, 1) - 1").ravel().tolist()
        [nan, 1.0, 1.0]
    """

    def __init__(
        self,
        panel: Panel,
        *,
        limits: DslLimits | None = None,
        cache_bytes: int = DEFAULT_CACHE_BYTES,
        features: Mapping[str, str] | None = None,
        min_shares: Mapping[str, float] | None = None,
        cache: ValueCache | None = None,
    ) -> None:
        self.panel = panel
        self.limits = limits if limits is not None else DslLimits()
        self.features = dict(features or {})
        self.min_shares = dict(min_shares or {})
        if cache is None:
            cache = _SHARED_CACHE if cache_bytes == DEFAULT_CACHE_BYTES else ValueCache(cache_bytes)
        self.cache = cache
        self._columns = frozenset(panel.columns)
        self._pool = Pool(panel.shape)
        self._clean: dict[str, Array] = {}
        self._plans: dict[str | int, tuple[str | Expression, Plan]] = {}

    def parse(self, expr: str | Expression) -> Expression:
        """The checked expression, against this panel's columns and the known features.

        Raises:
            ExpressionError: What is wrong and where.
        """
        if isinstance(expr, Expression):
            expr = expr.text if not set(expr.columns) <= self._columns else expr
        if isinstance(expr, str):
            expr = parse(expr, columns=self._columns, limits=self.limits, features=self.features)
        return expr

    def values(self, expr: str | Expression) -> Array:
        """The feature's values [T, S], NaN where undefined, never infinite; read-only.

        Raises:
            ExpressionError: The expression is refused.
            ExpressionTypeError: A cross-sectional operator on one symbol: there is nothing to compare
                with, and silent NaN would look like a bad feature.
        """
        return self._run(self._planned(expr))[0]

    def many(self, exprs: list[str | Expression]) -> list[Array]:
        """Several features at once; their common parts are computed once."""
        expressions = [self.parse(e) for e in exprs]
        plan = build_plan([e.ast for e in expressions], self.limits.min_share, self.min_shares)
        if self.panel.S == 1:
            for expression in expressions:
                refuse_cross_section(expression, build_plan([expression.ast], self.limits.min_share))
        self._refuse_large(plan, "; ".join(e.text for e in expressions))
        return self._run(plan)

    def compute(self, expr: str | Expression) -> pd.Series:
        """The feature as a Series: index (timestamp, symbol), or timestamp when there is one symbol."""
        series: pd.Series = self.panel.to_series(self.values(expr))
        series.name = expr.text if isinstance(expr, Expression) else expr
        return series

    # -- execution -----------------------------------------------------------------------------

    def _planned(self, expr: str | Expression) -> Plan:
        """The plan of one expression; the latest few hundred are remembered."""
        key = expr if isinstance(expr, str) else id(expr)
        known = self._plans.get(key)
        if known is None:
            expression = self.parse(expr)
            plan = build_plan([expression.ast], self.limits.min_share, self.min_shares)
            if self.panel.S == 1:
                refuse_cross_section(expression, plan)
            self._refuse_large(plan, expression.text)
            if len(self._plans) >= _PLANS:
                self._plans.clear()
            # The asked expression is kept so that its id stays its own.
            known = self._plans[key] = (expr, plan)
        return known[1]

    def _refuse_large(self, plan: Plan, text: str) -> None:
        wanted, allowed = peak_bytes(plan, *self.panel.shape) / 2**20, self.limits.memory_mb
        if wanted > allowed:
            raise LimitError(
                f"computing this holds {wanted:,.0f} MB at once, more than the limit dsl.memory_mb = {allowed}",
                text=text[:200],
                hint="use fewer parts at once, less history or fewer symbols",
            )

    def _run(self, plan: Plan) -> list[Array]:
        values: list[Any] = [None] * len(plan.steps)
        waiting = list(plan.uses)
        caching = self.cache.budget > 0
        needed = self._needed(plan, values, waiting) if caching else range(len(plan.steps))
        with watching():
            for i in needed:
                step = plan.steps[i]
                if values[i] is not None:
                    continue
                if step.leaf is not None:
                    values[i] = step.leaf.value if isinstance(step.leaf, Number) else self._column(step.leaf.name)
                    continue
                out = self._pool.take()
                self._step(step, values, out)
                values[i] = out
                if caching:
                    key = (self.panel.snapshot_id, step.key)
                    if self.cache.wanted(key) and self.cache.put(key, out):
                        self._pool.forget(out)
                for source in step.sources:
                    waiting[source] -= 1
                    if not waiting[source] and plan.steps[source].leaf is None:
                        self._pool.give(values[source])
                        values[source] = None
        results = []
        for i in plan.outputs:
            value = values[i]
            if isinstance(value, float):
                value = np.full(self.panel.shape, value)
            self._pool.forget(value)
            if value.flags.writeable:
                value.flags.writeable = False
            results.append(value)
        self._pool.drop()
        return results

    def _needed(self, plan: Plan, values: list[Any], waiting: list[int]) -> list[int]:
        """Steps to compute, in order, after filling in what the cache has."""
        snapshot = self.panel.snapshot_id
        wanted = set(plan.outputs)
        for i in range(len(plan.steps) - 1, -1, -1):
            if i not in wanted:
                continue
            step = plan.steps[i]
            if step.leaf is None:
                values[i] = self.cache.get((snapshot, step.key))
                if values[i] is None:
                    wanted.update(step.sources)
        for i in range(len(plan.steps)):
            if i not in wanted or values[i] is not None:
                for source in plan.steps[i].sources:
                    waiting[source] -= 1
        return sorted(wanted)

    def _column(self, name: str) -> Array:
        """A column; infinities in the data are missing values."""
        if name not in self._clean:
            array: Array = self.panel.values(name)
            infinite = np.isinf(array)
            if infinite.any():
                array = np.where(infinite, np.nan, array)
            self._clean[name] = array
        return self._clean[name]

    def _step(self, step: Step, values: list[Any], out: Array) -> None:
        operator = step.operator
        assert operator is not None
        args = [values[s] for s in step.sources]
        borrowed = []
        if not operator.scalars or all(isinstance(a, float) for a in args):
            for k, arg in enumerate(args):
                if isinstance(arg, float):
                    args[k] = self._pool.take()
                    args[k].fill(arg)
                    borrowed.append(args[k])
        run = operator.batch
        if run is not None and operator.literals and int(step.params[0]) >= self.panel.T:
            run = None
        if not (operator.blocked and run_cut(operator, args, step.params, step.need, out)):
            state = None if run is not None else operator.new_state(step.params, self.panel.S)
            (run or operator.run)(args, step.params, step.need, state, out)  # type: ignore[misc]
        for array in borrowed:
            self._pool.give(array)


def refuse_cross_section(expression: Expression, plan: Plan) -> None:
    """Refuse a cross-sectional operator where there is one symbol."""
    for step in plan.steps:
        operator = step.operator
        if operator is not None and OPERATORS[operator.name].family == "cross_section":
            at = max(expression.text.find(operator.name), 0)
            raise ExpressionTypeError(
                f"{operator.name} compares symbols, and this data has one",
                text=expression.text,
                position=at,
                length=len(operator.name),
                hint="use data with several symbols, or a time-series operator such as ts_rank or ts_zscore",
            )
