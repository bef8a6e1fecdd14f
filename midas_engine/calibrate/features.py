"""One planted feature: is it found by the gates, and how soon is its death called by the detectors?"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.calibrate.graduation import day_of_promotion
from midas_engine.calibrate.market import Replay
from midas_engine.calibrate.targets import make_target, plant, strength_for
from midas_engine.evaluator import sealed_vetoes
from midas_engine.evaluator.context.byte_cache import mask_key
from midas_engine.evaluator.metrics.reference_score import reference_of
from midas_engine.stats.causal_score import causal_scores
from midas_engine.stats.decay import lagged_means
from midas_engine.stats.ranks import sort_rows
from midas_engine.stats.sequential import SequentialBank
from midas_engine.stats.sequential_delay import outlook

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from midas_engine.calibrate.market import Market
    from midas_engine.calibrate.targets import Target
    from midas_engine.stats._jit import Floats

DEATHS = 6
"""Moments at which each planted feature dies in turn."""

WARM_SHARE, HISTORY_SHARE = 0.15, 0.5
"""The detector's reference is measured as live: on 35 % of the history with the past before it, shrunk; the rest is
watched."""

LEAST_MEMORY = 0.5
"""Autocorrelation over the least half-life at which a feature is one that the half-life gate is not there to refuse."""


@dataclass(slots=True)
class FeatureOutcome:
    """What became of one planted feature.

    Attributes:
        expression: The feature.
        ic: Planted rank IC.
        measured_ic: Rank IC on the research part.
        score_t: On the research part.
        breadth: Effective breadth.
        statistical: It passed all but the economic research gates.
        research: It passed every research gate.
        promoted: It held at the first sealed look of a lifetime as well.
        failed: Gates that refused it on research.
        healthy_bars: Bars watched alive.
        false_alarms: Alarms while alive.
        drop_bars: Bars from each death to its alarm; negative: not called before the data ended, after so many bars.
        flip_bars: The same when the sign turned.
        sealed_p: The p of its sealed look, 1 where something else refused it there; NaN where research made no look.
        day: Day on which it is promoted: 0 at its sealed look, later out of shadow; infinite when never.
        noise_day: The same of the feature where it foresees nothing, whatever research said.
        gauges: Bars to notice a death and a flip that the gauge of its own promise states; empty: no usable promise.
    """

    expression: str
    ic: float
    measured_ic: float = math.nan
    score_t: float = math.nan
    breadth: float = math.nan
    statistical: bool = False
    research: bool = False
    promoted: bool = False
    failed: tuple[str, ...] = ()
    healthy_bars: int = 0
    false_alarms: int = 0
    drop_bars: list[int] = field(default_factory=list)
    flip_bars: list[int] = field(default_factory=list)
    sealed_p: float = math.nan
    day: float = math.inf
    noise_day: float = math.inf
    gauges: tuple[float, ...] = ()


def memory(market: Market, z: Floats, hours: float) -> float:
    """The feature's own autocorrelation over `hours`; -1 when it is unknown on more than half of the cells."""
    lag = max(1, round(hours / market.panel.hours_per_bar))
    rows = z if market.cross else np.ascontiguousarray(z.T)
    own, _ = lagged_means(rows, rows, market.cross, 2, lag)
    tradable = ~np.isnan(market.returns)
    known = (~np.isnan(z) & tradable).sum() / max(int(tradable.sum()), 1)
    return float(own[1] / own[0]) if own[0] > 0.0 and own[1] == own[1] and known >= 0.5 else -1.0


def rank_ic_of(replay: Replay, values: Floats) -> float:
    """Plain rank IC on the research part at one bar."""
    context = replay.context("research")
    rows = context.lay(context.take(np.where(np.isfinite(values), values, np.nan)))
    series = context.against(rows, sort_rows(rows), mask_key(rows), 1)
    return float(np.nanmean(series))


