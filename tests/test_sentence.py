"""The sentence on top: the most important thing, its figure, and never healthy by default."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
import scipy.stats
from textual.widgets import Static

from helpers_tui import NOW, ScriptedRuntime, alert, metrics, press, readable, screen_text, scripted, settle, until
from midas_engine.events import Trouble, TroubleChanged
from midas_engine.models import AlertStatus, FeatureMetrics, Severity
from midas_engine.sentence import Money, Standing, sentence
from midas_tui.legend import column_meaning, promise
from midas_tui.modals.help import HelpModal
from midas_tui.screens.live_rows import FEATURE_COLUMNS
from midas_tui.widgets.line_table import LineTable

EIGHT = [metrics(f"f{i}", decay_log_s=float(i)) for i in range(8)]


def _said(**changes: Any) -> str:
    return sentence(Standing(**({"metrics": EIGHT} | changes))).text


def test_all_healthy_says_who_is_nearest_to_its_alarm() -> None:
    found = sentence(Standing(metrics=EIGHT))
    assert found.text == "8 of 8 healthy. Nearest to its alarm is f7, 77% of the way; nothing needs you."
    assert (found.level, found.needs, found.short) == ("healthy", 0, "8 of 8 healthy")


@pytest.mark.parametrize(
    ("changes", "level", "said"),
    [
        ({"metrics": []}, "unknown", "Nothing is live: nothing is watched, nothing earns."),
        ({"metrics": [], "phase": "starting"}, "unknown", "Starting; nothing is known yet."),
        ({"metrics": [], "phase": "warming", "detail": "computing"}, "unknown",
         "Warming: computing; nothing is known yet."),
        ({"phase": "failed", "detail": "no base"}, "critical", "Midas cannot run: no base."),
        ({"phase": "degraded", "detail": "the feed hangs"}, "critical",
         "Bars are in doubt: the feed hangs; 8 of 8 healthy by what came."),
        ({"troubles": [Trouble("BASE GONE", "the base is gone", "put it back")]}, "critical",
         "The base is gone; put it back."),
        ({"unwatched": 2}, "warning", "8 of 10 healthy. Nobody watches 2 live features; 1 needs you."),
        ({"proposals": {"f1": "its score is below 0.001"}}, "critical",
         "8 of 8 healthy. Stop f1? its score is below 0.001; 1 needs you."),
        ({"ended": NOW}, "healthy",
         f"8 of 8 healthy when the recording ended, {NOW:%Y-%m-%d}. Nearest to its alarm is f7, 77% of the way."),
    ],
)  # fmt: skip
def test_each_kind_of_news(changes: dict[str, Any], level: str, said: str) -> None:
    found = sentence(Standing(**({"metrics": EIGHT} | changes)))
    assert (found.text, found.level) == (said, level)


def test_a_book_that_loses_is_said_though_no_test_calls() -> None:
    lost = Money(-2329.0, 310.0, 30)
    found = sentence(Standing(metrics=EIGHT, money=lost))
    assert found.text == (
        "8 of 8 healthy. The book lost 2,329 ± 310 bps net on paper in 30 days; "
        "nearest to its alarm is f7, 77% of the way."
    )
    assert found.level == "warning"
    assert _said(money=Money(-300.0, 310.0, 30)).endswith("nothing needs you.")  # within its error of nothing


def test_what_the_book_earned_is_the_sum_of_its_days_with_their_error() -> None:
    daily = np.random.default_rng(5).normal(-40.0, 100.0, 30)
    first, last = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 30, 23, tzinfo=UTC)
    found = Money.of(daily.tolist(), first, last)
    assert found is not None
    assert found.net_bps == pytest.approx(daily.sum())
    assert found.se_bps == pytest.approx(scipy.stats.sem(daily) * 30)
    assert found.days == 30
    assert Money.of(daily[:4].tolist(), first, last) is None


def test_a_critical_is_louder_than_a_warning_and_an_answered_one_is_quiet() -> None:
    flipped = dataclasses.replace(EIGHT[0], status="critical")
    loud = alert("f0", message="the test says it died")
    quiet = alert("f1", severity=Severity.WARNING, message="slippage is 1.7x")
    told = _said(metrics=[flipped, *EIGHT[1:]], incidents=[loud, quiet])
    assert told == "7 of 8 healthy. f0: the test says it died; 1 needs you."
    answered = dataclasses.replace(loud, status=AlertStatus.ACKNOWLEDGED)
    told = _said(metrics=[flipped, *EIGHT[1:]], incidents=[answered, quiet])
    assert told == "7 of 8 healthy. f1: slippage is 1.7x; nothing needs you."


def test_what_is_not_known_to_be_healthy_is_never_called_so() -> None:
    blind = [dataclasses.replace(m, status="uncalibrated", expected_score=None) for m in EIGHT[:1]]
    found = sentence(Standing(metrics=blind))
    assert found.text.startswith("None of 1 is known to be healthy. Nothing would notice the death of f0")
    assert found.level == "unknown"
    old = [dataclasses.replace(m, status="stale", at=NOW - timedelta(hours=5)) for m in EIGHT]
    assert sentence(Standing(metrics=old)).text.startswith("No bar was scored since")
    killed = [dataclasses.replace(EIGHT[0], status="killed"), *EIGHT[1:]]
    told = _said(metrics=killed, incidents=[alert("f0", message="it died")])
    assert told.startswith("7 of 8 healthy. f0 killed; nearest")


async def test_it_stands_on_every_mode_and_follows_what_happens() -> None:
    async with scripted(ScriptedRuntime(), size=(160, 45)) as (app, pilot, runtime):
        for key in "123456":
            await pilot.press(key)
            await app.workers.wait_for_complete()
            await settle(pilot)
            assert "Stop vwap_zscore_mean_rev?" in screen_text(app).split("\n")[1]
        runtime.bus.publish(TroubleChanged(at=NOW, troubles=(Trouble("BASE GONE", "it is gone"),)))
        app.shell.bridge.pump()
        await settle(pilot)
        assert "It is gone" in screen_text(app).split("\n")[1]
        assert app.shell.title._shown == "midas: BASE GONE"


async def test_a_column_says_what_it_means_in_the_numbers_under_the_cursor() -> None:
    async with scripted(ScriptedRuntime(), size=(160, 45)) as (app, pilot, _):
        table = app.screen.query_one("#features", LineTable)
        table.move_to("funding_skew_8h")
        await press(pilot, "right", "right")
        assert table.chosen_column == "evidence"
        await press(pilot, "question_mark")
        await readable(pilot, HelpModal)

        def text() -> str:
            return str(app.screen.query_one("#meaning", Static).render())

        await until(pilot, lambda: "statistic is +5.2, and calls at +9.1. The bar runs from 0 to that gate" in text())
        assert '57% of the way to "dead"' in text()
        assert "would notice a drop in 42d, a flip in 18d, 1.0 false alarms a year" in text()


def test_every_column_of_live_has_a_legend_for_known_and_for_unknown_figures() -> None:
    known, blank = EIGHT[0], FeatureMetrics("f0", NOW)
    for column in FEATURE_COLUMNS:
        assert column_meaning(column.key, known)
        assert "nan" not in column_meaning(column.key, blank)
    assert "would go unnoticed" in promise(blank)


def _phrases(now: Standing) -> list[str]:
    return [p.text.lower() for p in sentence(now).phrases]


@pytest.mark.parametrize("room", range(24, 160))
@pytest.mark.parametrize(
    "changes",
    [
        {"proposals": {"f1": "the e-detector says its score is below 0.0012"}},
        {"unwatched": 2},
        {"ended": NOW},
        {"money": Money(-900.0, 100.0, 30)},
        {"incidents": [alert("f1", "detector", severity=Severity.CRITICAL), alert("f2", "slippage")]},
        {"troubles": [Trouble("BASE GONE", "the base is gone", "put it back, or start on another one")]},
    ],
)
def test_what_does_not_fit_is_left_out_by_whole_phrases_and_what_needs_somebody_stays(
    changes: dict[str, Any], room: int
) -> None:
    now = Standing(**({"metrics": EIGHT} | changes))
    found = sentence(now)
    said = found.within(room, "…")
    assert len(said) <= room
    if len(found.text) <= room:
        assert said == found.text
    if "…" not in said:
        left = said.lower()
        for phrase in sorted(_phrases(now), key=len, reverse=True):
            left = left.replace(phrase, "", 1)
        assert not left.strip(" .;"), f"half a phrase is left of {said!r}"
        first = min(found.phrases, key=lambda p: p.rank).text.lower()
        assert first in said.lower()
    if found.needs and found.phrases[-1].rank == 1 and room >= 80:
        assert found.phrases[-1].text in said


def test_a_call_keeps_what_it_says_and_loses_its_figure_first() -> None:
    died = alert(
        "volume_reversal", "detector", message="the sequential test calls its death: the evidence reached 9.08"
    )
    found = sentence(Standing(metrics=EIGHT, incidents=[died, alert("f1", "detector")]))
    assert found.text == (
        "8 of 8 healthy. volume_reversal: the sequential test calls its death: the evidence reached 9.08 (and 1 more); "
        "2 need you."
    ).replace("volume", "Volume")
    assert found.within(84) == "Volume_reversal: the sequential test calls its death (and 1 more); 2 need you."
    assert found.within(70) == "Volume_reversal: the sequential test calls its death; 2 need you."


async def test_a_narrow_screen_asks_before_it_counts() -> None:
    async with scripted(size=(80, 24)) as (app, pilot, _):
        await pilot.pause()
        assert screen_text(app).split("\n")[1] == " ▲ 1 of 5 healthy. Stop vwap_zscore_mean_rev? 1 needs you."


def test_a_figure_of_an_earlier_bar_is_said_with_its_bar() -> None:
    """An alert runs for a day after its condition ended: its figure beside today's would be a contradiction."""
    fallen = alert("f1", severity=Severity.WARNING, message="5-day IC is 0.47 of the 30-day IC, below 0.70")
    now = [dataclasses.replace(m, at=NOW + timedelta(hours=4)) for m in EIGHT]
    said = sentence(Standing(metrics=now, incidents=[fallen])).text
    assert f"below 0.70, last on {NOW:%m-%d %H:%M}" in said
    assert "last on" not in sentence(Standing(metrics=EIGHT, incidents=[fallen])).text
