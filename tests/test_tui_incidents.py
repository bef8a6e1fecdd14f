"""Incidents as lines with one answer, the filter's fields, and what reads better: names, strips, folded matter."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from helpers_tui import (
    NOW,
    ScriptedRuntime,
    alert,
    press,
    readable,
    screen_text,
    scripted,
    session_events,
    settle,
    toasts,
)
from midas_engine.models import PipelineSummary, Severity
from midas_tui.alert_filter import AlertFilter
from midas_tui.formats import dot_strip
from midas_tui.modals.choose import TextModal
from midas_tui.theme import UNICODE
from midas_tui.widgets.document_view import DocumentView
from midas_tui.widgets.line_table import LineTable
from midas_tui.widgets.reading import folded

if TYPE_CHECKING:
    from midas_engine.models import Alert

SHOCK = [
    alert(f"f{k}", "slippage", incident="i-shock", value=2.0 + k, message=f"slippage is {2 + k}x") for k in range(4)
]


class Shocked(ScriptedRuntime):
    """Four features that pay too much at once, and one that pays too much alone."""

    def __init__(self) -> None:
        super().__init__()
        self.running = [*SHOCK, alert("alone", "slippage", severity=Severity.WARNING)]


async def test_an_incident_is_one_line_with_one_acknowledgement_and_one_diagnosis() -> None:
    async with scripted(Shocked(), size=(160, 45), mode="alerts") as (app, pilot, runtime):
        table = app.screen.query_one("#history", LineTable)
        assert set(table.keys) == {"i-shock", "alone-slippage"}
        table.move_to("i-shock")
        await settle(pilot)
        text = screen_text(app)
        assert "4 features" in text
        assert "one acknowledgement, one diagnosis" in text
        assert "f0 2.00, f1 3.00, f2 4.00, f3 5.00" in text
        await press(pilot, "D")
        assert runtime.calls[-1] == ("diagnose", "f3")
        await press(pilot, "a")
        assert sorted(c[1] for c in runtime.calls if c[0] == "acknowledge") == [a.id for a in SHOCK]
        await press(pilot, "i")
        assert len(table.keys) == 5


async def test_what_is_under_the_cursor_is_described_in_alerts_too_and_in_a_recording() -> None:
    runtime = Shocked()
    runtime.running.append(alert("gone", "slippage"))
    runtime.running.append(alert("vwap_zscore_mean_rev", "drawdown", incident="i-alone"))
    async with scripted(runtime, size=(160, 45), mode="alerts") as (app, pilot, _):
        table = app.screen.query_one("#history", LineTable)
        table.move_to("vwap_zscore_mean_rev-drawdown")
        await press(pilot, "I")
        await readable(pilot, TextModal)
        assert "promised score" in screen_text(app), "every alert belongs to an incident of its own"
        await press(pilot, "escape")
        app.store.set_pipeline(PipelineSummary((), (), (), ()))  # what a recording has
        await press(pilot, "I")
        await readable(pilot, TextModal)
        assert "evidence" in screen_text(app)
        await press(pilot, "escape")
        table.move_to("gone-slippage")
        await press(pilot, "I")
        assert any("gone is neither in the pipeline nor watched any more" in t for t in toasts(app))


async def test_the_filter_knows_fields_and_says_when_nothing_matches() -> None:
    async with scripted(Shocked(), size=(160, 45), mode="alerts") as (app, pilot, _):
        table = app.screen.query_one("#history", LineTable)
        app.screen._narrow("severity:warning")  # type: ignore[attr-defined]
        assert table.keys == ("alone-slippage",)
        app.screen._narrow("feature:nobody")  # type: ignore[attr-defined]
        await settle(pilot)
        assert "no alert matches feature:nobody" in screen_text(app)
        assert "no alert was raised" not in screen_text(app)


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("", True), ("slippage 2x", True), ("severity:critical", True), ("severity:warning", False),
        ("type:slip", True),
        ("state:open", True), ("state:acked", False), ("feature:f0", True), ("feature:f0 feature:f1", False),
        ("since:2h", True), ("since:59m", False), ("since:3y", True), ("since:", True), ("price:9", False),
    ],
)  # fmt: skip
def test_every_word_of_a_filter_must_hold(text: str, passes: bool) -> None:
    found: Alert = dataclasses.replace(SHOCK[0], last_seen_at=NOW - timedelta(hours=1))
    assert AlertFilter(text, NOW).passes(found) is passes


def test_a_strip_shows_a_figure_and_its_line_and_nothing_where_either_is_unknown() -> None:
    assert dot_strip(3.0, 2.0, 9, UNICODE).index(UNICODE.dot) == 8
    assert dot_strip(1.0, 2.0, 9, UNICODE).index(UNICODE.dot) == 3 < dot_strip(1.0, 2.0, 9, UNICODE).index("│")
    assert dot_strip(float("nan"), 2.0, 9, UNICODE) == dot_strip(1.0, 0.0, 9, UNICODE) == " " * 9


async def test_discovery_names_what_it_tries() -> None:
    async with scripted(size=(160, 45), mode="discovery") as (app, pilot, runtime):
        for event in session_events():
            runtime.bus.publish(event)
        app.shell.bridge.pump()
        await settle(pilot)
        names = [t.name for v in app.store.sessions.values() for t in v.trials.values()]
        assert names
        assert all(name in screen_text(app) for name in names)


async def test_a_learning_opens_on_its_title_and_folds_what_a_machine_needs() -> None:
    async with scripted(size=(160, 45), mode="learnings") as (app, pilot, _):
        await app.workers.wait_for_complete()
        await settle(pilot)
        view = app.screen.query_one(DocumentView)
        lines = [strip.text.strip() for strip in view._lines if strip.text.strip()]
        assert lines[0] == "Reversal dies in calm markets"
        assert lines[1].startswith("success  (2 fields")
        assert not any(line.startswith("title:") for line in lines)
        view.focus()
        await press(pilot, "v")
        await app.workers.wait_for_complete()
        assert any("title: Reversal" in strip.text for strip in view._lines)
    told = folded(
        "result: regime_shift\nresearch_goal: why carry lost it\nfeature: carry\ncreated_at: 2025-10-15T11:00"
    )
    assert told == "*regime shift; of carry; written 2025-10-15  (4 fields: v shows them)*"
    assert folded("title: x\nseal: 12") == "*(2 fields: v shows them)*"
