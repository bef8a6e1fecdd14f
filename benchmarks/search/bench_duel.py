"""Distinct true finds per 1,000 evaluations on mixed markets: the default session against gplearn, in the same run.

    python benchmarks/search/bench_duel.py --seed 1000 --markets 5 [--formulas 3] [--ic 0.05]

A mixed market holds several planted formulas (`midas_engine.compound.markets`). Ours is one default session. gplearn
(Stephens 2015) gets as many evaluations on the same research bars, the same score (normal scores across symbols), its
whole function set, and more than the bare columns: every column also against its own last day and week (`ts_zscore`),
so that it can express windows it does not have. The dozen best of its programs that differ go through the same six
agents. Found: a feature that passed them correlates at least 0.7 with a planted one; each planted one counts once. An
evaluation is every expression whose values met a return, screening included, for both.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from bench_find import LIKE, searched

from midas_engine.compound.markets import COLUMNS, correlation, market, planted, ranked
from midas_engine.dsl import FeatureEngine
from midas_engine.evaluator import evaluate_values, judge
from midas_engine.loops.worker import PanelJudge
from midas_engine.settings import Settings
from midas_engine.stats.bootstrap import DEFAULT_SEED

if TYPE_CHECKING:
    from midas_engine.market.panel import Panel

GENERATIONS = 10
BEST = 12


def mixed(seed: int, settings: Settings, formulas: int, ic: float) -> tuple[Panel, dict[str, np.ndarray]]:
    """A market with several formulas, and those of them that pass the gates on it."""
    drawn = tuple(planted(seed * 100 + k, settings).formula for k in range(formulas))
    panel = market(seed, drawn, ic)
    engine = FeatureEngine(panel, cache_bytes=0)
    return panel, {f: ranked(engine.values(f)) for f in drawn}


def found(values: list[np.ndarray], truth: dict[str, np.ndarray]) -> int:
    """How many of the planted ones have a likeness among the features."""
    normal = [ranked(v) for v in values]
    return sum(any(abs(correlation(v, z)) >= LIKE for v in normal) for z in truth.values())


def peer(panel: Panel, settings: Settings, evaluations: int, seed: int) -> list[np.ndarray]:
    """Values of the programs of gplearn that pass the six agents."""
    from gplearn.fitness import make_fitness
    from gplearn.genetic import SymbolicTransformer

    judging = PanelJudge(panel, settings, {})
    context = judging.context("research")
    engine = judging.engine
    bars = context.T
    names = [*COLUMNS, *(f"ts_zscore({c}, {w})" for c in COLUMNS for w in (24, 168))]
    inputs = np.stack([np.nan_to_num(engine.values(n)[:bars]) for n in names], axis=-1).reshape(-1, len(names))
    z_r = context.bar_scores

    def metric(y: np.ndarray, y_pred: np.ndarray, w: np.ndarray) -> float:
        if y_pred.size != z_r.size:  # gplearn's own trial of the metric
            return 0.0
        return float(abs(np.nanmean(ranked(y_pred.reshape(z_r.shape)) * z_r)))

    model = SymbolicTransformer(
        population_size=max(20, evaluations // GENERATIONS), generations=GENERATIONS, hall_of_fame=100,
        n_components=BEST,
        function_set=("add", "sub", "mul", "div", "sqrt", "log", "abs", "neg", "inv", "max", "min"),
        metric=make_fitness(function=metric, greater_is_better=True, wrap=False), parsimony_coefficient=0.0001,
        random_state=seed + DEFAULT_SEED,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(inputs, np.nan_to_num(z_r).ravel())
    passing = []
    for program in model:
        values = np.full(panel.shape, np.nan)
        values[:bars] = np.asarray(program.execute(inputs)).reshape(bars, -1)
        for sign in (1.0, -1.0):
            verdict = judge(evaluate_values(sign * values, context), {}, 2 * BEST)
            if verdict.overall_pass:
                passing.append(sign * values)
    return passing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--markets", type=int, default=5)
    parser.add_argument("--formulas", type=int, default=3)
    parser.add_argument("--ic", type=float, default=0.05)
    given = parser.parse_args()
    settings = Settings()
    settings = dataclasses.replace(settings, evaluation=dataclasses.replace(settings.evaluation, workers=0))
    rows: list[dict[str, Any]] = []
    for seed in range(given.seed, given.seed + given.markets):
        panel, truth = mixed(seed, settings, given.formulas, given.ic)
        session = asyncio.run(searched(panel, settings, settings.evaluation.screened))
        engine = FeatureEngine(panel, cache_bytes=0)
        ours = found([engine.values(x) for x in session.passed], truth)
        theirs = found(peer(panel, settings, session.evaluations, seed), truth)
        rows.append(
            {"seed": seed, "planted": list(truth), "evaluations": session.evaluations, "ours": ours, "gplearn": theirs}
        )
        print(json.dumps(rows[-1]), flush=True)
    total = sum(r["evaluations"] for r in rows) / 1000.0
    mine, other = sum(r["ours"] for r in rows), sum(r["gplearn"] for r in rows)
    print(f"distinct true finds per 1,000 evaluations: ours {mine / total:.2f}, gplearn {other / total:.2f}")
    print(f"of {given.formulas * len(rows)} planted: ours {mine}, gplearn {other}; resampled markets give a ratio of")
    rng = np.random.default_rng(given.seed)
    picks = rng.integers(0, len(rows), (2000, len(rows)))
    a, b = (np.array([r[k] for r in rows])[picks].sum(axis=1) for k in ("ours", "gplearn"))
    print(
        "[{:.1f}, {:.1f}] (95 %; a peer without a find counts as half a one)".format(
            *np.quantile(a / np.maximum(b, 0.5), [0.025, 0.975])
        )
    )


if __name__ == "__main__":
    main()
