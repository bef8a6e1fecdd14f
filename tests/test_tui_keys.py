"""The keymap is the documented one; footer, help and palette are made from the live bindings."""

from __future__ import annotations

import pytest
from textual.command import CommandPalette

from helpers_tui import press, readable, screen_text, scripted, settle, toasts, type_text, until
from midas_tui.keys import footer_hints, live_keys
from midas_tui.modals.help import HelpModal
from midas_tui.screens.base import ModeScreen
from midas_tui.widgets.bars import FooterLine
from midas_tui.widgets.line_table import LineTable

EVERYWHERE = [
    "1", "2", "3", "4", "5", "6", "?", ":", "!", "/", "n", "N", "esc", "f", "space", "y", "Y", "u", "U", "q", "g",
    ",", ".", "[", "]", "-", "+", "@", "0", "X", "W", "<", "^e", "tab", "shift+tab", "^z", "I", "L",
]  # fmt: skip
TABLE = ["j", "k", "^d", "^u", "G", "home", "end", "enter"]
MODES = {
    "1": ["s", "S", "a", "A", "w", "D", "i"],
    "2": ["p", "d", "x", "K", "b", "z", "Z", "R", "B", "m", "s", "h", "l"],
    "3": ["r", "c", "t"],
    "4": ["t", "backsp", "]", "[", "e", "l", "s", "x"],
    "5": ["a", "A", "w", "D", "o"],
    "6": ["r"],
}
# Muscle memory of shells and multiplexers: none of these may do anything here.
FREE = {f"ctrl+{letter}" for letter in "abjkos"} | {"ctrl+space"}


async def test_every_documented_key_is_live_in_its_mode() -> None:
    async with scripted() as (app, pilot, _):
        for mode, keys in MODES.items():
            await press(pilot, mode)
            shown = {key for k in live_keys(app.screen) for key in k.keys.split(" ")}
            missing = [k for k in [*EVERYWHERE, *TABLE, *keys] if k not in shown]
            assert not missing, mode


async def test_keys_of_shells_are_left_alone_and_ids_are_unique() -> None:
    async with scripted() as (app, pilot, _):
        for mode in MODES:
            await press(pilot, mode)
            assert not FREE & set(app.screen.active_bindings), mode
            ids = [k.id for k in live_keys(app.screen) if k.id]
            assert len(ids) == len(set(ids)), mode
            assert all("." in name for name in ids), mode


@pytest.mark.parametrize("columns", [60, 80, 120, 200])
async def test_the_footer_fits_and_ends_with_help(columns: int) -> None:
    async with scripted(size=(columns, 24)) as (app, pilot, _):
        for mode in MODES:
            await press(pilot, mode)
            text = app.screen.query_one("#footer", FooterLine).text
            assert text.endswith("? help"), mode
            assert len(text) <= columns, mode


async def test_help_lists_the_live_bindings_and_can_be_searched() -> None:
    async with scripted() as (app, pilot, _):
        expected = {(k.keys, k.what) for k in live_keys(app.screen)}
        await press(pilot, "question_mark")
        assert isinstance(app.screen, HelpModal)
        await readable(pilot)
        table = app.screen.query_one("#keys", LineTable)
        assert len([key for key in table.keys if not key.startswith("word")]) == len(expected)
        await press(pilot, "slash")
        await type_text(pilot, "snooze")
        assert 1 <= len(table.keys) < 4
        assert "alerts.snooze" in screen_text(app)
        await press(pilot, "escape")
        assert isinstance(app.screen, ModeScreen)


async def test_a_second_question_mark_opens_no_second_help() -> None:
    async with scripted() as (app, pilot, _):
        await press(pilot, "question_mark")
        depth = len(app.screen_stack)
        app.action_help()
        await settle(pilot)
        assert len(app.screen_stack) == depth


async def test_keys_can_be_remapped_from_the_settings(tmp_path) -> None:
    from helpers_tui import ScriptedRuntime
    from midas_engine.settings import load_settings
    from midas_tui.app import MidasApp

    file = tmp_path / "midas.toml"
    file.write_text('[terminal.keys]\n"live.sort" = "o"\n')
    app = MidasApp(ScriptedRuntime, load_settings(file=file, environ={}))
    async with app.run_test() as pilot:
        await app.ready.wait()
        await press(pilot, "o")
        assert app.screen.sort == 1  # type: ignore[attr-defined]
        await press(pilot, "s")
        assert app.screen.sort == 1  # type: ignore[attr-defined]


async def test_what_cannot_act_is_not_in_the_footer_and_says_why_when_pressed() -> None:
    async with scripted(mode="pipeline") as (app, pilot, runtime):
        assert ("d", "demote") not in footer_hints(app.screen)
        await press(pilot, "d")
        assert any("demote takes deployed, shadow" in text for text in toasts(app))
        assert runtime.calls == []


