"""What a candidate would be worth to the book, on research bars alone: nothing sealed of it is opened."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.book.build import limits_of, named, prior_of
from midas_engine.book.figures import days_to_notice, yearly
from midas_engine.book.marginal import difference, marginal, shrunk, without
from midas_engine.book.members import gather, market_of
from midas_engine.book.rows import UNKNOWN, span
from midas_engine.book.strength import posterior
from midas_engine.book.walk import walk
from midas_engine.kb.names import split_version
from midas_engine.models import NO_ESTIMATE, Estimate, FeatureState

if TYPE_CHECKING:
    from midas_engine.book.strength import Prior
    from midas_engine.kb import KnowledgeBase
    from midas_engine.market import Panel
    from midas_engine.models import FeatureRecord
    from midas_engine.settings import Settings
    from midas_engine.stats._jit import Floats


@dataclass(frozen=True, slots=True)
class Effect:
    """What a feature would do to the book.

    Attributes:
        worth: Bps of capital a year that it would add, with the 90 % interval.
        notice: Expected days to notice that the whole book died, with the feature in it; NaN where unknown.
        notice_before: The same without it.
        members: How many the book has without it.
    """

    worth: Estimate = NO_ESTIMATE
    notice: float = math.nan
    notice_before: float = math.nan
    members: int = 0


def candidate_worth(kb: KnowledgeBase, record: FeatureRecord, panel: Panel, settings: Settings) -> Estimate:
    """Bps of capital a year that a feature would add to the book; see `candidate_effect`."""
    return candidate_effect(kb, record, panel, settings).worth


def candidate_effect(kb: KnowledgeBase, record: FeatureRecord, panel: Panel, settings: Settings) -> Effect:
    """What a feature would add to the book, and how soon the book's death would be noticed. Heavy: call it in a thread.

    The panel is cut where research ends before anything is computed. The first half of research stands for what the
    book is fitted on, the second for what it is measured on. The candidate was chosen on these very bars, so the value
    is drawn to nothing as far as the trials of this base say; its error is kept.

    Args:
        kb: Its deployed features are the book; a version that this one would replace is left out.
        record: The candidate.
        panel: Today's data.
        settings: Costs, caps, how the data is split.

    Raises:
        EvaluationError: The data is too short to be split.
    """
    from midas_engine.evaluator.context.history_split import split_panel

    research = split_panel(panel, settings, max(settings.evaluation.horizons)).research
    seen = panel.slice(0, research.stop)
    market = market_of(seen, settings, panel)
    found = gather([*partners(kb, record), record], seen, market, settings, named(kb))
    if record.name not in found.signals.names:
        return Effect()
    k = found.signals.names.index(record.name)
    prior = prior_of(kb, research.stop, seen.bars_per_year)
    train, limits = slice(0, seen.T // 2), limits_of(settings)
    path = walk(found.signals, market, train, prior, limits)
    kept = _kept(path.held.earned[k], prior)
    members = len(found.signals.names) - 1
    notice = days_to_notice(path, found.signals, market)
    if not members:
        return Effect(shrunk(yearly(path.net, market.bars_per_year), kept), notice)
    rest = without(path, k, found.signals, market, train, prior, limits)
    worth = yearly(difference(path.net, rest.net), market.bars_per_year)
    return Effect(shrunk(worth, kept), notice, days_to_notice(rest, found.signals.without(k), market), members)


def sealed_worth(kb: KnowledgeBase, record: FeatureRecord, panel: Panel, settings: Settings) -> Estimate:
    """Bps of capital a year that a feature added to the book on the sealed part: a look, which the caller charges.

    Nothing is drawn to zero: the candidate was not chosen on these bars. Args and errors as `candidate_worth`.
    """
    from midas_engine.evaluator.context.history_split import split_panel

    research = split_panel(panel, settings, max(settings.evaluation.horizons)).research
    market = market_of(panel, settings)
    found = gather([*partners(kb, record), record], panel, market, settings, named(kb))
    if record.name not in found.signals.names:
        return NO_ESTIMATE
    k = found.signals.names.index(record.name)
    prior, limits = prior_of(kb, research.stop, panel.bars_per_year), limits_of(settings)
    path = walk(found.signals, market, research, prior, limits)
    return marginal(path, k, found.signals, market, research, prior, limits)


def partners(kb: KnowledgeBase, record: FeatureRecord) -> list[FeatureRecord]:
    """The deployed features without the version that `record` would replace."""
    base = split_version(record.name)[0]
    return [r for r in kb.features(FeatureState.DEPLOYED) if split_version(r.name)[0] != base]


def _kept(earned: Floats, prior: Prior) -> float:
    """How much of a measured strength is left when it is drawn to nothing."""
    known = earned[np.isfinite(earned)]
    size = float(known.std()) if known.size > 1 else 0.0
    theta = float(known.mean()) / size if size > 0.0 else 0.0
    if theta == 0.0:
        return 0.0
    mean, _ = posterior(np.array([theta]), np.array([float(known.size)]), prior)
    return float(mean[0]) / theta


def in_words(worth: Estimate) -> str:
    """One line for whoever decides.

    Example:
        >>> in_words(Estimate(3.2, 1.0, 1.6, 4.8))
        'marginal net to the book +3.2 bps/yr [+1.6, +4.8], on research, shrunk for selection'
        >>> in_words(Estimate(float('nan')))
        'marginal net to the book unknown'
    """
    told = span(worth)
    if told == UNKNOWN:
        return f"marginal net to the book {UNKNOWN}"
    value, _, ends = told.partition(" ")
    return f"marginal net to the book {value} bps/yr {ends}, on research, shrunk for selection"


def notice_in_words(effect: Effect) -> str:
    """How soon the book's death would be noticed, or that nothing is known of it.

    Example:
        >>> notice_in_words(Effect(notice=28.0, notice_before=41.0, members=3))
        'the death of the whole book would be noticed in 28 days with it, 41 without it (3 members)'
    """
    if not math.isfinite(effect.notice):
        return "when the death of the whole book would be noticed is unknown: too little of it promises a score"
    before = f"{effect.notice_before:.0f}" if math.isfinite(effect.notice_before) else "not at all"
    rest = f", {before} without it ({effect.members} members)" if effect.members else ": it would be the only member"
    return f"the death of the whole book would be noticed in {effect.notice:.0f} days with it{rest}"
