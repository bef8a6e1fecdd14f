"""`FeatureEngine`: expressions over a whole panel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.dsl.cache import Pool, ValueCache
from midas_engine.dsl.expression import Expression, parse
from midas_engine.dsl.lanes import run_cut
from midas_engine.dsl.nodes import Number
from midas_engine.dsl.operators.numeric import watching
from midas_engine.dsl.plan import Plan, build_plan, peak_bytes
from midas_engine.dsl.registry import OPERATORS, Array
from midas_engine.dsl.schedule import Order, orders_of
from midas_engine.errors import ExpressionTypeError, LimitError
from midas_engine.settings import DslLimits

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
        self.limits = (limits if limits is not None else DslLimits()).at(panel.bar_seconds)
        self.features = dict(features or {})
        self.min_shares = dict(min_shares or {})
        if cache is None:
            cache = _SHARED_CACHE if cache_bytes == DEFAULT_CACHE_BYTES else ValueCache(cache_bytes)
        self.cache = cache
        self._columns = frozenset(panel.columns)
        self._pool = Pool(panel.shape)
        self._clean: dict[str, Array] = {}
        self._plans: dict[str | int, tuple[str | Expression, Plan, tuple[Order, ...]]] = {}

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
        return self._run(*self._planned(expr))[0]

    def many(self, exprs: list[str | Expression]) -> list[Array]:
        """Several features at once; their common parts are computed once."""
        expressions = [self.parse(e) for e in exprs]
        plan = build_plan([e.ast for e in expressions], self.limits.min_share, self.min_shares)
        if self.panel.S == 1:
            for expression in expressions:
                refuse_cross_section(expression, build_plan([expression.ast], self.limits.min_share))
        self._refuse_large(plan, "; ".join(e.text for e in expressions))
        return self._run(plan, orders_of(plan, *self.panel.shape))

    def compute(self, expr: str | Expression) -> pd.Series:
        """The feature as a Series: index (timestamp, symbol), or timestamp when there is one symbol."""
        series: pd.Series = self.panel.to_series(self.values(expr))
        series.name = expr.text if isinstance(expr, Expression) else expr
        return series

    # -- execution -----------------------------------------------------------------------------

    def _planned(self, expr: str | Expression) -> tuple[Plan, tuple[Order, ...]]:
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
            known = self._plans[key] = (expr, plan, orders_of(plan, *self.panel.shape))
        return known[1:]

    def _refuse_large(self, plan: Plan, text: str) -> None:
        wanted, allowed = peak_bytes(plan, *self.panel.shape) / 2**20, self.limits.memory_mb
        if wanted > allowed:
            raise LimitError(
                f"computing this holds {wanted:,.0f} MB at once, more than the limit dsl.memory_mb = {allowed}",
                text=text[:200],
                hint="use fewer parts at once, less history or fewer symbols",
            )

    def _run(self, plan: Plan, orders: tuple[Order, ...]) -> list[Array]:
        values: list[Any] = [None] * len(plan.steps)
        caching = self.cache.budget > 0
        if caching:
            orders, waiting = self._needed(plan, orders, values)
        for i, step in enumerate(plan.steps):
            if step.leaf is not None:
                values[i] = step.leaf.value if isinstance(step.leaf, Number) else self._column(step.leaf.name)
        with watching():
            for order in orders:
                out = self._pool.take()
                self._obey(order, [values[s] for s in order.sources], out)
                values[order.index] = out
                done = order.done
                if caching:
                    key = (self.panel.snapshot_id, order.key)
                    if order.worth_keeping and self.cache.wanted(key) and self.cache.put(key, out):
                        self._pool.forget(out)
                    done = tuple(_finished(order, waiting, plan))
                for i in done:
                    self._pool.give(values[i])
                    values[i] = None
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

    def _needed(self, plan: Plan, orders: tuple[Order, ...], values: list[Any]) -> tuple[tuple[Order, ...], list[int]]:
        """What is left to compute after filling in what the cache has, and how often each step is still waited for."""
        snapshot = self.panel.snapshot_id
        wanted = set(plan.outputs)
        for i in range(len(plan.steps) - 1, -1, -1):
            step = plan.steps[i]
            if i in wanted and step.leaf is None:
                values[i] = self.cache.get((snapshot, step.key))
                if values[i] is None:
                    wanted.update(step.sources)
        waiting = list(plan.uses)
        for i, step in enumerate(plan.steps):
            if i not in wanted or values[i] is not None:
                for source in step.sources:
                    waiting[source] -= 1
        return tuple(o for o in orders if o.index in wanted and values[o.index] is None), waiting

    def _column(self, name: str) -> Array:
        """A column; infinities in the data are missing values."""
        if name not in self._clean:
            array: Array = self.panel.values(name)
            infinite = np.isinf(array)
            if infinite.any():
                array = np.where(infinite, np.nan, array)
            self._clean[name] = array
        return self._clean[name]

    def _obey(self, order: Order, args: list[Any], out: Array) -> None:
        for k in order.spread:
            value, args[k] = args[k], self._pool.take()
            args[k].fill(value)
        if order.cut:
            run_cut(order.operator, args, order.params, order.need, out)
        else:
            state = order.operator.new_state(order.params, out.shape[1]) if order.stateful else None
            order.run(args, order.params, order.need, state, out)
        for k in order.spread:
            self._pool.give(args[k])


def _finished(order: Order, waiting: list[int], plan: Plan) -> Iterator[int]:
    """Steps that nobody waits for after this order, when some came from the cache."""
    for source in order.sources:
        waiting[source] -= 1
        if not waiting[source] and plan.steps[source].operator is not None:
            yield source


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
