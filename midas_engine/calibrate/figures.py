"""From outcomes to the numbers that are printed, each with its interval, and to the sentence that sums them up."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.calibrate.graduation import DAYS
from midas_engine.calibrate.plan import ICS, KINDS
from midas_engine.calibrate.stream import share_after, stream_share
from midas_engine.stats.intervals import LEVEL, rate_interval, share_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from midas_engine.calibrate.features import FeatureOutcome
    from midas_engine.calibrate.plan import CalibrationPlan
    from midas_engine.calibrate.sessions import SessionOutcome
    from midas_engine.market import Panel
    from midas_engine.settings import Settings

FOUND_SHARE = 0.5
"""A session found the planted feature when something it promoted holds half of its strength."""

HEADLINE_IC = 0.03
_RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured number with its 90 % interval and what it was counted from."""

    value: float
    low: float
    high: float
    hits: int
    tries: float

    @classmethod
    def share(cls, hits: int, tries: int, scale: float = 1.0) -> Figure:
        """A share times `scale`, with the exact interval."""
        low, high = share_interval(hits, tries, LEVEL)
        return cls(scale * hits / tries if tries else math.nan, scale * low, scale * high, hits, tries)


@dataclass(frozen=True, slots=True)
class Recall:
    """How many planted features of one strength were found, and how soon their death was called.

    Attributes:
        statistical: Share that passed all but the economic research gates.
        research: Share that passed every research gate.
        promoted: Share that held at the first sealed look of a lifetime as well.
        stream: Share that lifetimes of sessions promote, each look moving the next one's line (`calibrate.stream`).
        after_misses: Share that held at a look after five lost ones.
        graduated: Share promoted there or graduated from shadow after 30, 90 and 180 days.
        drop_days: Mean days from the death of the feature to the alarm.
        flip_days: The same when its sign turned.
        expected_drop_days: What the monitor prints beside its gauge for this strength and breadth.
        expected_flip_days: Likewise.
    """

    ic: float
    features: int
    breadth: float
    score_t: float
    statistical: Figure
    research: Figure
    promoted: Figure
    graduated: tuple[Figure, ...]
    drop_days: Figure
    flip_days: Figure
    expected_drop_days: float
    expected_flip_days: float
    stream: Figure
    after_misses: Figure


@dataclass(frozen=True, slots=True)
class Calibration:
    """What one calibration found; `headline` says it in a sentence."""

    data: str
    proposer: str
    goal: str
    bars: int
    symbols: int
    hours_per_bar: float
    seed: int
    seconds: float
    sessions: int
    planted_sessions: int
    candidates: int
    planned_trials: int
    line_t: float
    noise_per_1000: Figure
    noise_research_per_1000: Figure
    noise_per_session: Figure
    by_kind: dict[str, Figure]
    noise_share: Figure
    found: Figure
    recall: tuple[Recall, ...]
    alarms_per_year: Figure
    noise_graduated: Figure
    noise_scores: tuple[float, ...] = ()
    best_scores: tuple[float, ...] = ()
    delays: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    screened: int = 0

    @property
    def headline(self) -> str:
        """The sentence the whole command is for, with intervals."""
        noise, alarms = self.noise_share, self.alarms_per_year
        first = (
            f"Of the {noise.tries:.0f} features Midas promoted, {_percent(noise)} were noise"
            if noise.tries
            else "Midas promoted no feature at all"
        )
        died = next((r for r in self.recall if r.ic == HEADLINE_IC), None)
        if died is None or not alarms.tries:
            return f"{first}."
        found = died.stream
        return (
            f"{first}; of true features of rank IC {died.ic:g} it promoted {_percent(found)} along a stream of looks; "
            f"when one died it was called after {_days(died.drop_days)}, "
            f"with {alarms.value:.2f} [{alarms.low:.2f}, {alarms.high:.2f}] false alarms a year."
        )


def _percent(f: Figure) -> str:
    return f"{100 * f.value:.1f} % [{100 * f.low:.1f}, {100 * f.high:.1f}]"


def _days(f: Figure) -> str:
    if not f.hits:
        return f"more than {f.low:.0f} days" if math.isfinite(f.low) else "an unknown number of days"
    return f"{f.value:.1f} days [{f.low:.1f}, {f.high:.1f}]"


