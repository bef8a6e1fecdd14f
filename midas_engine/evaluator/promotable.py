"""What a history could decide at all, said before anything is tried: mode, parts, and the smallest IC promoted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from midas_engine.errors import EvaluationError
from midas_engine.evaluator.context.byte_cache import mask_key
from midas_engine.evaluator.context.layout import mode_words
from midas_engine.evaluator.gates.thresholds import validate_thresholds
from midas_engine.evaluator.gates.verdict import session_line
from midas_engine.evaluator.metrics.result import FEWEST_BARS
from midas_engine.evaluator.metrics.significance import score_figures
from midas_engine.stats.bar_scores import CROSS_MINIMUM
from midas_engine.stats.graduation import look_line
from midas_engine.stats.hac import t_line
from midas_engine.stats.power import history_needed, smallest_promotable_ic
from midas_engine.stats.ranks import sort_rows

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from midas_engine.evaluator.context.evaluation_context import EvaluationContext
    from midas_engine.market import Panel
    from midas_engine.settings import Settings
    from midas_engine.stats._jit import Floats

DRAWS = 3
MEMORY = 0.9
STEP = 0.01
CHANCE = 0.5


@dataclass(frozen=True, slots=True)
class PartWidth:
    """One part of a history.

    Attributes:
        bars: Its bars.
        scored: Bars on which a feature without gaps is scored.
        symbols: Median of symbols with a return on those bars; 0 where there are none.
        se: Error of the mean score of a feature that foresees nothing; NaN where it could not be measured.
        dof: Degrees of freedom of its t.
    """

    bars: int
    scored: int
    symbols: float
    se: float
    dof: float


@dataclass(frozen=True, slots=True)
class Promotable:
    """What could be promoted on a history at the next sealed look.

    Attributes:
        cross: Scored as a cross-section.
        research: The research part.
        sealed: The sealed part.
        trials: Expressions the session may try.
        line_p: The p the next look must reach.
        smallest_ic: Smallest IC that is promoted with an even chance; NaN when nothing can be.
        times: How many times the history an IC smaller by a hundredth would take; infinite when none would do.
        years: Length of the history.
        least_bars: Scored bars that research asks for.
    """

    cross: bool
    research: PartWidth
    sealed: PartWidth
    trials: int
    line_p: float
    smallest_ic: float
    times: float
    years: float
    least_bars: int = FEWEST_BARS

    @property
    def lines(self) -> tuple[str, ...]:
        """In words: what is scored how, and what could be promoted."""
        r, s = self.research, self.sealed
        if self.cross:
            width = f", {r.symbols:.0f} live symbols in research and {s.symbols:.0f} in the sealed part"
        else:
            width = f", {max(r.symbols, s.symbols):.0f} live symbol(s)"
        scored = f"research {r.scored:,} bars, sealed part {s.scored:,} of {s.bars:,}"
        found = [f"scored {mode_words(self.cross)}{width}; {scored}"]
        if self.cross and s.scored < s.bars / 2:
            found.append(
                f"most bars of the sealed part have fewer than {CROSS_MINIMUM} live symbols and are not scored: "
                "end the data where they end, or leave those symbols out"
            )
        if not math.isfinite(self.smallest_ic):
            few = r.scored < self.least_bars or not r.se > 0.0
            name, part, least = ("research", r, self.least_bars) if few else ("the sealed part", s, FEWEST_BARS)
            found.append(
                f"nothing can be promoted on this history: {name} has {part.scored:,} bars that can be scored, "
                f"{least:,} are the least; add history"
            )
            return tuple(found)
        words = (
            f"the smallest IC that could be promoted here is about {self.smallest_ic:.3f} (an even chance, "
            f"{self.trials} trials, next look at p {self.line_p:.2g})"
        )
        wanted = self.smallest_ic - STEP
        if wanted <= 0.0 or not math.isfinite(self.times):
            words += "; that is the effect size the gates ask for: a longer history would not lower it by a hundredth"
        else:
            words += f"; {wanted:.3f} would take {self.times:.1f} times the history ({_span(self.times * self.years)})"
        found.append(words)
        return tuple(found)


def promotable(
    research: EvaluationContext,
    sealed: EvaluationContext,
    trials: int,
    level: float,
    least_ic: float = 0.0,
    least_bars: int = FEWEST_BARS,
) -> Promotable:
    """What could be promoted, from the errors that made-up features have on the parts. Opens no candidate's look.

    Args:
        research: Context of the research part.
        sealed: Context of the sealed part; only its width and noise are read, with features drawn at random.
        trials: Expressions the session may try.
        level: What the next sealed look is charged.
        least_ic: Smallest rank IC that research lets through.
        least_bars: Fewest scored bars that research lets through.
    """
    first, second = _width(research), _width(sealed)
    line_p = look_line(level)
    lines = (
        (first.se, session_line(trials, first.dof if first.dof == first.dof else math.inf)),
        (second.se, t_line(line_p, second.dof) if second.dof == second.dof else float(-ndtri(line_p))),
    )
    enough = first.scored >= max(least_bars, FEWEST_BARS) and second.scored >= FEWEST_BARS
    smallest = smallest_promotable_ic(*lines, least_ic, CHANCE) if enough else math.nan
    times = history_needed(smallest - STEP, *lines, least_ic, CHANCE) if smallest > STEP else math.inf
    years = (research.T + sealed.T) / research.bars_per_year
    return Promotable(research.cross, first, second, trials, line_p, smallest, times, years, least_bars)


def panel_words(
    panel: Panel, settings: Settings, trials: int, level: float, thresholds: Mapping[str, Any] | None = None
) -> tuple[str, ...]:
    """`words_of` a panel as a session would cut it; why not, where nothing can be scored at all."""
    from midas_engine.evaluator.context.evaluation_context import EvaluationContext
    from midas_engine.evaluator.context.history_split import split_panel
    from midas_engine.evaluator.context.options import ScoringOptions

    evaluation = settings.evaluation
    try:
        parts = split_panel(panel, settings, evaluation.target)
        research, sealed = (
            EvaluationContext.from_panel(
                panel,
                horizons=(evaluation.target,),
                rows=parts.named(part),
                options=ScoringOptions.from_settings(settings, part),
            )
            for part in ("research", "sealed")
        )
        return words_of(research, sealed, trials, level, thresholds)
    except EvaluationError as error:
        return (f"nothing can be promoted on this history: {error.message}",)


def words_of(
    research: EvaluationContext,
    sealed: EvaluationContext,
    trials: int,
    level: float,
    thresholds: Mapping[str, Any] | None = None,
) -> tuple[str, ...]:
    """`promotable` at the thresholds that are set, in words."""
    gates = validate_thresholds({} if thresholds is None else thresholds)["predictive_power"]
    found = promotable(research, sealed, trials, level, float(gates["min_rank_ic"]), int(gates["min_bars"]))
    return found.lines


def _width(context: EvaluationContext) -> PartWidth:
    live = (~np.isnan(context.forward(context.target))).sum(axis=1)
    least = CROSS_MINIMUM if context.cross else 1
    scored = live >= least
    errors, dofs = [], []
    rng = np.random.default_rng(context.T)
    if int(scored.sum()) > 2 * least:
        for _ in range(DRAWS):
            noise = rng.normal(size=(context.T, context.S))
            rows = context.lay(_remembering(noise))
            bars = context.score(rows, sort_rows(rows), mask_key(rows), context.target)
            steady = MEMORY if context.target > 1 else 0.0
            found = score_figures(bars, context.target, steady, context.cross)
            if found.se > 0.0:
                errors.append(found.se)
                dofs.append(found.dof)
    symbols = float(np.median(live[scored])) if scored.any() else 0.0
    se, dof = (float(np.median(x)) if x else math.nan for x in (errors, dofs))
    return PartWidth(context.T, int(scored.sum()), symbols, se, dof)


def _remembering(noise: Floats) -> Floats:
    """Noise [T, S] made into values with a memory, in place, bar by bar.

    A filter of scipy.signal does the same to the bit; loading it takes ten times as long as this does on a usual panel.
    """
    noise *= math.sqrt(1.0 - MEMORY**2)
    kept = np.zeros(noise.shape[1])
    for row in noise:
        row += kept
        np.multiply(row, MEMORY, out=kept)
    return noise


def _span(years: float) -> str:
    if years >= 1.0:
        return f"{years:.1f} years"
    return f"{years * 365.0:.0f} days"
