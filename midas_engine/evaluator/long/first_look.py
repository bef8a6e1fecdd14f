"""The first walk over a history: values, ranks, and every figure that a bar has by itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.evaluator.context.layout import ranks_over, row_squares, spread_bps
from midas_engine.evaluator.long.ranked import RankedBars
from midas_engine.stats.bar_scores import CROSS_MINIMUM, BarScores, combine, linear_scores, rank_scores
from midas_engine.stats.normal_scores import location_table, scores_of_ranks
from midas_engine.stats.ranks import blank_flat_rows, own_ranks, rank_rows, sort_rows
from midas_engine.stats.scale import LaggedScale

if TYPE_CHECKING:
    from collections.abc import Sequence

    from midas_engine.dsl.walk import FeatureWalk
    from midas_engine.evaluator.context.part_rows import PartRows
    from midas_engine.stats._jit import Floats, Ints

PIECE = 4096
"""Bars in a piece. Sums over lags are taken by blocks of so many cells, so a multiple of it does not move a bit."""


@dataclass(slots=True)
class FirstLook:
    """What every bar has by itself, over one part of T bars.

    Attributes:
        feature: Ranks of the feature over the cells where the scaled return is known too.
        target: Ranks of the scaled return over the same cells.
        single: Ranks of the scaled return over the shortest horizon, over its own cells.
        held: Ranks of the feature over its own cells, a bar on which it is nearly one number included.
        bars: Scores u_t of every bar; no normal scores are kept.
        scorable: Cells that could be scored.
        flat: Bars on which the feature is one number.
        known: Cells with a value of the feature.
        series: Plain rank IC of every bar, by horizon.
        linear: Pearson's of every bar, over the target.
        sigma_bps: See `EvaluationContext.sigma_bps`.
    """

    feature: RankedBars
    target: RankedBars
    single: RankedBars
    held: RankedBars
    bars: BarScores
    scorable: int = 0
    flat: int = 0
    known: int = 0
    series: dict[int, Floats] = field(default_factory=dict)
    linear: Floats = field(default_factory=lambda: np.empty(0))
    sigma_bps: float = 0.0


def first_look(walk: FeatureWalk, part: PartRows, horizons: Sequence[int], target: int) -> FirstLook:
    """Walk over a panel to the end of a part.

    Args:
        walk: The feature, at the panel's first bar.
        part: What is scored.
        horizons: In bars, ascending.
        target: One of them.
    """
    bars, symbols = part.bars, part.panel.S
    u, sums, linear = np.empty(bars), np.zeros(3), np.empty(bars)
    squares, counts = np.empty(bars), np.empty(bars, np.int64)
    feature, held = (RankedBars(bars, symbols, CROSS_MINIMUM) for _ in range(2))
    scaled_ranks, single = (RankedBars(bars, symbols, CROSS_MINIMUM, location_table) for _ in range(2))
    found = FirstLook(feature, scaled_ranks, single, held, BarScores(u, u, u, 0, np.nan))
    found.series = {h: np.empty(bars) for h in horizons}
    scale_walk = LaggedScale(symbols)
    for first in range(0, part.start, PIECE):  # what the part remembers of before
        last = min(first + PIECE, part.start)
        walk.next(last - first)
        scale_walk.add(part.ended(first, last))
        part.panel.let_go()
    for first in range(0, bars, PIECE):
        last = min(first + PIECE, bars)
        here = slice(first, last)
        rows = walk.next(last - first)
        scale = scale_walk.add(part.ended(part.start + first, part.start + last))
        order = sort_rows(rows)
        found.held.put(first, *own_ranks(rows, order))
        flat = blank_flat_rows(rows)
        if flat:
            order = sort_rows(rows)
        found.flat += flat
        found.known += int(np.count_nonzero(rows == rows))
        for h in horizons:
            raw = part.forward(h, first, last)
            raw_order = sort_rows(raw)
            ranks, joint = _ranks(rows, order, raw)
            found.series[h][here] = rank_scores(ranks, ranks_over(raw, raw_order, rows), joint, CROSS_MINIMUM, True)
            if h == target:
                linear[here] = linear_scores(rows, raw, CROSS_MINIMUM, True)
                squares[here], counts[here] = row_squares(raw)
            if h not in (target, horizons[0]):
                continue
            scaled, ok = _scaled(raw, scale)
            scaled_order = sort_rows(scaled)
            if h == target:
                found.scorable += ok
                ranks, joint = _ranks(rows, order, scaled)
                others = ranks_over(scaled, scaled_order, rows)
                found.feature.put(first, ranks, joint)
                found.target.put(first, others, joint)
                z_f = scores_of_ranks(ranks, joint, CROSS_MINIMUM)
                z_r = scores_of_ranks(others, joint, CROSS_MINIMUM, location_table)
                found.bars = combine(z_f, z_r, True, sums)
                u[here] = found.bars.u
            if h == horizons[0]:
                found.single.put(first, *own_ranks(scaled, scaled_order))
        part.panel.let_go()
    found.bars = BarScores(u, u, u, found.bars.cells, found.bars.cell_variance)
    found.linear, found.sigma_bps = linear, spread_bps(squares, counts)
    return found


def _ranks(rows: Floats, order: Ints, others: Floats) -> tuple[Ints, Ints]:
    ranks, counts = np.empty(rows.shape, np.int32), np.empty(rows.shape[0], np.int32)
    rank_rows(rows, order, others, ranks, counts)
    return ranks, counts


def _scaled(raw: Floats, scale: Floats) -> tuple[Floats, int]:
    """Returns over their lagged scale, missing on bars with too few; and how many cells are left."""
    with np.errstate(invalid="ignore", divide="ignore"):
        rows = raw / scale
    ok = ~np.isnan(rows)
    rows = np.where(ok.sum(axis=1, keepdims=True) >= CROSS_MINIMUM, rows, np.nan)
    return rows, int((~np.isnan(rows)).sum())
