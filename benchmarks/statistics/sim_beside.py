"""How often is a twin of a candidate let past it, and a whole past its part?

    python benchmarks/statistics/sim_beside.py [--seed 1000] [--seeds 200] [--bars 4000] [--symbols 1] [--ic 0.2]

Returns follow one feature, which waits as a candidate. A twin is made of it and of what says nothing: beside the
candidate none adds anything, however much it is like it. A whole is the feature itself beside a part of it. Each is
judged as the sixtieth trial of a session on the research part; printed is how many pass `diversification` though they
are more like the candidate than its limit, and the t of what the candidate does not explain. Seeds below 1000 tuned.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.signal import lfilter

from midas_engine.evaluator import DEFAULT_THRESHOLDS, EvaluationContext, ScoringOptions, evaluate_values, judge
from midas_engine.stats.intervals import share_interval

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from midas_engine.models import MultiAgentResult
    from midas_engine.stats._jit import Floats

    Twin = Callable[[Floats, np.random.Generator], Floats]

LIMIT = float(DEFAULT_THRESHOLDS["diversification"]["max_correlation"])
TRIALS = 60
RHO = 0.9
"""From one bar to the next, of the feature."""
ALIKE = (0.75, 0.85, 0.92)


def ar1(rng: np.random.Generator, rho: float, shape: tuple[int, ...]) -> Floats:
    """Unit-variance noise that remembers."""
    noise = rng.normal(size=shape) * np.sqrt(1.0 - rho * rho)
    noise[0] /= np.sqrt(1.0 - rho * rho)
    found: Floats = lfilter([1.0], [1.0, -rho], noise, axis=0)
    return found


def later(values: Floats, bars: int) -> Floats:
    """As it was so many bars ago."""
    moved = np.full_like(values, np.nan)
    moved[bars:] = values[:-bars]
    return moved


TWINS: Mapping[str, Twin] = {
    "noise on top": lambda f, rng: 0.85 * f + 0.53 * rng.normal(size=f.shape),
    "little noise on top": lambda f, rng: f + 0.15 * rng.normal(size=f.shape),
    "rare jumps on top": lambda f, rng: f + 3.0 * (rng.random(f.shape) < 0.05) * rng.normal(size=f.shape),
    "a column beside it": lambda f, rng: f + 0.6 * ar1(rng, 0.9, f.shape),
    "the larger of it and a column": lambda f, rng: np.maximum(f, ar1(rng, 0.95, f.shape) - 1.0),
    "scaled by what drifts": lambda f, _: f * np.linspace(0.3, 3.0, len(f))[:, None],
    "scaled by a column": lambda f, rng: f * np.exp(ar1(rng, 0.99, f.shape)),
    "its sign turned": lambda f, _: -f,
    "its sign": lambda f, _: np.sign(f),
    "cut": lambda f, _: np.clip(f, -0.3, 0.3),
    "in steps": lambda f, _: np.round(f),
    "half of it": lambda f, rng: np.maximum(f, 0.0) + 1e-3 * rng.normal(size=f.shape),
    "where it is large": lambda f, _: np.where(np.abs(f) > 0.7, f, np.nan),
    "ranked again": lambda f, _: pd.DataFrame(f).rolling(168).rank().to_numpy(),
    "later": lambda f, _: later(f, 2),
    "smoothed": lambda f, _: pd.DataFrame(f).ewm(span=6).mean().to_numpy(),
}
"""Made of a candidate and of what says nothing."""


def market(seed: int, bars: int, symbols: int, ic: float) -> tuple[Floats, EvaluationContext]:
    """A feature, and returns that follow it in a context without any other feature."""
    rng = np.random.default_rng(seed)
    scale = 0.01 * np.exp(0.5 * ar1(rng, 0.98, (bars, 1)))
    feature = ar1(rng, RHO, (bars, symbols))
    noise = rng.standard_t(4, size=(bars, symbols)) / np.sqrt(2.0)
    returns = np.clip(scale * (ic * feature + np.sqrt(1.0 - ic * ic) * noise), -0.4, 0.4)
    return feature, _beside(returns, {})


def _beside(returns: Floats, existing: Mapping[str, Floats]) -> EvaluationContext:
    times = np.datetime64("2025-01-01", "ns") + np.arange(len(returns)) * np.timedelta64(3600, "s")
    names = tuple(f"S{i}" for i in range(returns.shape[1]))
    options = ScoringOptions(waiting=frozenset(existing))
    return EvaluationContext.from_returns(
        {1: returns}, timestamps=times, symbols=names, existing=dict(existing), options=options
    )


def told(
    values: Floats, data: EvaluationContext, existing: Mapping[str, Floats], trials: int = TRIALS
) -> MultiAgentResult:
    """The verdict on values beside candidates."""
    return judge(evaluate_values(values, _beside(data.returns[1], existing)), trials=trials)


def twin(name: str, seed: int, bars: int, symbols: int, ic: float) -> MultiAgentResult:
    """The verdict on a twin of the candidate."""
    feature, data = market(seed, bars, symbols, ic)
    return told(TWINS[name](feature, np.random.default_rng([seed, 4])), data, {"candidate": feature})


def whole(alike: float, seed: int, bars: int, symbols: int, ic: float) -> MultiAgentResult:
    """The verdict on the feature beside a part of it."""
    feature, data = market(seed, bars, symbols, ic)
    noise = ar1(np.random.default_rng([seed, 4]), RHO, feature.shape)
    return told(feature, data, {"part": alike * feature + np.sqrt(1.0 - alike**2) * noise})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--bars", type=int, default=4000)
    parser.add_argument("--symbols", type=int, default=1)
    parser.add_argument("--ic", type=float, default=0.2)
    given = parser.parse_args()
    seeds = range(given.seed, given.seed + given.seeds)
    size = (given.bars, given.symbols, given.ic)
    began = time.process_time()
    every = [
        _row(name, [twin(name, seed, *size) for seed in seeds]) for name in TWINS
    ]  # fmt: skip
    passed, judged = sum(p for p, _ in every), sum(n for _, n in every)
    low, high = share_interval(passed, judged)
    print(f"twins let past: {passed} of {judged}, {passed / judged:.2%} [{low:.2%}, {high:.2%}]")
    for alike in ALIKE:
        _row(f"a whole beside a part {alike:g} like it", [whole(alike, seed, *size) for seed in seeds])
    print(f"CPU seconds: {time.process_time() - began:.0f}")


def _row(name: str, found: list[MultiAgentResult]) -> tuple[int, int]:
    like = [v for v in found if v.evaluation.max_correlation > LIMIT]
    passed = sum("diversification" not in v.failed_agents for v in like)
    t = np.array([v.evaluation.marginal_t for v in found])
    print(
        f"{name}: {passed} of {len(like)} more than {LIMIT:g} like it; t of the rest {t.mean():+.2f} sd {t.std():.2f}, "
        f"above 1.645 {(t > 1.645).mean():.1%}",
        flush=True,
    )
    return passed, len(like)


if __name__ == "__main__":
    main()
