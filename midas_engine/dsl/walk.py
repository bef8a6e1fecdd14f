"""`FeatureWalk`: one expression over a panel that is larger than memory, some bars at a time.

Every node runs the function that both engines run, over a piece of the history and with a state that is kept from
piece to piece, so the values are those of `FeatureEngine` on the whole history, bit for bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.dsl.engine import refuse_cross_section
from midas_engine.dsl.nodes import Column, Number
from midas_engine.dsl.operators.numeric import watching
from midas_engine.dsl.plan import build_plan, peak_bytes
from midas_engine.errors import ExpressionError, LimitError

if TYPE_CHECKING:
    from midas_engine.dsl.expression import Expression
    from midas_engine.dsl.registry import Array
    from midas_engine.market.panel import Panel
    from midas_engine.settings import DslLimits


class FeatureWalk:
    """Values of an expression, piece after piece.

    Args:
        panel: The market data.
        expression: Checked against the panel's columns.
        bars: Longest piece.
        limits: Size limits.

    Raises:
        ExpressionTypeError: A cross-sectional operator on one symbol.
        LimitError: A piece would hold more memory than is allowed.

    Example:
        >>> from midas_engine.dsl import parse
        >>> from midas_engine.market import Panel
        >>> from midas_engine.settings import DslLimits
        >>> t = np.datetime64("2026-01-01", "ns") + np.arange(3) * np.timedelta64(3600, "s")
        >>> p = Panel(t, ("BTCUSDT",), {"close": np.array([[1.0], [2.0], [4.0]])}, 3600)
        >>> walk = FeatureWalk(p, parse("delta(close, 1)"), 2, DslLimits())
        >>> walk.next(2).ravel().tolist(), walk.next(1).ravel().tolist()
        ([nan, 1.0], [2.0])
    """

    def __init__(self, panel: Panel, expression: Expression, bars: int, limits: DslLimits) -> None:
        self._panel, self._at = panel, 0
        self._plan = plan = build_plan([expression.ast], limits.min_share)
        if panel.S == 1:
            refuse_cross_section(expression, plan)
        shape = (bars, panel.S)
        wanted = peak_bytes(plan, *shape) / 2**20
        if wanted > limits.memory_mb:
            raise LimitError(
                f"computing this holds {wanted:,.0f} MB at once, more than the limit dsl.memory_mb = "
                f"{limits.memory_mb}",
                text=expression.text[:200],
                hint="use fewer parts at once or fewer symbols",
            )
        self._values: list[Any] = [None] * len(plan.steps)
        self._nodes: list[tuple[Any, ...]] = []
        self._inputs: list[tuple[int, str]] = []
        for i, step in enumerate(plan.steps):
            if isinstance(step.leaf, Number):
                self._values[i] = step.leaf.value
                continue
            if isinstance(step.leaf, Column):
                self._inputs.append((i, step.leaf.name))
                continue
            operator = step.operator
            assert operator is not None
            args = [self._values[s] for s in step.sources]
            spread = not operator.scalars or all(isinstance(a, float) for a in args)
            places = [
                np.full(shape, self._values[s]) if spread and isinstance(self._values[s], float) else s
                for s in step.sources
            ]
            self._values[i] = out = np.empty(shape)
            state = operator.new_state(step.params, panel.S)
            self._nodes.append((operator.run, places, step.params, step.need, state, i, out))

    def next(self, bars: int) -> Array:
        """Values of the next bars [bars, S]: NaN where undefined, never infinite. They may be written, until the next.

        Raises:
            ExpressionError: More bars than a piece may have, or than there are.
        """
        start, stop = self._at, self._at + bars
        if stop > self._panel.T:
            raise ExpressionError(f"there are {self._panel.T - start} bars left, not {bars}")
        for i, name in self._inputs:
            rows = self._panel.rows(name, start, stop)
            infinite = np.isinf(rows)
            self._values[i] = np.where(infinite, np.nan, rows) if infinite.any() else np.ascontiguousarray(rows)
        with watching():
            for run, places, params, need, state, i, out in self._nodes:
                args = [self._arg(place, bars) for place in places]
                run(args, params, need, state, out[:bars])
                self._values[i] = out
        self._at = stop
        value = self._values[self._plan.outputs[0]]
        if isinstance(value, float):
            return np.full((bars, self._panel.S), value)
        return np.array(value[:bars])

    def _arg(self, place: Any, bars: int) -> Any:
        value = self._values[place] if isinstance(place, int) else place
        return value if isinstance(value, float) else value[:bars]
