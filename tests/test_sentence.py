"""The sentence on top: the most important thing, its figure, and never healthy by default."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest

from helpers_tui import NOW, ScriptedRuntime, alert, metrics, screen_text, scripted
from midas_engine.events import Trouble, TroubleChanged
from midas_engine.models import AlertStatus, Severity
from midas_engine.sentence import Standing, sentence

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
            await pilot.pause()
            assert "Stop vwap_zscore_mean_rev?" in screen_text(app).split("\n")[1]
        runtime.bus.publish(TroubleChanged(at=NOW, troubles=(Trouble("BASE GONE", "it is gone"),)))
        app.shell.bridge.pump()
        await pilot.pause()
        assert "It is gone" in screen_text(app).split("\n")[1]
        assert app.shell.title._shown == "midas: BASE GONE"
