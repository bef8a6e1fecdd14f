"""`evaluate_long`: the figures of `evaluate_values`, to the bit, of a cross-section that does not fit into memory.

A bar of a cross-section is ranked by itself, so values, ranks and scores are made a few thousand bars at a time and
only ranks (two bytes a cell) and one number a bar are kept. What is summed over bars is summed in the same order as on
the whole: windows keep their state from piece to piece, and sums go on where the last piece ended.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.evaluator.context.evaluation_context import EvaluationContext
from midas_engine.evaluator.context.layout import codes
from midas_engine.evaluator.context.part_rows import PartRows
from midas_engine.evaluator.context.scored_as import panel_is_cross
from midas_engine.evaluator.long.capacity import long_capacity
from midas_engine.evaluator.long.first_look import PIECE, first_look
from midas_engine.evaluator.long.further_looks import FurtherLooks
from midas_engine.evaluator.metrics.components import book_of, decay_lags, decay_of, estimate
from midas_engine.evaluator.metrics.result import FEWEST_BARS, Figures, empty_result, result_of, why_empty
from midas_engine.evaluator.metrics.standing import standing_of
from midas_engine.stats.hac import hac_lag, hac_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from midas_engine.dsl.expression import Expression
    from midas_engine.market import Panel
    from midas_engine.models import EvaluationResult
    from midas_engine.settings import Settings
    from midas_engine.stats._jit import Floats

LONG_CELLS = 2_000_000
"""Bars x symbols from which a history is walked over: the whole would take about 150 bytes a cell."""


def is_long(panel: Panel, mode: str) -> bool:
    """Whether a panel is a cross-section that is walked over."""
    if panel.T * panel.S < LONG_CELLS or "close" not in panel.columns:
        return False
    return panel_is_cross(panel, mode)


class LongContext(EvaluationContext):
    """What a long history is scored against, without its returns: figures of bars and of time alone.

    Attributes:
        sigma: See `sigma_bps`.
    """

    sigma: float = math.nan

    def sigma_bps(self, bars: int) -> float:
        """Standard deviation of the forward return over the target, across the symbols of a bar; basis points."""
        return self.sigma


def evaluate_long(
    panel: Panel,
    expression: Expression,
    settings: Settings,
    *,
    rows: slice | None = None,
    part: str = "research",
    regimes: Sequence[str] | NDArray[Any] | None = None,
    name: str = "",
    nominal: str = "",
) -> tuple[EvaluationResult, float]:
    """Every figure of an expression on a part of a cross-section, and its capacity in US dollars.

    Args:
        panel: The history.
        expression: Checked against it.
        settings: Horizons, target, costs and limits.
        rows: The part; None: all of the panel.
        part: Its name.
        regimes: Labels of all bars of the panel.
        name: For messages.
        nominal: See `evaluate_values`.
    """
    from midas_engine.dsl.walk import FeatureWalk

    chosen = settings.evaluation
    target, horizons = chosen.target, tuple(sorted({*chosen.horizons, chosen.target}))
    inputs = PartRows(panel, rows)
    times = panel.timestamps[inputs.start : inputs.stop]
    numbers, labels = codes(None if regimes is None else regimes[inputs.start : inputs.stop], len(times))
    nothing = np.empty((0, panel.S))
    context = LongContext(
        timestamps=times,
        symbols=panel.symbols,
        returns=dict.fromkeys(horizons, nothing),
        target=target,
        bar_seconds=float(panel.bar_seconds),
        costs=settings.costs,
        scale=nothing,
        cross=True,
        part=part,
        rows=rows,
        panel_bars=panel.T,
        funding=nothing if inputs.knows_funding else None,
        regime_names=labels,
        regime_codes=numbers,
        snapshot_id=panel.identity,
        funding_known=inputs.funding_known(),
    )
    walk = FeatureWalk(panel, expression, PIECE, settings.dsl.at(panel.bar_seconds))
    seen = first_look(walk, inputs, horizons, target)
    context.sigma = seen.sigma_bps
    bars = seen.bars
    count = int(np.count_nonzero(bars.u == bars.u))
    coverage = bars.cells / seen.scorable if seen.scorable else 0.0
    if count < FEWEST_BARS:
        some = np.zeros(1) if seen.known else nothing
        empty = empty_result(name, context, count, coverage, [why_empty(some, count, seen.flat, context)])
        return empty, long_capacity(inputs, seen.held, target)
    found = FurtherLooks(inputs, seen, target, decay_lags(context), settings.costs.one_way_bps).run()
    score = found.score
    figures = Figures(
        horizon=target,
        coverage=coverage,
        bars=bars,
        score=score,
        effect=None,
        linear=seen.linear,
        by_horizon={context.horizon_name(h): _ic(seen.series[h], h, score.widening) for h in horizons},
        decay=decay_of(
            found.own, found.decay[0], found.decay[1] / (bars.cells / max(count, 1)), score.variance, context
        ),
        book=book_of(found.book, found.standing_net_bps, target, context, score.widening),
        mixed=None,
        standing=standing_of(found.standing, found.moving, found.between, found.total),
    )
    extra = {"nominal": nominal} if nominal else {}
    return result_of(figures, context, name, [], **extra), long_capacity(inputs, seen.held, target)


def _ic(series: Floats, horizon: int, widening: float) -> Any:
    return estimate(*hac_mean(series, hac_lag(horizon))[:2], widening)
