"""What is reached by its name, completed while typed, copied out; weight where there is no colour."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helpers_tui import press, readable, scripted, settle, until
from midas_tui.formats import sparkline
from midas_tui.modals.ask import AskModal, Question
from midas_tui.theme import UNICODE
from midas_tui.widgets.line_table import LineTable
from midas_tui.words import WordSuggester

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


async def test_a_noun_leads_there_a_command_is_copied_and_the_loud_has_weight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool, copied = tmp_path / "xclip", tmp_path / "copied"
    tool.write_text(f"#!/bin/sh\ncat > {copied}.new && mv {copied}.new {copied}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("DISPLAY", ":7")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    async with scripted(size=(160, 45)) as (app, pilot, _):
        # The tests run without colour: in a table, in the status line, and in a text of its own below.
        drawn = [s for strip in app.screen._compositor.render_strips() for s in strip if s.style is not None]
        assert any("vwap" in s.text and s.style.reverse for s in drawn) or any(
            UNICODE.critical in s.text and s.style.reverse for s in drawn
        )
        assert any(UNICODE.warning in s.text and s.style.underline for s in drawn)
        await press(pilot, "5")
        app.screen.query_one("#history", LineTable).move_to("vwap_zscore_mean_rev-ic_decay")
        await settle(pilot)
        drawn = [s for strip in app.screen._compositor.render_strips() for s in strip if s.style is not None]
        assert any("5-day IC is 0.43" in s.text and s.style.reverse for s in drawn[len(drawn) // 2 :]), "the detail"
        commands = {c.title: c for c in app.get_system_commands(app.screen)}
        commands["feature carry_slow"].callback()
        await until(pilot, lambda: app.current_mode == "pipeline" and app.screen.subject() == "feature:carry_slow")
        app.push_screen(AskModal(Question("promote?", [("same as", "")], command="midas promote carry_slow")))
        await readable(pilot)
        await press(pilot, "c")
        await until(pilot, copied.is_file, "the desktop's clipboard")
        assert copied.read_text() == app.clipboard == "midas promote carry_slow"
        await press(pilot, "escape", "y")
        await until(pilot, lambda: copied.read_text() == "neg(cs_rank(ts_mean(funding_rate, 72)))", "a row too")


async def test_the_last_word_is_completed_from_the_language() -> None:
    words = WordSuggester()
    for typed, whole in (("slow fundi", "slow funding_rate"), ("cs_ra", "cs_rank"), ("ts_mean(clo", "ts_mean(close")):
        assert await words.get_suggestion(typed) == whole
    for nothing in ("", "slow ", "zzzz", "Ä", "x" * 500):
        assert await words.get_suggestion(nothing) is None


def test_noise_is_flat_and_a_move_is_not() -> None:
    noise, moved = [0.030, 0.034, 0.029, 0.033], [0.03, 0.01, -0.02, -0.06]
    assert len(set(sparkline(noise, 4, UNICODE, least=0.04))) <= 2
    assert len(set(sparkline(noise, 4, UNICODE))) > 2
    assert sparkline(moved, 4, UNICODE, least=0.04) == sparkline(moved, 4, UNICODE)
