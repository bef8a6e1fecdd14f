"""Modes that plug-ins add: each gets the next free number key, as the six have theirs."""

from __future__ import annotations

import asyncio
import warnings
from typing import TYPE_CHECKING, Any

from midas_engine import plugins
from midas_engine.plugins import PluginWarning, give_up, use
from midas_tui.modes import MODE_KEYS

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import App

    from midas_engine.plugins import Plugin

KEYS = "789"
"""Number keys that Midas itself leaves free."""


async def take_plugins(app: App[Any], complain: Callable[[str], object]) -> None:
    """Modes of plug-ins, and a word about every plug-in that cannot be used."""
    if await asyncio.to_thread(plugins.listed):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PluginWarning)  # said below, in the terminal's own way
            add_plugin_modes(app, MODE_KEYS)
        for problem in plugins.problems():
            complain(f"plug-in {problem} cannot be used")


def add_plugin_modes(app: App[Any], known: tuple[str, ...]) -> list[str]:
    """Add every installed screen as a mode; gives the names of those that could be added.

    A screen that cannot be used is one warning. More screens than there are keys are reached from the palette's mode
    list only; none is lost.

    Args:
        app: The application.
        known: Modes it has already.
    """
    from midas_tui.screens.base import ModeScreen

    added: list[str] = []

    def adopt(plugin: Plugin, given: Any) -> None:
        if not (isinstance(given, type) and issubclass(given, ModeScreen)):
            raise TypeError(f"{plugin.target} is no subclass of ModeScreen")
        if plugin.name in known or plugin.name in added:
            raise ValueError(f"there is a mode {plugin.name} already")
        app.add_mode(plugin.name, _made(plugin, given))
        if len(added) < len(KEYS):
            app.bind(KEYS[len(added)], f"mode('{plugin.name}')", description=plugin.name, show=False)
        added.append(plugin.name)

    use("midas.screens", adopt)
    return added


def _made(plugin: Plugin, screen: type[Any]) -> Callable[[], Any]:
    """Makes the screen when it is first shown; one that cannot even be made says so in its place."""

    def make() -> Any:
        try:
            return screen()
        except Exception as error:
            give_up(plugin, error)
            return _broken(plugin.name, f"{type(error).__name__}: {error}")

    return make


def _broken(name: str, why: str) -> Any:
    from textual.widgets import Static

    from midas_tui.sanitise import plain
    from midas_tui.screens.base import ModeScreen

    class Broken(ModeScreen):
        """What stands where a plug-in's screen cannot be made."""

        mode_name = name

        def compose_body(self) -> Any:
            yield Static(plain(f"the screen {name} cannot be shown: {why}"), markup=False)

        def flush(self, topics: set[str]) -> None:
            return None

    return Broken()
