"""A thousand evaluations in one session: how long the event loop was held, and whether an evaluation stays as cheap.

    python benchmarks/search/bench_thousand.py [--seed 3] [--evaluations 1000] [--workers 1] [--proposer model | local]

A scripted model writes random expressions, ten a reply; each is judged by the six agents in a worker process on a small
panel and refused its refinement, so that every evaluation is two calls of the model with whole prompts; `--proposer
local` is the search without a model (its templates and changes, nothing screened). Held: one
callback of the loop, by the processor time of its thread and by the clock. An evaluation: what this process spent from
one verdict to the next, and the clock, its first hundred against its last.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from midas_engine.loops import PanelAssessor
from midas_engine.market import SyntheticMarket
from midas_engine.settings import EvaluationSettings, Settings
from tests.helpers_evaluations import Many, many_evaluations


def told(many: Many) -> str:
    """What was measured, for a person."""
    lines = [f"{many.scored:,} evaluations"]
    for what, taken in (("processor time of the loop's thread", many.held.computed), ("clock", many.held.passed)):
        last = sorted(taken)[-3:][::-1]
        over = sum(t > 0.05 for t in taken)
        longest = ", ".join(f"{1e3 * t:.1f}" for t in last)
        lines.append(f"longest callbacks, {what}: {longest} ms; over 50 ms: {over} of {len(taken):,}")
    share = min(0.5, 100 / max(1, many.scored))
    for what, taken in (("processor time of this process", many.computed), ("clock", many.passed)):
        first, end = many.ends(taken, share)
        lines.append(f"an evaluation, {what}: median {1e3 * first:.1f} ms at first, {1e3 * end:.1f} ms at last")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--evaluations", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--proposer", choices=("model", "local"), default="model")
    given = parser.parse_args()
    settings = Settings(evaluation=EvaluationSettings(workers=given.workers))
    panel = SyntheticMarket(given.seed, bars=3000, symbols=12).panel()
    with tempfile.TemporaryDirectory() as folder:
        assessor = PanelAssessor(panel, settings)
        run = many_evaluations(
            Path(folder), assessor, given.evaluations, seed=given.seed, settings=settings,
            local=given.proposer == "local",
        )  # fmt: skip
        print(told(asyncio.run(run)))


if __name__ == "__main__":
    main()
