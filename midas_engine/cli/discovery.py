"""One discovery session from the command line: the loop, its data, its journal, and how it is stopped."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from midas_engine.cli.engine import open_pipeline

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from midas_engine.events import Event
    from midas_engine.journal import Journal
    from midas_engine.llm.client import ModelReply, ModelRequest
    from midas_engine.loops import OfflineCompoundLoop, OfflineLoopConfig
    from midas_engine.settings import Settings


class Discovery:
    """A session that is ready to run.

    Example: `async with discovery(settings, goal, config) as session: async for event in session: ...`
    """

    def __init__(self, loop: OfflineCompoundLoop, goal: str, settings: Settings, journal: Journal, regime: str) -> None:
        self._loop, self._goal, self._settings, self._regime = loop, goal, settings, regime
        self._journal = journal

    async def __aiter__(self) -> AsyncIterator[Event]:
        """The session's events, each offered to the journal first; ends with `SessionEnded`, whatever happens."""
        from midas_engine.journal import EventRecorder
        from midas_engine.loops import PanelAssessor
        from midas_engine.market import load_panel

        panel = await asyncio.to_thread(load_panel, self._settings.data)
        recorder = EventRecorder(self._journal)
        try:
            async for event in self._loop.stream(self._goal, PanelAssessor(panel, self._settings), regime=self._regime):
                recorder.take(event)
                yield event
        finally:
            await recorder.flush()

    def cancel(self) -> bool:
        """Stop the session; it still writes its learning. False when it does not run."""
        return self._loop.cancel()


@asynccontextmanager
async def discovery(
    settings: Settings, goal: str, config: OfflineLoopConfig, *, api_key: str | None = None, regime: str = ""
) -> AsyncIterator[Discovery]:
    """A session on the settings' data, with candidates and learnings going to the settings' knowledge base.

    Raises:
        ModelKeyError: The provider has no key.
        ReadOnlyError: The settings forbid writing.
    """
    from midas_engine.clock import WallClock
    from midas_engine.errors import ReadOnlyError
    from midas_engine.loops import OfflineCompoundLoop
    from midas_engine.models import ModelUsage
    from midas_engine.proposer import make_researcher

    if settings.read_only:
        raise ReadOnlyError("a session writes candidates and learnings", hint="leave read_only out")
    clock = WallClock()
    with open_pipeline(settings, create=True) as promoter:
        journal = promoter.journal
        today = clock.now().replace(hour=0, minute=0, second=0, microsecond=0)

        def charged(request: ModelRequest, reply: ModelReply) -> None:
            usage = ModelUsage(
                reply.provider, reply.model, reply.tokens_in, reply.tokens_out, reply.cost_usd, reply.seconds
            )
            journal.record_model_call(usage, at=clock.now())

        researcher = make_researcher(
            settings, api_key=api_key, day_spent_usd=journal.model_spend(since=today)[1], on_reply=charged
        )
        loop = OfflineCompoundLoop(
            promoter.kb, lambda: researcher, promoter=promoter, config=config, settings=settings, clock=clock
        )
        yield Discovery(loop, goal, settings, journal, regime)
