"""Graduation from shadow: how much noise, how many real features and in how many days.

    python benchmarks/statistics/sim_graduation.py --seed 4000              # everything, about four minutes
    python benchmarks/statistics/sim_graduation.py --seed 4000 noise        # 200 lifetimes on noise
    python benchmarks/statistics/sim_graduation.py --seed 4000 size         # chance of promotion against the level
    python benchmarks/statistics/sim_graduation.py --seed 4000 real         # planted features

Markets are those of `sim_evaluator.py`: Student-t(4) returns, clustered volatility, AR(1) features. 8,760 hourly bars
are cut into research (65 %) and one sealed part (35 %); 180 days follow that did not exist at the look. A planted
feature first has to pass the statistical research gates at N = 60, then meets the sealed part at the level of the
lifetime's stream, then, where it is sound, gathers forward scores as the monitor makes them.
"""

from __future__ import annotations

import argparse
import math
import time

import numpy as np
from scipy.signal import lfilter
from sim_evaluator import ar1, context_of, planted, world

from midas_engine.evaluator.gates.verdict import judge
from midas_engine.evaluator.metrics.evaluate import evaluate_values
from midas_engine.evaluator.metrics.reference_score import reference_of
from midas_engine.stats.causal_score import CausalScorer
from midas_engine.stats.graduation import GraduationBank, SealedEvidence
from midas_engine.stats.hac import hac_lag, hac_mean, one_sided_p
from midas_engine.stats.intervals import share_interval
from midas_engine.stats.online_fdr import LordPlusPlus
from midas_engine.stats.ranks import sort_rows

BARS, FORWARD, WARM, GAP = 8760, 180 * 24, 2160, 49
DAYS = (0, 30, 90, 180)
SEALED = round(0.65 * BARS)
MEMORIES = (0.0, 0.5, 0.9, 0.95, 0.98)


def forward_scores(values: np.ndarray, returns: np.ndarray) -> np.ndarray:
    """Causal scores [N, F] of features `values` [T, F, S] on the bars after the look."""
    scorer = CausalScorer(values.shape[1], values.shape[2])
    out = np.full((len(values) - BARS, values.shape[1]), np.nan)
    for t in range(BARS - WARM, len(values)):
        scorer.update(values[t], returns[t])
        if t >= BARS:
            out[t - BARS] = scorer.u
    return out


