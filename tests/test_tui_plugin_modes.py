"""A mode of a plug-in without anything that takes keys: every key of the program still works in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widgets import Static

from helpers_tui import press, scripted
from midas_engine import plugins
from midas_engine.plugins import Plugin
from midas_tui.keys import live_keys
from midas_tui.screens.base import ModeScreen

if TYPE_CHECKING:
    import pytest
    from textual.app import ComposeResult


class Notes(ModeScreen):
    mode_name = "notes"

    def compose_body(self) -> ComposeResult:
        yield Static("", id="notes", markup=False)

    def flush(self, topics: set[str]) -> None:
        self.query_one("#notes", Static).update(f"{len(self.store.metrics)} features are watched")


async def test_a_mode_of_a_plug_in_has_a_key_and_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = Plugin("midas.screens", "notes", "a-package", "1.0", f"{__name__}:Notes")
    monkeypatch.setattr(plugins, "listed", lambda group="": (plugin,) if group in ("", "midas.screens") else ())
    async with scripted() as (app, pilot, _):
        await press(pilot, "7")
        assert isinstance(app.screen, Notes)
        assert f"{len(app.store.metrics)} features" in str(app.screen.query_one("#notes", Static).render())
        assert "notes" in {key.what for key in live_keys(app.screen)}  # `?` lists it
        await press(pilot, "1")
        assert app.current_mode == "live"
