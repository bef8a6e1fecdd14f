"""Does a default session without a key find a signal that no template, seed file or test spells?

    python benchmarks/search/bench_find.py --seed 1000 --markets 30 [--ic 0.06 | --ic 0] [--out FILE] [--seconds N]

Each market is one of `planted_markets.py`: 20 symbols, 8,760 hourly bars, ten columns, one formula of up to three
operators on two columns. Found: a feature that passed every gate on the research part correlates at least 0.7 with the
planted one (normal scores across symbols). `--ic 0` plants nothing and counts what is let through. Seeds below 1000
were used to tune the search; those from 1000 on were not looked at before it was done. CPU time is of the session
alone, in one thread; what drew the market is not counted. With `--out` every market's outcome is kept and a second run
goes on where the first ended (`--seconds` ends one).
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planted_markets import correlation, planted, ranked

from midas_engine import events as ev
from midas_engine.dsl import FeatureEngine
from midas_engine.evaluator.trials.ledger import TrialLedger
from midas_engine.kb import KnowledgeBase
from midas_engine.loops import OfflineCompoundLoop, OfflineLoopConfig, PanelAssessor
from midas_engine.proposer import LocalResearcher
from midas_engine.settings import Settings
from midas_engine.stats.intervals import share_interval

if TYPE_CHECKING:
    from midas_engine.market.panel import Panel

GOAL = "anything that predicts the next bar"
LIKE = 0.7


@dataclasses.dataclass(frozen=True)
class Searched:
    """What one session did: features that passed on research, those accepted, evaluations, CPU seconds."""

    passed: list[str]
    accepted: list[str]
    evaluations: int
    seconds: float


async def searched(panel: Panel, settings: Settings, screened: int) -> Searched:
    """One default session on a panel, on a base of its own."""
    began = time.process_time()
    passed: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        config = OfflineLoopConfig(max_iterations=5, screened=screened)
        kb = KnowledgeBase(Path(folder) / "kb")
        loop = OfflineCompoundLoop(kb, lambda: LocalResearcher(settings.seed), config=config, settings=settings)
        async for event in loop.stream(GOAL, PanelAssessor(panel, settings)):
            if isinstance(event, ev.CandidateScored) and all(row.passed for row in event.agents):
                passed.append(event.expression)
            if isinstance(event, ev.SessionEnded):
                accepted, tried = event.accepted, event.tried
        seconds = time.process_time() - began
        with TrialLedger(kb.journal_path, read_only=True) as ledger:
            evaluated = sum(int(t.summary.get("evaluated", 0)) for t in ledger.history()) + tried
        return Searched(passed, [kb.feature(name).expression for name in accepted], evaluated, round(seconds, 1))


def session(seed: int, ic: float, screened: int) -> dict[str, Any]:
    """One default session on the market of a seed."""
    settings = Settings()
    settings = dataclasses.replace(settings, evaluation=dataclasses.replace(settings.evaluation, workers=0))
    market = planted(seed, settings, ic=ic)
    found = asyncio.run(searched(market.panel, settings, screened))
    engine = FeatureEngine(market.panel, cache_bytes=0)
    like = [abs(correlation(ranked(engine.values(x)), market.values)) for x in found.passed] if ic else []
    return {
        "seed": seed, "formula": market.formula, "passed": len(found.passed), "accepted": len(found.accepted),
        "like": round(max(like, default=0.0), 3), "seconds": found.seconds, "evaluations": found.evaluations,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--markets", type=int, default=30)
    parser.add_argument("--ic", type=float, default=0.06)
    parser.add_argument("--screened", type=int, default=Settings().evaluation.screened)
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    kept = json.loads(given.out.read_text()) if given.out and given.out.exists() else {}
    began = time.process_time()
    for seed in range(given.seed, given.seed + given.markets):
        if str(seed) not in kept:
            if time.process_time() - began > given.seconds:
                break
            kept[str(seed)] = session(seed, given.ic, given.screened)
            print(json.dumps(kept[str(seed)]), flush=True)
            if given.out:
                given.out.write_text(json.dumps(kept))
    rows = [kept[str(s)] for s in range(given.seed, given.seed + given.markets) if str(s) in kept]
    seconds = sorted(r["seconds"] for r in rows)
    shares = {
        "let through research": sum(r["passed"] > 0 for r in rows),
        "accepted": sum(r["accepted"] > 0 for r in rows),
    }
    if given.ic:
        shares = {f"found, like {LIKE:g} or more": sum(r["like"] >= LIKE for r in rows)} | shares
    for name, count in shares.items():
        low, high = share_interval(count, len(rows))
        print(f"{name}: {count} of {len(rows)} markets, {count / len(rows):.0%} [{low:.0%}, {high:.0%}]")
    every = sum(r["evaluations"] for r in rows) / len(rows)
    print(f"CPU seconds a session: median {seconds[len(seconds) // 2]}, most {seconds[-1]}; evaluations {every:,.0f}")


if __name__ == "__main__":
    main()
