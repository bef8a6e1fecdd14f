"""Does a default session without a key find a signal that no template, seed file or test spells?

    python benchmarks/search/bench_find.py --seed 1000 --markets 30 [--ic 0.06 | --ic 0] [--sessions N] [--within N]
        [--out FILE] [--seconds N]

Each market is one of `midas_engine.compound.markets`: 20 symbols, 8,760 hourly bars, ten columns, one formula of up
to three operators on two columns. Found: a feature that passed every gate on the research part correlates at least
0.7 with the planted one (normal scores across symbols). `--ic 0` plants nothing and counts what is let through. Seeds
below 1000 were used to tune the search; those from 1000 on were not looked at before it was done. CPU time is of the
session alone, in one thread; what drew the market is not counted. With `--sessions` above one a miss is followed by
further sessions in the same base, each with a seed of its own, and CPU time and evaluations add up; none begins once
a market has had `--within` CPU-seconds, and what is found later than that is no find. With `--out`
every market's outcome is kept and a second run goes on where the first ended (`--seconds` ends one).
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import math
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from midas_engine import events as ev
from midas_engine.compound.markets import correlation, planted, ranked
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
    """What one session did.

    Attributes:
        significant: Candidates that the test against noise let through on research, whatever the other agents said.
        passed: Those that passed every agent there.
        accepted: Those that the sealed part accepted.
        evaluations: Expressions whose values met a return.
        seconds: Of CPU.
    """

    significant: list[str]
    passed: list[str]
    accepted: list[str]
    evaluations: int
    seconds: float


async def searched(panel: Panel, settings: Settings, screened: int, base: Path | None = None) -> Searched:
    """One default session on a panel, on a base of its own unless one is given."""
    if base is None:
        with tempfile.TemporaryDirectory() as folder:
            return await searched(panel, settings, screened, Path(folder) / "kb")
    began = time.process_time()
    significant: list[str] = []
    passed: list[str] = []
    config = OfflineLoopConfig(max_iterations=5, screened=screened)
    kb = KnowledgeBase(base)
    loop = OfflineCompoundLoop(kb, lambda: LocalResearcher(settings.seed), config=config, settings=settings)
    async for event in loop.stream(GOAL, PanelAssessor(panel, settings)):
        if isinstance(event, ev.CandidateScored):
            failed = {row.agent for row in event.agents if not row.passed}
            passed += [event.expression] * (not failed)
            significant += [event.expression] * ("predictive_power" not in failed)
        if isinstance(event, ev.SessionEnded):
            accepted, tried, mark = event.accepted, event.tried, event.session_id
    seconds = time.process_time() - began
    with TrialLedger(kb.journal_path, read_only=True) as ledger:
        evaluated = sum(int(t.summary.get("evaluated", 0)) for t in ledger.history() if t.session == mark) + tried
    found = [kb.feature(name).expression for name in accepted]
    return Searched(significant, passed, found, evaluated, round(seconds, 1))


def sessions(seed: int, ic: float, screened: int, most: int, within: float = math.inf) -> dict[str, Any]:
    """Default sessions on the market of a seed, `most` of them or until one finds what was planted.

    Args:
        seed: Of the market.
        ic: Of what is planted; 0: nothing.
        screened: Raw expressions a session.
        most: Sessions.
        within: CPU-seconds after which none begins.
    """
    settings = Settings()
    settings = dataclasses.replace(settings, evaluation=dataclasses.replace(settings.evaluation, workers=0))
    market = planted(seed, settings, ic=ic)
    engine = FeatureEngine(market.panel, cache_bytes=0)
    row: dict[str, Any] = {
        "seed": seed, "formula": market.formula, "passed": 0, "accepted": 0, "like": 0.0, "seconds": 0.0,
        "evaluations": 0, "sessions": 0,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        while row["sessions"] < most and row["seconds"] < within and row["like"] < LIKE:
            chosen = dataclasses.replace(settings, seed=settings.seed + row["sessions"])
            found = asyncio.run(searched(market.panel, chosen, screened, Path(folder) / "kb"))
            like = [abs(correlation(ranked(engine.values(x)), market.values)) for x in found.passed] if ic else []
            row["like"] = round(max([row["like"], *like]), 3)
            row["seconds"] = round(row["seconds"] + found.seconds, 1)
            row |= {name: row[name] + len(getattr(found, name)) for name in ("passed", "accepted")}
            row |= {"sessions": row["sessions"] + 1, "evaluations": row["evaluations"] + found.evaluations}
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--markets", type=int, default=30)
    parser.add_argument("--ic", type=float, default=0.06)
    parser.add_argument("--screened", type=int, default=Settings().evaluation.screened)
    parser.add_argument("--sessions", type=int, default=1, help="sessions on a market at most, until one finds it")
    parser.add_argument("--within", type=float, default=1800.0, help="CPU-seconds in which a market may be found")
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    kept = json.loads(given.out.read_text()) if given.out and given.out.exists() else {}
    began = time.process_time()
    for seed in range(given.seed, given.seed + given.markets):
        if str(seed) not in kept:
            if time.process_time() - began > given.seconds:
                break
            kept[str(seed)] = sessions(seed, given.ic, given.screened, given.sessions, given.within)
            print(json.dumps(kept[str(seed)]), flush=True)
            if given.out:
                given.out.write_text(json.dumps(kept))
    rows = [kept[str(s)] for s in range(given.seed, given.seed + given.markets) if str(s) in kept]
    seconds = sorted(r["seconds"] for r in rows)
    named = (
        {f"found, like {LIKE:g} or more": lambda r: r["like"] >= LIKE and r["seconds"] <= given.within}
        if given.ic
        else {}
    )
    if given.ic and given.sessions > 1:
        named["found in the first session"] = lambda r: r["like"] >= LIKE and r["sessions"] == 1
    named |= {"let through research": lambda r: r["passed"] > 0, "accepted": lambda r: r["accepted"] > 0}
    shares = {name: sum(map(holds, rows)) for name, holds in named.items()}
    for name, count in shares.items():
        low, high = share_interval(count, len(rows))
        print(f"{name}: {count} of {len(rows)} markets, {count / len(rows):.0%} [{low:.0%}, {high:.0%}]")
    every = sum(r["evaluations"] for r in rows) / len(rows)
    print(f"CPU seconds a market: median {seconds[len(seconds) // 2]}, most {seconds[-1]}; evaluations {every:,.0f}")


if __name__ == "__main__":
    main()
