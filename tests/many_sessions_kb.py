"""Many sessions of one base, each a process of its own, forked once the imports are done. Prints one JSON line."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from midas_engine.events import SessionEnded
from midas_engine.kb import KnowledgeBase
from midas_engine.loops import OfflineCompoundLoop, OfflineLoopConfig
from midas_engine.promoter import FeaturePromoter
from midas_engine.settings import EvaluationSettings, Settings
from tests.helpers_loops import FakeAssessor, FixedResearcher, verdict

# Three features, in two spellings each.
SPELLINGS = (
    ("cs_rank(close)", "cs_rank(close*2)"),
    ("cs_rank(neg(funding_rate))", "cs_rank(-funding_rate)"),
    ("ts_mean(returns(close, 1), 24)", "ts_mean(returns(close, 1), 24) * 1"),
)


async def session(folder: str, number: int) -> list[str]:
    """One session; returns what it saved."""
    kb = KnowledgeBase(folder, lock_timeout=60)
    texts = [pair[(number + i) % 2] for i, pair in enumerate(SPELLINGS)]
    loop = OfflineCompoundLoop(
        kb,
        lambda: FixedResearcher(texts[number % 3 :] + texts[: number % 3]),
        promoter=FeaturePromoter(kb),
        config=OfflineLoopConfig(max_iterations=1, candidates_per_iter=3),
        settings=Settings(evaluation=EvaluationSettings(workers=0)),
    )
    ended = [e async for e in loop.stream("one find each", FakeAssessor(lambda e, part: True))][-1]
    assert isinstance(ended, SessionEnded)
    return list(ended.accepted)


def child(folder: str, number: int, out: int) -> None:
    """A whole process."""
    os.write(out, (json.dumps(asyncio.run(session(folder, number))) + "\n").encode())


def main(folder: str, count: int) -> None:
    """Fork `count` sessions at once and wait for all."""
    KnowledgeBase(folder)
    verdict("research", True, t=1.0, ic=0.0)  # built once, before the fork
    ends = []
    for number in range(count):
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                child(folder, number, writing)
            finally:
                os._exit(0)
        os.close(writing)
        ends.append((pid, reading))
    saved = []
    for pid, reading in ends:
        with os.fdopen(reading) as file:
            saved.append(json.loads(file.read() or "null"))
        os.waitpid(pid, 0)
    print(json.dumps(saved))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