def days_to_graduate(evidence: list[SealedEvidence], scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Day of promotion (0: at the look) or graduation, and day of death; infinite where neither came. [F] each."""
    bank = GraduationBank(evidence)
    when = np.where([e.promoted for e in evidence], 0.0, np.inf)
    died = np.full(len(evidence), np.inf)
    for t, u in enumerate(scores):
        bank.update(u)
        when[bank.graduated & ~np.isfinite(when)] = (t + 1) / 24.0
        died[bank.dead & ~np.isfinite(died)] = (t + 1) / 24.0
    return when, died


def sealed_p(values: np.ndarray, returns: np.ndarray) -> tuple[float, int]:
    """One-sided p of a single series on the sealed part, by the evaluator's score and error."""
    context = context_of(returns[SEALED:BARS], np.array(["A"] * (BARS - SEALED)))
    rows = context.lay(context.take(values[SEALED:BARS]))
    u = context.score(rows, sort_rows(rows), b"known everywhere", 1).u
    lag = hac_lag(1)
    _, _, t = hac_mean(u, lag)
    count = int(np.isfinite(u).sum())
    return one_sided_p(t, 1.5 * count / (lag + 1.0)), count


def share(hits: float, tries: int) -> str:
    """A share with its 90 % interval."""
    low, high = share_interval(int(hits), tries)
    return f"{hits / max(tries, 1):.3f} [{low:.3f}, {high:.3f}]"


def noise(lifetimes: int, looks: int, seed: int) -> None:
    """Lifetimes in which every candidate is noise and meets the sealed part, one after another."""
    at_look = anything = sound = graduated = 0
    for k in range(lifetimes):
        shocks, scale, _ = world(seed + k, bars=BARS + FORWARD)
        returns = shocks * scale[:, None]
        rng = np.random.default_rng([seed, k, 5])
        values = np.stack([ar1(rng, MEMORIES[j % len(MEMORIES)], (BARS + FORWARD,)) for j in range(looks)], axis=1)
        stream, evidence = LordPlusPlus(), []
        for j in range(looks):
            p, bars = sealed_p(values[:, j], returns)
            level = stream.level()
            evidence.append(SealedEvidence(p, level, bars))
            stream.tests += 1
            if evidence[-1].promoted:
                stream.discoveries.append(stream.tests)
        when, _ = days_to_graduate(evidence, forward_scores(values[:, :, None], returns))
        at_look += bool((when == 0.0).any())
        anything += bool(np.isfinite(when).any())
        sound += sum(e.sound for e in evidence)
        graduated += int((np.isfinite(when) & (when > 0.0)).sum())
    print(f"\n{lifetimes} lifetimes of {looks} sealed looks at noise, 180 days of shadow, seeds {seed}..")
    print(f"  anything promoted at a look            {share(at_look, lifetimes)}")
    print(f"  anything promoted or graduated         {share(anything, lifetimes)}   (bar 0.10)")
    print(f"  went to shadow {sound}, graduated {graduated}")


def size(features: int, seed: int, level: float = 0.10) -> None:
    """The chance that noise is promoted or graduates, against a level high enough to count it."""
    print(f"\nchance of noise at a level of {level:g}, {features} features a row, 180 days of shadow, seeds {seed}..")
    print("  market                            memory   at the look             or graduated")
    for label, phi in (("white returns", 0.0), ("returns with autocorrelation 0.1", 0.1)):
        for memory in (0.0, 0.9, 0.98, 0.999):
            first = ever = tries = 0
            for k in range(math.ceil(features / 50)):
                shocks, scale, _ = world(seed + k, bars=BARS + FORWARD)
                shocks = lfilter([math.sqrt(1 - phi * phi)], [1.0, -phi], shocks, axis=0)
                returns = shocks * scale[:, None]
                rng = np.random.default_rng([seed, k, int(1000 * memory), 6])
                values = ar1(rng, memory, (BARS + FORWARD, 50))
                evidence = []
                for j in range(50):
                    p, bars = sealed_p(values[:, j], returns)
                    evidence.append(SealedEvidence(p, level, bars))
                when, _ = days_to_graduate(evidence, forward_scores(values[:, :, None], returns))
                first += int((when == 0.0).sum())
                ever += int(np.isfinite(when).sum())
                tries += 50
            print(f"  {label:33} {memory:5.3f}   {share(first, tries)}   {share(ever, tries)}")


def real(worlds: int, seed: int) -> None:
    """Planted features: promoted at the look, graduated after 30, 90 and 180 days, called dead although alive."""
    first, later = LordPlusPlus().level(), LordPlusPlus(tests=2).level()
    print(f"\nplanted features, promoted or graduated after days; {worlds} worlds a row, seeds {seed}..")
    print(
        f"  {'market':24} {'IC':>4}  research  level   whole level    look "
        + " ".join(f"{d:>4} d" for d in DAYS[1:])
        + "   dead   days to go, told / real, 180 at most (features in shadow)"
    )
    rows = ((1, 0.02), (1, 0.03), (1, 0.05), (24, 0.02), (24, 0.03), (-24, 0.01), (-24, 0.02))
    for symbols, ic in rows:
        evidence: dict[float, list[SealedEvidence]] = {first: [], later: []}
        scores, passed = [], 0
        for k in range(worlds):
            values, returns, regimes = market(seed + k, symbols, ic)
            rows_r, rows_s = slice(0, SEALED - GAP), slice(SEALED, BARS)
            research = judge(evaluate_values(values[rows_r], context_of(returns[rows_r], regimes[rows_r])), trials=60)
            if not research.statistical_pass:
                continue
            passed += 1
            held = evaluate_values(values[rows_s], context_of(returns[rows_s], regimes[rows_s]))
            reference, _ = reference_of(values[:BARS], returns[:BARS], rows_s)
            promised = (reference.score, reference.variance) if reference else (math.nan, math.nan)
            searched = (research.evaluation.score_t, research.evaluation.bars_scored)
            for level, found in evidence.items():
                found.append(SealedEvidence(held.score_p, level, held.bars_scored, *promised, *searched))
            scores.append(forward_scores(values[:, None, :], returns)[:, 0])
        label = "one series" if symbols == 1 else "24 symbols" if symbols > 0 else "24 symbols in 3 sectors"
        for level, found in evidence.items():
            if found:
                told = outcome(found, np.stack(scores, axis=1), worlds)
                print(f"  {label:24} {ic:4.2f}  {passed / worlds:8.2f}  {level:.4f}  {told}")


def market(seed: int, symbols: int, ic: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A feature [T, S], returns that it foresees with `ic`, regimes; fewer than zero symbols move in three sectors."""
    count = abs(symbols)
    shocks, scale, regimes = world(seed, bars=BARS + FORWARD, symbols=count, common=0.5 if count > 1 else 0.0)
    rng = np.random.default_rng([seed, count, int(1000 * ic)])
    if symbols < 0:
        shared, _, _ = world(seed + 1_000_000, bars=BARS + FORWARD, symbols=3)
        shocks = math.sqrt(0.9) * shared[:, np.arange(count) % 3] + math.sqrt(0.1) * shocks
    values, _ = planted(rng, ic, 0.95, shocks, scale)
    if symbols < 0:
        values = math.sqrt(0.9) * values[:, np.arange(count) % 3] + math.sqrt(0.1) * values
    inner = ic * math.sqrt(float((scale**2).mean())) / float(scale.mean())
    return values, (inner * values + math.sqrt(1.0 - inner * inner) * shocks) * scale[:, None], regimes


def outcome(found: list[SealedEvidence], scores: np.ndarray, worlds: int) -> str:
    """One row: what the look alone finds with the whole level, with its share, and what shadow adds."""
    when, died = days_to_graduate(found, scores)
    shares = " ".join(f"{(np.isfinite(when) & (when <= d)).sum() / worlds:6.2f}" for d in DAYS)
    bank = GraduationBank(found)
    ahead = np.array([math.nan if (o := bank.outlook(k)) is None else o.bars_to_go / 24.0 for k in range(len(found))])
    waiting = np.isfinite(ahead)
    truth = np.minimum(when, FORWARD / 24.0)[waiting]
    told = np.minimum(ahead, FORWARD / 24.0)[waiting]
    days = f"{told.mean():4.0f} / {truth.mean():4.0f} ({waiting.sum()})" if waiting.any() else "-"
    whole = sum(e.p <= e.level for e in found)
    return f"{whole / worlds:10.2f}  {shares}  {np.isfinite(died).mean():5.2f}   {days}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("noise", "size", "real", "all"), default="all")
    parser.add_argument("--seed", type=int, default=4000)
    parser.add_argument("--lifetimes", type=int, default=200)
    parser.add_argument("--looks", type=int, default=12)
    parser.add_argument("--features", type=int, default=400)
    parser.add_argument("--worlds", type=int, default=60)
    options = parser.parse_args()
    start = time.perf_counter()
    if options.what in ("noise", "all"):
        noise(options.lifetimes, options.looks, options.seed)
    if options.what in ("size", "all"):
        size(options.features, options.seed)
    if options.what in ("real", "all"):
        real(options.worlds, options.seed)
    print(f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
