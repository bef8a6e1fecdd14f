"""One fast score of a raw tree on the screening slice, and the family's test on the slice beside it.

The research part is cut in two. On the first half, the screening slice, thousands of trees are scored and climbed; how
many does not matter, for nothing is concluded there. The few that come out meet the second half, the check slice,
which no tree has seen. That is one test of one family (`midas_engine.stats.step_down` over its finalists), and its
level does not depend on how the slice before it was searched.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.dsl.engine import FeatureEngine
from midas_engine.dsl.nominal import nominal_size
from midas_engine.errors import ExpressionError, MidasError
from midas_engine.evaluator.context.byte_cache import mask_key
from midas_engine.evaluator.context.evaluation_context import EvaluationContext
from midas_engine.evaluator.context.history_split import embargo_of
from midas_engine.evaluator.context.options import ScoringOptions
from midas_engine.evaluator.metrics.components import persistence
from midas_engine.evaluator.metrics.significance import ScoreFigures, score_figures
from midas_engine.stats.bar_scores import BarScores, split_columns
from midas_engine.stats.book import run_book
from midas_engine.stats.bootstrap import block_length
from midas_engine.stats.normal import Z90
from midas_engine.stats.positions import positions
from midas_engine.stats.ranks import blank_flat_rows, sort_rows
from midas_engine.stats.step_down import step_down

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from midas_engine.dsl.cache import ValueCache
    from midas_engine.evaluator.context.byte_cache import ByteCache
    from midas_engine.market.panel import Panel
    from midas_engine.settings import Settings
    from midas_engine.stats._jit import Floats

    ContextOf = Callable[[Panel, slice], EvaluationContext]
    """Of the first bars of a panel, and rows of them, to what is scored there."""

SKETCH = 192
"""Cells of a feature that are kept to tell it from others: their correlation is known to 0.07."""
LEAST_BARS = 200
_MOST_STANDING = 0.90
LEAST_T = 2.5
_ALIKE = 0.7


@dataclass(frozen=True, slots=True)
class Figures:
    """What the screening slice says of one tree; the sign is taken as it comes.

    Attributes:
        text: The tree as scored.
        t: Of the mean score, clustered as a candidate's.
        strength: Of the mean score over the time axis alone: what is climbed, for it grows with the likeness to what
            is there, where the clustered t also grows with being the same on every symbol.
        turnover: Mean absolute change a bar at unit gross.
        net_high: Upper 90 % end of net in bps a bar, in the sign of t.
        standing: Share of the variance of its ranks that differs between symbols for good.
        sketch: Its normal scores at fixed cells, 0 where unknown.
        refused: Why it has no figures; empty when it has.
    """

    text: str
    t: float = 0.0
    strength: float = 0.0
    turnover: float = math.nan
    net_high: float = math.nan
    standing: float = 0.0
    sketch: tuple[float, ...] = ()
    refused: str = ""

    @property
    def scored(self) -> bool:
        """Whether its values met a return: an evaluation, that is counted."""
        return not self.refused.startswith("text: ")


@dataclass(frozen=True, slots=True)
class Finalist:
    """What the check slice says of one finalist, in the sign it was given.

    Attributes:
        t: Its own, on the check slice.
        p: One-sided, adjusted for the family.
        alike: The finalist before it that says the same (correlation 0.7 or more), by place; -1 for none.
    """

    text: str
    t: float
    p: float
    alike: int = -1


class Screen:
    """Scores trees on the two slices of the research part.

    Args:
        panel: The whole panel; only its research rows are read.
        settings: Costs, horizon and limits.
        research: Rows of the research part.
        context_of: Makes the context over some rows of the first bars; None: over the panel's own returns.
        kept: Where values are kept; None: where the process keeps them.
        ranks: Where ranks of returns are kept; None: each context keeps its own.
    """

    def __init__(
        self,
        panel: Panel,
        settings: Settings,
        research: slice,
        context_of: ContextOf | None = None,
        *,
        kept: ValueCache | None = None,
        ranks: ByteCache | None = None,
    ) -> None:
        self._settings, self._kept, self._ranks = settings, kept, ranks
        self._context_of = self._of_panel if context_of is None else context_of
        self._target = target = settings.evaluation.target
        middle = research.start + (research.stop - research.start) // 2
        self._whole = panel.head(research.stop)
        self._first = panel.head(max(1, middle - target))
        self._rows = slice(middle, research.stop)
        self._engine = FeatureEngine(self._first, limits=settings.dsl, cache=kept)
        self._context = self._context_of(self._first, slice(0, self._first.T))
        rng = np.random.default_rng(20)
        self._cells = rng.integers(0, self._first.T * self._first.S, SKETCH)

    def _of_panel(self, panel: Panel, rows: slice) -> EvaluationContext:
        options = ScoringOptions.from_settings(self._settings, "research", self._ranks)
        return EvaluationContext.from_panel(panel, horizons=(1, self._target), rows=rows, options=options)

    def figures(self, texts: Sequence[str]) -> list[Figures]:
        """Figures of every text on the screening slice."""
        found = []
        for text in texts:
            found.append(self._one(text))
            self._first.let_go()
        return found

    def _one(self, text: str) -> Figures:
        try:
            parsed = self._engine.parse(text)
            nominal = nominal_size(parsed) if self._context.cross else ""
            if nominal:
                return Figures(text, refused="text: " + nominal.split(":")[0])
        except ExpressionError as error:
            return Figures(text, refused="text: " + error.message)
        try:
            values = self._engine.values(parsed)
        except MidasError as error:
            return Figures(text, refused="text: " + error.message)
        bars, found = self._scored(self._context, values)
        if found is None:
            return Figures(text, refused="too few bars are scored")
        context, z = self._context, bars.z_f
        standing = 0.0
        if context.cross:
            _, _, between, total = split_columns(z, z)
            standing = between / total if total > 0.0 else 1.0
        p = positions(z, context.cross)
        book = run_book(p, context.forward(self._target), context.paid(self._target), self._target)
        sign = 1.0 if found.t >= 0.0 else -1.0
        spread = 1e4 * float(np.nanstd(book.gross)) / math.sqrt(max(1, found.count))
        cost = book.held_turnover * context.costs.one_way_bps
        net = sign * (book.gross_bps - book.funding_bps) - cost + Z90 * spread * max(1.0, found.widening)
        whole = z if context.cross else z.T
        sketch = np.nan_to_num(whole.reshape(-1)[self._cells]).round(3)
        return Figures(text, found.t, found.t * found.widening, book.turnover, net, standing, tuple(sketch.tolist()))

    def _scored(self, context: EvaluationContext, values: Floats) -> tuple[BarScores, ScoreFigures | None]:
        rows = context.lay(context.take(values))
        blank_flat_rows(rows)
        bars = context.score(rows, sort_rows(rows), mask_key(rows), self._target)
        if int(np.count_nonzero(bars.u == bars.u)) < LEAST_BARS:
            return bars, None
        steady = persistence(bars.z_f, context.cross) if self._target > 1 else 0.0
        found = score_figures(bars, self._target, steady, context.cross)
        return bars, found if math.isfinite(found.t) else None

    def check(self, texts: Sequence[str], level: float) -> list[Finalist]:
        """The family's one test: its finalists on the check slice, with p adjusted for all of them."""
        engine = FeatureEngine(self._whole, limits=self._settings.dsl, cache=self._kept)

        def values() -> Iterator[tuple[Floats, int]]:
            for text in texts:
                parsed = engine.parse(text)
                yield engine.values(parsed), parsed.lookback

        return self.check_values(texts, values(), level)

    def check_values(self, texts: Sequence[str], values: Iterable[tuple[Floats, int]], level: float) -> list[Finalist]:
        """The same of features that are no expressions.

        Args:
            texts: What they are called.
            values: Of each in turn, over the bars up to the end of the research part, and the bars it looks back.
            level: Of the test.
        """
        context = self._context_of(self._whole, self._rows)
        if not texts:
            return []
        scores, p, t = [], [], []
        scored = np.empty((len(texts), context.T * context.S))
        for place, (whole, lookback) in enumerate(values):
            rows = context.take(whole)
            memory = embargo_of("auto", lookback, self._whole.bar_seconds, self._rows)
            rows[:memory] = np.nan  # it remembers the slice it was picked on
            bars, found = self._scored(context, rows)
            scores.append(bars.u)
            np.nan_to_num(bars.z_f.reshape(-1), copy=False)
            scored[place] = bars.z_f.reshape(-1)
            p.append(found.p if found is not None else math.nan)
            t.append(found.t if found is not None else math.nan)
            self._whole.let_go()
        family = step_down(np.stack(scores, axis=1), np.array(p), block_length(self._target), level=level)
        alike = _alike(scored)
        return [Finalist(x, t[i], float(family.p[i]), alike[i]) for i, x in enumerate(texts)]


def _alike(rows: Floats) -> list[int]:
    """For each row the first one before it that correlates at least 0.7 with it; -1 when none does."""
    size = np.sqrt([(row * row).sum() for row in rows])
    close = (rows @ rows.T) / np.where(size > 0.0, size, 1.0)[:, None] / np.where(size > 0.0, size, 1.0)[None, :]
    return [next((j for j in range(i) if abs(close[i, j]) >= _ALIKE), -1) for i in range(len(rows))]


def short_of(figures: Figures) -> tuple[str, ...]:
    """Gates that a tree would miss, as far as the screening slice can tell."""
    missed = []
    if figures.net_high <= 0.0 or figures.turnover > 0.8:
        missed.append("trading_cost")
    if figures.standing > _MOST_STANDING or abs(figures.t) < LEAST_T:
        missed.append("predictive_power")
    return tuple(missed)