def summarise(
    panel: Panel,
    settings: Settings,
    plan: CalibrationPlan,
    sessions: Sequence[SessionOutcome],
    features: Sequence[FeatureOutcome],
    problems: Sequence[str],
    seconds: float,
) -> Calibration:
    """All figures of a calibration."""
    noise = [s for s in sessions if s.ic == 0.0]
    planted = [s for s in sessions if s.ic > 0.0]
    scores = [t for s in noise for t in s.scores if t == t]
    tried = sum(len(s.scores) for s in noise)
    promoted = sum(len(s.promoted) for s in sessions)
    per_year = panel.bars_per_year
    healthy, alarms = sum(f.healthy_bars for f in features), sum(f.false_alarms for f in features)
    low, high = rate_interval(alarms, healthy / per_year) if healthy else (0.0, math.inf)
    by_kind = {
        kind: Figure.share(
            sum(len(s.promoted) for s in noise if s.kind == kind),
            sum(len(s.scores) for s in noise if s.kind == kind),
            1000.0,
        )
        for kind in KINDS
    }
    looks = sum(s.research for s in noise) / len(noise) if noise else 0.0
    recall = tuple(_recall(ic, [f for f in features if f.ic == ic], panel, looks) for ic in ICS)
    best = [max(s.scores) for s in noise if s.scores]
    return Calibration(
        data=settings.data,
        proposer=settings.model.provider,
        goal=plan.goal,
        bars=panel.T,
        symbols=panel.S,
        hours_per_bar=panel.hours_per_bar,
        seed=plan.seed,
        seconds=seconds,
        sessions=len(noise),
        planted_sessions=len(planted),
        candidates=tried,
        planned_trials=plan.budget(settings).planned_trials,
        screened=plan.budget(settings).screened,
        line_t=float(np.nanmedian([s.line for s in sessions])) if sessions else math.nan,
        noise_per_1000=Figure.share(sum(len(s.promoted) for s in noise), tried, 1000.0),
        noise_research_per_1000=Figure.share(sum(s.research for s in noise), tried, 1000.0),
        noise_per_session=Figure.share(sum(bool(s.promoted) for s in noise), len(noise)),
        by_kind={k: f for k, f in by_kind.items() if f.tries},
        noise_share=Figure.share(sum(s.noise_promoted for s in sessions), promoted),
        found=Figure.share(sum(max(s.real, default=0.0) >= FOUND_SHARE for s in planted), len(planted)),
        recall=tuple(r for r in recall if r.features),
        alarms_per_year=Figure(
            alarms / (healthy / per_year) if healthy else math.nan, low, high, alarms, healthy / per_year
        ),
        noise_graduated=Figure.share(sum(f.noise_day <= DAYS[-1] for f in features), len(features)),
        noise_scores=tuple(scores),
        best_scores=tuple(best),
        delays={
            f"{ic:.2f}": {
                "drop": [d for f in features if f.ic == ic for d in f.drop_bars],
                "flip": [d for f in features if f.ic == ic for d in f.flip_bars],
            }
            for ic in ICS
        },
        problems=tuple(dict.fromkeys(problems)),
    )


def _recall(ic: float, features: Sequence[FeatureOutcome], panel: Panel, noise_looks: float) -> Recall:
    count = len(features)
    # What was promoted at its look without a p of its own held at any line.
    p_values = [0.0 if f.promoted and f.sealed_p != f.sealed_p else f.sealed_p for f in features]
    along = round(stream_share(p_values, noise_looks) * count) if count else 0
    days = panel.hours_per_bar / 24.0
    breadth = float(np.nanmean([f.breadth for f in features])) if features else math.nan
    gauges = np.array([f.gauges for f in features if f.gauges]).reshape(-1, 2)
    drop, flip = (gauges.mean(axis=0) * days).tolist() if len(gauges) else (math.nan, math.nan)
    return Recall(
        ic=ic,
        features=count,
        breadth=breadth,
        score_t=float(np.nanmean([f.score_t for f in features])) if features else math.nan,
        statistical=Figure.share(sum(f.statistical for f in features), count),
        research=Figure.share(sum(f.research for f in features), count),
        promoted=Figure.share(sum(f.promoted for f in features), count),
        graduated=tuple(Figure.share(sum(f.day <= d for f in features), count) for d in DAYS),
        drop_days=mean_delay([f.drop_bars for f in features], days),
        flip_days=mean_delay([f.flip_bars for f in features], days),
        expected_drop_days=drop,
        expected_flip_days=flip,
        stream=Figure.share(along, count),
        after_misses=Figure.share(share_after(p_values), count),
    )


def mean_delay(groups: Sequence[Sequence[int]], unit: float) -> Figure:
    """Mean delay where some deaths were not called before the data ended (negative: so long and no alarm).

    Bars waited in all over alarms raised: the mean itself when every death was called, and the estimate of a mean
    waiting time under censoring otherwise. The interval resamples features, whose deaths share one stream.

    Args:
        groups: Delays in bars of each feature.
        unit: Days in a bar.
    """
    waited = np.array([sum(abs(d) for d in g) for g in groups], dtype=float)
    called = np.array([sum(d > 0 for d in g) for g in groups], dtype=float)
    total = int(called.sum())
    if not len(groups) or not total:
        return Figure(math.nan, float(waited.sum()) * unit if len(groups) else math.nan, math.inf, 0, len(groups))
    rng = np.random.default_rng(20_240_229)
    picks = rng.integers(0, len(groups), (_RESAMPLES, len(groups)))
    with np.errstate(divide="ignore"):
        means = waited[picks].sum(axis=1) / called[picks].sum(axis=1)
    tail = (1.0 - LEVEL) / 2.0
    low, high = (float(np.quantile(means, q)) for q in (tail, 1.0 - tail))
    return Figure(float(waited.sum()) / total * unit, low * unit, high * unit, total, len(groups))
