"""The modes by key; the first is imported with the terminal, the others when they are first shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from midas_tui.screens.live import LiveScreen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual.screen import Screen


def _pipeline() -> Screen[Any]:
    from midas_tui.screens.pipeline import PipelineScreen

    return PipelineScreen()


def _discovery() -> Screen[Any]:
    from midas_tui.screens.discovery import DiscoveryScreen

    return DiscoveryScreen()


def _learnings() -> Screen[Any]:
    from midas_tui.screens.learnings import LearningsScreen

    return LearningsScreen()


def _alerts() -> Screen[Any]:
    from midas_tui.screens.alerts import AlertsScreen

    return AlertsScreen()


def _book() -> Screen[Any]:
    from midas_tui.screens.book import BookScreen

    return BookScreen()


MODES: Mapping[str, Any] = {
    "live": LiveScreen,
    "pipeline": _pipeline,
    "discovery": _discovery,
    "learnings": _learnings,
    "alerts": _alerts,
    "book": _book,
}
MODE_KEYS = tuple(MODES)