def planted_target(market: Market, kind: str, ic: float, values: Floats, z: Floats, seed: list[int]) -> Planted:
    """A target that the feature foresees with a rank IC of `ic`, and the same one without it.

    Raises:
        EvaluationError: The feature cannot move the target.
    """
    bare = make_target(kind, market.returns, np.random.default_rng(seed), market.panel.hours_per_bar)
    # The noise's own rank IC is taken out, so that the one in expectation is what was asked for.
    without = rank_ic_of(Replay(market, bare), values)
    gain = rank_ic_of(Replay(market, plant(bare, z, 0.01)), values) - without
    # The IC bends a little with the strength: a second step from where the first one led.
    strength = strength_for(ic, gain)
    reached = rank_ic_of(Replay(market, plant(bare, z, strength)), values) - without
    strength *= ic / reached if reached > 0.0 else 1.0
    return Planted(bare, plant(bare, z, strength), plant(bare, z, -strength), strength)


@dataclass(frozen=True, slots=True)
class Planted:
    """One noise, three truths: the feature is dead, alive, or its sign has turned."""

    dead: Target
    alive: Target
    turned: Target
    strength: float


def judge_planted(
    market: Market, expression: str, ic: float, kind: str, trials: int, thresholds: Mapping[str, Any], seed: list[int]
) -> FeatureOutcome:
    """Gates and detectors on one planted feature."""
    values = market.engine.values(expression)
    z = market.normal_scores(values)
    target = planted_target(market, kind, ic, values, z, seed)
    replay = Replay(market, target.alive)
    verdict = replay.judge(values, "research", trials, thresholds, expression)
    e = verdict.evaluation
    out = FeatureOutcome(
        expression, ic, e.rank_ic.value, e.score_t, e.effective_breadth,
        statistical=verdict.statistical_pass, research=verdict.overall_pass,
        failed=tuple(g.name for v in verdict.verdicts for g in v.gates if not g.passed),
    )  # fmt: skip
    if verdict.overall_pass:
        sealed = replay.judge(values, "sealed", 1, thresholds)
        p = sealed.evaluation.score_p
        out.sealed_p = 1.0 if sealed_vetoes(sealed) or p != p else p
        out.day = day_of_promotion(market, sealed, values, z, target.strength, seed)
    out.promoted = out.day == 0.0
    dead = Replay(market, target.dead).judge(values, "sealed", 1, thresholds)
    out.noise_day = day_of_promotion(market, dead, values, z, 0.0, seed)
    _watch(market, values, target, out)
    return out


def _watch(market: Market, values: Floats, target: Planted, out: FeatureOutcome) -> None:
    """The monitor's critical test over the later part of the history: alive, and dying at several moments.

    A feature whose measured score is not positive has no promise, and live nobody watches it.
    """
    bars = len(values)
    start = int(bars * HISTORY_SHARE)
    clean = np.where(np.isfinite(values), values, np.nan)
    arl0 = market.settings.monitor.arl0_bars(market.panel.bar_seconds)
    reference, _ = reference_of(clean, target.alive.returns, slice(int(bars * WARM_SHARE), start), market.cross)
    if reference is None:
        return
    told = outlook(reference.score, reference.variance, arl0=arl0, bars_per_year=market.panel.bars_per_year)
    out.gauges = (told.drop_bars, told.flip_bars)
    paths = [causal_scores(clean, t.returns, market.cross) for t in (target.alive, target.dead, target.turned)]
    u = np.stack([p[0][start:] for p in paths])
    w = np.stack([p[1][start:] for p in paths])
    watched = bars - start
    deaths = np.linspace(0.05, 0.6, DEATHS) * watched
    # One row alive, then one a death and truth: a bank of detectors that never reset one another.
    switch = np.concatenate([[watched], deaths, deaths]).astype(int)
    truth = np.array([0] + [1] * DEATHS + [2] * DEATHS)
    bank = SequentialBank([reference] * len(switch), arl0=arl0)
    waiting = np.ones(len(switch), bool)
    called = np.full(len(switch), -1)
    for t in range(watched):
        now = np.where(t >= switch, truth, 0)
        bank.update(np.ascontiguousarray(u[now, t]), np.ascontiguousarray(w[now, t]))
        fired = bank.decay_fired
        if fired.any():
            out.false_alarms += int(fired[0])
            hit = fired & waiting & (t >= switch)
            called[hit] = t - switch[hit] + 1
            waiting &= ~hit
    out.healthy_bars = int(np.isfinite(u[0]).sum())
    delays = np.where(waiting, -(watched - switch), called)[1:].tolist()
    out.drop_bars, out.flip_bars = delays[:DEATHS], delays[DEATHS:]
