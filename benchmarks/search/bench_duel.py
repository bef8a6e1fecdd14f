"""Distinct true finds per 1,000 evaluations on mixed markets: the default session against gplearn, in the same run.

    python benchmarks/search/bench_duel.py --seed 1000 --markets 20 [--formulas 3] [--ic 0.05 | --ic 0] [--out FILE]
        [--seconds N]

A mixed market holds several planted formulas (`midas_engine.compound.markets`). Ours is one default session. gplearn
(Stephens 2015) gets as many evaluations, the same score (normal scores across symbols), its whole function set, and
more than the bare columns: every column also against its own last day and week (`ts_zscore`), so that it can express
windows it does not have. An evaluation is every expression whose values met a return, screening included, for both.
Found: a feature that was let through correlates at least 0.7 with a planted one; each planted one counts once. What
gplearn finds is counted at three controls of noise:

* held: ours. It searches the first half of the research part; the dozen best of its programs that differ meet the
  second half in the one step-down test that ours meet, at the whole error of a session (ours has a quarter of it
  there).
* charged: it searches the whole research part, and its dozen are judged for as many trials as it made.
* open: the same dozen, judged as if they were all it tried. Nothing pays for the choice, so this is no control.

Each is counted twice: what the test against noise let through (ours: the agent `predictive_power`), and what all six
agents did, which ask also that it earns its costs. "bare" are the dozen as they come, let through by nobody.
`--ic 0` plants nothing and counts what each lets through. Markets are resampled in pairs, ours and theirs of one
market together. With `--out` every market's outcome is kept and a second run goes on where the first ended
(`--seconds` of CPU ends one).
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import time
import warnings
from pathlib import Path
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
WINDOWS = (24, 168)
SESSION_ERROR = 0.05
ARMS = ("held", "charged", "open")
CONTROLLED = ("held", "charged")


def mixed(seed: int, settings: Settings, formulas: int, ic: float) -> tuple[Panel, dict[str, np.ndarray]]:
    """A market with several formulas, each of which passes the gates on a market of its own; at ic 0 with none."""
    drawn = tuple(planted(seed * 100 + k, settings).formula for k in range(formulas if ic else 0))
    panel = market(seed, drawn, ic)
    engine = FeatureEngine(panel, cache_bytes=0)
    return panel, {f: ranked(engine.values(f)) for f in drawn}


def found(values: list[np.ndarray], truth: dict[str, np.ndarray]) -> int:
    """How many of the planted ones have a likeness among the features."""
    normal = [ranked(v) for v in values]
    return sum(any(abs(correlation(v, z)) >= LIKE for v in normal) for z in truth.values())


class Peer:
    """gplearn on one market.

    Args:
        panel: The market.
        settings: Those of our session.
        evaluations: It may make at most.
        seed: Of its draws.
    """

    def __init__(self, panel: Panel, settings: Settings, evaluations: int, seed: int) -> None:
        self._judging = PanelJudge(panel, settings, {})
        self._panel, self._seed, self._evaluations = panel, seed, evaluations
        names = [*COLUMNS, *(f"ts_zscore({c}, {w})" for c in COLUMNS for w in WINDOWS)]
        engine = self._judging.engine
        self._inputs = np.stack([np.nan_to_num(engine.values(n)) for n in names], axis=-1)  # [T, S, inputs]

    def let_through(self) -> dict[str, dict[str, list[np.ndarray]]]:
        """Values of its programs, by who let them through and by the control of noise."""
        bars = self._judging.parts.research.stop
        whole = self._best(bars)
        through: dict[str, dict[str, list[np.ndarray]]] = {"noise": {}, "agents": {}}
        for arm, trials in (("open", 2 * BEST), ("charged", 2 * self._evaluations)):
            judged = [(v, self._failed(v, trials)) for x in whole for v in (x, -x)]
            through["noise"][arm] = [v for v, failed in judged if "predictive_power" not in failed]
            through["agents"][arm] = [v for v, failed in judged if not failed]
        half = self._judging.screen._first.T
        signed = [x * self._sign(x, half) for x in self._best(half)]
        rows = [(x[:bars], max(WINDOWS)) for x in signed]
        tested = self._judging.screen.check_values([str(k) for k in range(len(rows))], rows, SESSION_ERROR)
        through["noise"]["held"] = [signed[int(f.text)] for f in tested if f.p <= SESSION_ERROR]
        through["agents"]["held"] = [x for x in through["noise"]["held"] if not self._failed(x, BEST)]
        return through | {"bare": {"bare": whole}}

    def _best(self, bars: int) -> list[np.ndarray]:
        """The dozen best programs that differ, fitted on the first bars, as values over the whole panel."""
        from gplearn.fitness import make_fitness
        from gplearn.genetic import SymbolicTransformer

        z_r = self._judging.context("research").bar_scores[:bars]

        def metric(y: np.ndarray, y_pred: np.ndarray, w: np.ndarray) -> float:
            if y_pred.size != z_r.size:  # gplearn's own trial of the metric
                return 0.0
            return float(abs(np.nanmean(ranked(y_pred.reshape(z_r.shape)) * z_r)))

        population = max(20, self._evaluations // GENERATIONS)
        model = SymbolicTransformer(
            population_size=population, generations=GENERATIONS, hall_of_fame=min(100, population),
            n_components=BEST,
            function_set=("add", "sub", "mul", "div", "sqrt", "log", "abs", "neg", "inv", "max", "min"),
            metric=make_fitness(function=metric, greater_is_better=True, wrap=False), parsimony_coefficient=0.0001,
            random_state=self._seed + DEFAULT_SEED,
        )  # fmt: skip
        width = self._inputs.shape[-1]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(self._inputs[:bars].reshape(-1, width), np.nan_to_num(z_r).ravel())
            every = self._inputs.reshape(-1, width)
            return [np.asarray(p.execute(every), dtype=float).reshape(self._panel.shape) for p in model]

    def _sign(self, values: np.ndarray, bars: int) -> float:
        z_r = self._judging.context("research").bar_scores[:bars]
        return 1.0 if np.nanmean(ranked(values[:bars]) * z_r) >= 0.0 else -1.0

    def _failed(self, values: np.ndarray, trials: int) -> set[str]:
        rows = np.where(np.arange(len(values))[:, None] < self._judging.parts.research.stop, values, np.nan)
        verdict = judge(evaluate_values(rows, self._judging.context("research"), "program"), {}, trials)
        return {row.agent for row in verdict.verdicts if not row.passed}


def duel(seed: int, settings: Settings, formulas: int, ic: float) -> dict[str, Any]:
    """One market: what was planted, what each found and let through, evaluations, CPU seconds of each."""
    panel, truth = mixed(seed, settings, formulas, ic)
    session = asyncio.run(searched(panel, settings, settings.evaluation.screened))
    engine = FeatureEngine(panel, cache_bytes=0)
    began = time.process_time()
    every = Peer(panel, settings, session.evaluations, seed).let_through()
    for by, texts in (("noise", session.significant), ("agents", session.passed)):
        every[by]["ours"] = [engine.values(x) for x in texts]
    return {
        "seed": seed, "planted": list(truth), "evaluations": session.evaluations, "seconds": session.seconds,
        "peer_seconds": round(time.process_time() - began, 1),
        "found": {by: {arm: found(values, truth) for arm, values in arms.items()} for by, arms in every.items()},
        "through": {by: {arm: len(values) for arm, values in arms.items()} for by, arms in every.items()},
    }  # fmt: skip


def told(rows: list[dict[str, Any]], seed: int, *, truth: bool) -> None:
    """The sums, the ratios and their intervals."""
    total = sum(r["evaluations"] for r in rows) / 1000.0
    print(f"{len(rows)} markets, {1000 * total:,.0f} evaluations each side")
    picks = np.random.default_rng(seed).integers(0, len(rows), (4000, len(rows)))
    for by in ("noise", "agents"):
        print(f"let through by {'the test against noise' if by == 'noise' else 'all six agents'}:")
        mine = np.array([r["found"][by]["ours"] for r in rows], dtype=float)
        theirs = {arm: np.array([r["found"][by][arm] for r in rows], dtype=float) for arm in ARMS}
        theirs["bare"] = np.array([r["found"]["bare"]["bare"] for r in rows], dtype=float)
        best = max(CONTROLLED, key=lambda arm, all=theirs: all[arm].sum())
        for arm, counts in {"ours": mine, **theirs}.items():
            through = sum(r["through"]["bare" if arm == "bare" else by][arm] > 0 for r in rows)
            line = f"  {arm:8} on {through} of {len(rows)} markets"
            if truth:
                of = sum(len(r["planted"]) for r in rows)
                line += f"; {counts.sum():.0f} of {of} found, {counts.sum() / total:.2f} per 1,000"
            if truth and arm != "ours":
                ratios = mine[picks].sum(axis=1) / np.maximum(counts[picks].sum(axis=1), 0.5)
                low, high = np.quantile(ratios, [0.025, 0.975])
                line += f"; ours over it {mine.sum() / max(counts.sum(), 0.5):.1f} [{low:.1f}, {high:.1f}]"
            print(line + (" <- the better control" if truth and arm == best else ""))
    print("(95 %, markets resampled in pairs; a peer without a find counts as half a one)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--markets", type=int, default=20)
    parser.add_argument("--formulas", type=int, default=3)
    parser.add_argument("--ic", type=float, default=0.05)
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    settings = Settings()
    settings = dataclasses.replace(settings, evaluation=dataclasses.replace(settings.evaluation, workers=0))
    kept = json.loads(given.out.read_text()) if given.out and given.out.exists() else {}
    began = time.process_time()
    seeds = [str(seed) for seed in range(given.seed, given.seed + given.markets)]
    for seed in seeds:
        if seed in kept:
            continue
        if time.process_time() - began > given.seconds:
            break
        kept[seed] = duel(int(seed), settings, given.formulas, given.ic)
        print(json.dumps(kept[seed]), flush=True)
        if given.out:
            given.out.write_text(json.dumps(kept))
    rows = [kept[seed] for seed in seeds if seed in kept]
    if rows:
        told(rows, given.seed, truth=given.ic > 0)


if __name__ == "__main__":
    main()
