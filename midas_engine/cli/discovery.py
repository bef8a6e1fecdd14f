"""One discovery session from the command line: its data is loaded beside it, its record kept, its end assured."""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from midas_engine.events import Event
    from midas_engine.factory import Midas
    from midas_engine.loops import OfflineLoopConfig
    from midas_engine.settings import Settings


class Discovery:
    """A session that is ready to run.

    Example: `async with discovery(settings, goal, config) as session: async for event in session: ...`
    """

    def __init__(self, midas: Midas, goal: str, regime: str, resume: str = "") -> None:
        self._midas, self._goal, self._regime, self._resume = midas, goal, regime, resume

    async def __aiter__(self) -> AsyncIterator[Event]:
        """The session's events; the last is `SessionEnded`, whatever happens."""
        async with aclosing(self._midas.discover(self._goal, regime=self._regime, resume=self._resume)) as events:
            async for event in events:
                yield event

    def cancel(self) -> bool:
        """Stop the session; it still writes its learning. False when it does not run."""
        return self._midas.offline.cancel()


@asynccontextmanager
async def discovery(
    settings: Settings,
    goal: str,
    config: OfflineLoopConfig,
    *,
    api_key: str | None = None,
    regime: str = "",
    resume: str = "",
) -> AsyncIterator[Discovery]:
    """A session on the settings' data, with candidates and learnings going to the settings' knowledge base.

    Raises:
        ModelKeyError: The provider has no key.
        ReadOnlyError: The settings forbid writing.
    """
    import asyncio

    from midas_engine.errors import ReadOnlyError
    from midas_engine.factory import Midas

    if settings.read_only:
        raise ReadOnlyError("a session writes candidates and learnings", hint="leave read_only out")
    midas = await asyncio.to_thread(Midas, settings, api_key=api_key, offline_config=config)
    try:
        yield Discovery(midas, goal, regime, resume)
    finally:
        await asyncio.to_thread(midas.close)
