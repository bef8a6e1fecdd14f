"""The modes by key; the first is imported with the terminal, the others when it runs, or are first shown."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from midas_tui.screens.live import LiveScreen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from midas_tui.screens.base import ModeScreen
    from midas_tui.stylesheet import KeptStylesheet


def _pipeline() -> type[ModeScreen]:
    from midas_tui.screens.pipeline import PipelineScreen

    return PipelineScreen


def _discovery() -> type[ModeScreen]:
    from midas_tui.screens.discovery import DiscoveryScreen

    return DiscoveryScreen


def _learnings() -> type[ModeScreen]:
    from midas_tui.screens.learnings import LearningsScreen

    return LearningsScreen


def _alerts() -> type[ModeScreen]:
    from midas_tui.screens.alerts import AlertsScreen

    return AlertsScreen


def _book() -> type[ModeScreen]:
    from midas_tui.screens.book import BookScreen

    return BookScreen


_LATER = {
    "pipeline": _pipeline,
    "discovery": _discovery,
    "learnings": _learnings,
    "alerts": _alerts,
    "book": _book,
}
MODES: Mapping[str, Any] = {"live": LiveScreen, **{name: lambda load=load: load()() for name, load in _LATER.items()}}
MODE_KEYS = tuple(MODES)


async def prepare_modes(stylesheet: KeptStylesheet) -> None:
    """Import the other modes and read their styles: who then shows one for the first time waits for neither."""
    for load in _LATER.values():
        stylesheet.expect(await asyncio.to_thread(load))
