"""A lifetime of sessions on pure noise: how often is anything promoted at all?

    python benchmarks/statistics/sim_lifetimes.py [--lifetimes 200] [--sessions 30] [--trials 60] [--seed 3000]

Every lifetime is one market of 8,760 hourly bars (those of `sim_contract.py`), cut into research and the sealed part,
and one ledger. A session tries AR(1) noise features at its session line; what passes the statistical gates on research
meets the sealed part, charged to the lifetime's budget (LORD++ at 10 %). The economic gates are left out: they could
only refuse more.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from sim_contract import BARS, INDEX, KINDS, MEMORIES, Row, ar1, forward, world

from midas_engine.evaluator import (
    EvaluationContext,
    ScoringOptions,
    SealedHoldout,
    TrialKey,
    TrialLedger,
    evaluate_values,
    judge,
    session_line,
    split_parts,
)
from midas_engine.evaluator.metrics.significance import time_figures
from midas_engine.executor import ProcessExecutor, TaskExecutor
from midas_engine.settings import EvaluationSettings
from midas_engine.stats.intervals import share_interval
from midas_engine.stats.ranks import sort_rows


def over_the_line(values: np.ndarray, context: EvaluationContext, trials: int) -> bool:
    """The score against the session line alone: a third of the work of a whole verdict."""
    rows = context.lay(context.take(values))
    u = context.score(rows, sort_rows(rows), b"known everywhere", 1).u
    found = time_figures(u, 1, 0.0)
    return found.t >= session_line(trials, found.dof)


def lifetime(job: tuple[int, int, int]) -> tuple[int, int, int]:
    """Candidates through research, sealed looks, promotions."""
    seed, sessions, trials = job
    rng, shocks, scale, labels = world(seed, KINDS[seed % len(KINDS)])
    returns = forward(shocks * scale, (1,))["ret_1h"].to_numpy()
    parts = split_parts(BARS, 1, EvaluationSettings())
    stamps = INDEX.tz_localize(None).to_numpy().astype("datetime64[ns]")
    contexts = {}
    for part in ("research", "sealed"):
        rows = parts.named(part)
        inside = returns[rows].copy()
        inside[-1] = np.nan  # earned after the part's last bar
        contexts[part] = (
            rows,
            EvaluationContext.from_returns(
                {1: inside},
                timestamps=stamps[rows],
                regimes=labels.to_numpy()[rows],
                options=ScoringOptions(part=part),
            ),
        )
    passed = looks = promoted = 0
    with TrialLedger(":memory:") as ledger:
        holdout = SealedHoldout(ledger)
        for session in range(sessions):
            for k in range(trials):
                values = ar1(rng, MEMORIES[k % len(MEMORIES)], (BARS,))
                rows, context = contexts["research"]
                if not over_the_line(values[rows], context, trials):
                    continue  # most of noise; the other gates could only refuse it again
                if not judge(evaluate_values(values[rows], context), trials=trials).statistical_pass:
                    continue
                passed += 1
                looks += 1
                rows, context = contexts["sealed"]
                look = holdout.look(TrialKey(f"noise-{session}-{k}", str(seed)), values[rows], context)
                promoted += look.passed
    return passed, looks, promoted


def run(pool: TaskExecutor, lifetimes: int, sessions: int, trials: int, seed: int) -> list[Row]:
    rows = np.array(list(pool.map(lifetime, [(seed + k, sessions, trials) for k in range(lifetimes)])))
    hits = int((rows[:, 2] > 0).sum())
    low, high = share_interval(hits, len(rows))
    said = f"{hits / len(rows):.1%} [{low:.1%}, {high:.1%}]"
    print(
        f"{lifetimes} lifetimes of {sessions} sessions of {trials} on pure noise, seeds {seed}..: "
        f"{rows[:, 0].sum()} candidates passed research, {rows[:, 1].sum()} looked at the sealed part, "
        f"lifetimes with a false promotion {said} (bar 10 %)"
    )
    name = f"{lifetimes} lifetimes of {sessions} sessions on noise: any false promotion"
    return [(name, said, "<= 10 %", hits <= 0.10 * len(rows))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lifetimes", type=int, default=200)
    parser.add_argument("--sessions", type=int, default=30)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--seed", type=int, default=3000)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    start = time.perf_counter()
    with ProcessExecutor(options.workers) as pool:
        run(pool, options.lifetimes, options.sessions, options.trials, options.seed)
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