async def test_the_palette_offers_every_binding_that_can_act() -> None:
    async with scripted() as (app, _pilot, _):
        titles = [c.title for c in app.get_system_commands(app.screen)]
        assert "live: sort  s" in titles
        assert "mode: pipeline  2" in titles
        assert "app: palette  :" in titles


async def test_the_palette_runs_what_it_offers() -> None:
    async with scripted() as (app, pilot, _):
        await press(pilot, "colon")
        await type_text(pilot, "live: reverse")  # text from the first letter on
        await until(pilot, lambda: "reverse" in screen_text(app))
        await press(pilot, "enter")  # but enter runs nothing that was not read
        assert isinstance(app.screen, CommandPalette)
        await readable(pilot, CommandPalette)
        await press(pilot, "enter")
        await until(pilot, lambda: getattr(app.screen, "descending", False), "the order was turned")


async def test_go_to_shows_letters_and_focuses_the_pane() -> None:
    async with scripted() as (app, pilot, _):
        await press(pilot, "g")
        assert "a alerts" in screen_text(app)
        await press(pilot, "a")
        assert app.focused is not None
        assert app.focused.id == "alerts"


async def test_gg_goes_to_the_top() -> None:
    async with scripted() as (app, pilot, _):
        table = app.screen.query_one("#features", LineTable)
        await press(pilot, "G")
        assert table.cursor_row == len(table.keys) - 1
        await press(pilot, "g", "g")
        await until(pilot, lambda: table.cursor_row == 0)


async def test_maximise_and_escape_restore() -> None:
    async with scripted() as (app, pilot, _):
        await press(pilot, "f")
        assert app.screen.maximized is not None
        await press(pilot, "escape")
        assert app.screen.maximized is None


async def test_filter_narrows_shows_its_chip_and_escape_clears() -> None:
    async with scripted() as (app, pilot, _):
        table = app.screen.query_one("#features", LineTable)
        await press(pilot, "slash")
        await type_text(pilot, "funding")
        assert table.keys == ("funding_skew_8h",)
        await press(pilot, "enter")
        assert "/funding" in str(table.border_title)
        assert app.focused is table
        await press(pilot, "escape")
        assert len(table.keys) == 5


async def test_a_filter_that_matches_nothing_says_how_to_clear_it() -> None:
    async with scripted() as (app, pilot, _):
        await press(pilot, "slash")
        await type_text(pilot, "zzz")
        assert "esc clears" in screen_text(app)


async def test_copy_gives_the_row_and_its_json() -> None:
    import json

    async with scripted() as (app, pilot, _):
        await press(pilot, "y")
        assert app.clipboard == "vwap_zscore_mean_rev"
        await press(pilot, "Y")
        assert json.loads(app.clipboard)["feature"] == "vwap_zscore_mean_rev"
        await press(pilot, "2", "l", "y")
        assert app.clipboard == "-cs_zscore(close / vwap)"
        await press(pilot, "5", "Y")
        assert json.loads(app.clipboard)["alert_type"] == "ic_decay"
        await press(pilot, "4")
        await until(pilot, lambda: app.screen.query_one("#document").path)  # type: ignore[attr-defined]
        await press(pilot, "y")
        assert app.clipboard.endswith(".md")


async def test_the_log_shows_faults_and_queues() -> None:
    from helpers_tui import NOW
    from midas_engine.events import FaultReported

    async with scripted() as (app, pilot, runtime):
        runtime.bus.publish(FaultReported(at=NOW, where="feed", message="the venue is down", hint="wait"))
        app.shell.bridge.pump()
        await press(pilot, "exclamation_mark")
        text = screen_text(app)
        assert "feed: the venue is down" in text
        assert "background" in text
        await readable(pilot)
        await press(pilot, "exclamation_mark")
        assert isinstance(app.screen, ModeScreen)


async def test_freeze_stops_the_display_and_counts_what_it_misses() -> None:
    from helpers_tui import NOW, metrics
    from midas_engine.events import FeatureTicked

    async with scripted() as (app, pilot, runtime):
        await press(pilot, "space")
        for i in range(3):
            runtime.bus.publish(FeatureTicked(at=NOW, metrics=metrics(f"new_{i}")))
        app.shell.bridge.pump()
        app.screen.refresh_all()  # type: ignore[attr-defined]
        await settle(pilot)
        assert "FROZEN, 3 updates behind" in screen_text(app)
        await press(pilot, "space")
        await settle(pilot)
        assert "FROZEN" not in screen_text(app)
        assert "features 8/8" in screen_text(app)


async def test_the_status_line_can_be_hidden() -> None:
    async with scripted() as (app, pilot, _):
        await press(pilot, "ctrl+e")
        assert not app.screen.query_one("#status").display
        await press(pilot, "ctrl+e")
        assert app.screen.query_one("#status").display
