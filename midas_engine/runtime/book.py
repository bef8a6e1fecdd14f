"""The book of the base that is open, measured off the event loop and kept until the pipeline or the data changes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from midas_engine.models import FeatureState

if TYPE_CHECKING:
    from midas_engine.book.figures import BookFigures
    from midas_engine.runtime.open_base import OpenBase
    from midas_engine.runtime.watched import Watched
    from midas_engine.settings import Settings


class Book:
    """Answers what all deployed features make together.

    Args:
        settings: Costs, caps, capital.
        base: Its deployed features are the members.
        watched: Its data is what they are measured on; a live feed is asked for its history.
    """

    def __init__(self, settings: Settings, base: OpenBase, watched: Watched) -> None:
        self._settings, self._base, self._watched = settings, base, watched
        self._kept: tuple[tuple[object, ...], BookFigures] | None = None
        self._lock = asyncio.Lock()

    async def figures(self, *, again: bool = False) -> BookFigures:
        """The book; measured `again` where that is asked for, though nothing changed.

        Raises:
            MidasError: It cannot be measured; says why.
        """
        async with self._lock:
            return await asyncio.to_thread(self._figures, again)

    def _figures(self, again: bool) -> BookFigures:
        from midas_engine.book.build import book_of, nothing_deployed
        from midas_engine.errors import DataError
        from midas_engine.preflight import todays_panel

        kb = self._base.kb
        deployed = kb.features(FeatureState.DEPLOYED) if kb.path.is_dir() else []
        if not deployed:
            return nothing_deployed(self._settings)
        key: tuple[object, ...] = (
            self._watched.panel and id(self._watched.panel),
            *((r.name, r.expression, r.paused, r.damaged) for r in deployed),
        )
        if self._kept is not None and self._kept[0] == key and not again:
            return self._kept[1]
        panel, why = self._watched.panel, ""
        if panel is None or self._watched.mode == "LIVE":
            panel, why = todays_panel(self._settings)
        if panel is None:
            raise DataError(f"the book cannot be measured: {why}")
        found = book_of(kb, panel, self._settings)
        self._kept = (key, found)
        return found
