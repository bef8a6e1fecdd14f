"""A tiny campaign on a made-up market, in this process or as one that can be killed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from midas_engine.campaign import Campaign, CampaignPlan
from midas_engine.clock import ManualClock
from midas_engine.kb import KnowledgeBase
from midas_engine.loops.session_record import SessionRecord
from midas_engine.market import SyntheticMarket
from midas_engine.settings import EvaluationSettings, ExecutorSettings, Settings
from midas_engine.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from midas_engine.campaign import CampaignState

PLAN = CampaignPlan("tiny", ("funding carry",), 60, screened=50, iterations=1, each=2)


def run_campaign(
    folder: Path, workers: int = 0, executor: ExecutorSettings | None = None, plan: CampaignPlan = PLAN, **parts: Any
) -> CampaignState:
    """A campaign to its end; `started` among `parts` is given it before it runs."""
    started = parts.pop("started", None)
    settings = Settings(
        kb=str(folder),
        evaluation=EvaluationSettings(workers=workers, candidate_seconds=600.0),
        executor=executor or ExecutorSettings(),
    )
    workspace = Workspace(settings, clock=ManualClock(datetime(2026, 1, 1, tzinfo=UTC)))
    try:
        panel = SyntheticMarket(5, bars=1500, symbols=12).panel()
        campaign = Campaign(workspace, plan, panel=panel, **parts)
        if started is not None:
            started.append(campaign)
        return asyncio.run(campaign.run())
    finally:
        workspace.close()


def die_around_the_end(after: bool) -> None:
    """Kill this process when its first session is about to note its end, or has just noted it."""
    plain = SessionRecord.keep

    async def keep(record: SessionRecord, kind: str, body: Mapping[str, Any]) -> None:
        if kind == "end" and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        await plain(record, kind, body)
        if kind == "end":
            os.kill(os.getpid(), signal.SIGKILL)

    SessionRecord.keep = keep  # type: ignore[method-assign]


def die_before_the_last_note() -> None:
    """Kill this process when of the last session's report and the note that it is done one is written."""
    plain, left = KnowledgeBase.save_text, [2 * len(PLAN.legs)]

    def save(kb: KnowledgeBase, path: str, text: str, **how: bool) -> Path:
        left[0] -= "campaigns/" in path
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        return plain(kb, path, text, **how)

    KnowledgeBase.save_text = save  # type: ignore[method-assign]


if __name__ == "__main__":  # says each step, and is killed at one of them
    if len(sys.argv) > 2 and sys.argv[2] == "between":
        die_before_the_last_note()
    elif len(sys.argv) > 2:
        die_around_the_end(sys.argv[2] == "after")
    steps = iter(range(1000))
    run_campaign(Path(sys.argv[1]), tell=lambda event: print(next(steps), type(event).__name__, flush=True))
