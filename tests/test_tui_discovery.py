"""Discovery in the terminal: start, watch, cancel; the stream follows its tail and never moves a reader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from helpers_tui import (
    NOW,
    press,
    readable,
    running,
    screen_text,
    scripted,
    session_events,
    toasts,
    type_text,
    until,
    write_market,
)
from midas_engine import events as ev
from midas_tui.modals.ask import AskModal
from midas_tui.modals.choose import LineModal
from midas_tui.widgets.line_table import LineTable
from midas_tui.widgets.stream_view import StreamView

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from midas_tui.app import MidasApp


async def test_r_asks_for_a_goal_and_starts_one_session() -> None:
    async with scripted(mode="discovery") as (app, pilot, runtime):
        await pilot.press("r", "r")
        await until(pilot, lambda: isinstance(app.screen, LineModal))
        assert sum(isinstance(s, LineModal) for s in app.screen_stack) == 1
        await readable(pilot)
        await type_text(pilot, "carry")
        await press(pilot, "enter")
        await until(pilot, lambda: runtime.calls)
        assert runtime.calls[0][1:] == ("carry", "local")


async def test_escape_starts_nothing() -> None:
    async with scripted(mode="discovery") as (app, pilot, runtime):
        await press(pilot, "r")
        await until(pilot, lambda: isinstance(app.screen, LineModal))
        await press(pilot, "escape")
        await pilot.pause()
        assert runtime.calls == []
        await press(pilot, "r")
        await until(pilot, lambda: isinstance(app.screen, LineModal), "it can be asked again")


async def test_the_stream_shows_goal_words_refusals_and_trials() -> None:
    async with scripted(mode="discovery", size=(160, 45)) as (app, pilot, runtime):
        for event in session_events():
            runtime.bus.publish(event)
        app.shell.bridge.pump()
        await pilot.pause()
        text = screen_text(app)
        for part in ("funding carry on majors", "Crowded longs pay funding.", "a window is positive", "1/3 plan"):
            assert part in text
        assert "session 1/3 plan" in text.splitlines()[0]


async def test_the_six_verdicts_of_the_chosen_expression() -> None:
    agents = tuple(ev.AgentRow(agent=f"agent_{i}", passed=i != 2, score=0.5, summary=f"said {i}") for i in range(6))
    async with scripted(mode="discovery", size=(160, 45)) as (app, pilot, runtime):
        for event in session_events():
            runtime.bus.publish(event)
        runtime.bus.publish(
            ev.CandidateScored(
                at=NOW, session_id="s1", iteration=1, name="carry_72", expression="-cs_rank(ts_mean(funding_rate, 72))",
                accepted=False, composite=0.61, rank_ic=0.021, score_t=2.4, line_t=2.9, trials=3, agents=agents,
                suggestions=("hold longer",),
            )
        )  # fmt: skip
        app.shell.bridge.pump()
        await pilot.pause()
        text = screen_text(app)
        assert "✓✓·✓✓✓" in text
        assert "t +2.40 / line 2.90 at 3 trials" in text
        assert "- hold longer" in text
        assert all(f"said {i}" in text for i in range(6))


async def test_a_reader_who_scrolled_up_is_never_moved_and_can_follow_again() -> None:
    async with scripted(mode="discovery") as (app, pilot, runtime):

        def words(first: int, last: int) -> None:
            for i in range(first, last):
                runtime.bus.publish(
                    ev.TokensStreamed(at=NOW, session_id="s1", iteration=1, phase="plan", text=f"line {i}\n")
                )
            app.shell.bridge.pump()

        runtime.bus.publish(ev.SessionStarted(at=NOW, session_id="s1", goal="g", researcher="local", max_iterations=1))
        words(0, 200)
        stream = app.screen.query_one("#stream", StreamView)
        await until(pilot, lambda: "line 199" in screen_text(app))
        stream.focus()
        await press(pilot, "k", "k", "k", "k")
        top = stream.scroll_offset.y
        words(200, 300)
        await pilot.pause()
        assert stream.scroll_offset.y == top
        assert "lines below: t to follow" in screen_text(app)
        await press(pilot, "t")
        await until(pilot, lambda: "line 299" in screen_text(app))


async def test_no_token_is_lost_and_the_front_is_dropped_at_a_bound() -> None:
    from midas_tui.store import STREAM_LINES, SessionView

    view = SessionView("s1")
    text = "".join(f"{i}\n" for i in range(5000))
    for start in range(0, len(text), 7):
        view.add_text(text[start : start + 7])
    kept = [line for line, _ in view.lines if line]
    assert len(view.lines) == STREAM_LINES
    assert kept == [str(i) for i in range(5000 - len(kept), 5000)]
    assert view.dropped == 5001 - STREAM_LINES


async def begin(app: MidasApp, pilot: Any) -> None:
    await press(pilot, "r")
    await readable(pilot, LineModal)
    await press(pilot, "enter")
    await until(pilot, lambda: app.store.sessions, "a session started")


async def test_a_real_session_runs_to_its_end_and_leaves_a_learning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("midas_engine.runtime.sessions.SESSION_ITERATIONS", 1)
    market = write_market(tmp_path, days=60)
    async with running(tmp_path / "kb", market, mode="discovery", size=(160, 45)) as (app, pilot):
        await begin(app, pilot)
        view = next(iter(app.store.sessions.values()))
        await until(pilot, lambda: view.status != "running", "it ended")
        assert view.status in ("failed", "success"), view.reason
        assert any(trial.scored for trial in view.trials.values())
        assert app.screen.query_one("#trials", LineTable).keys
        assert list((tmp_path / "kb/knowledge/learnings/offline").glob("*.md"))
        await press(pilot, "4")
        await until(pilot, lambda: "learnings/offline" in screen_text(app))


async def test_a_real_session_is_cancelled_after_a_question_and_its_learning_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("midas_engine.runtime.sessions.SESSION_ITERATIONS", 1000)
    market = write_market(tmp_path, days=60)
    async with running(tmp_path / "kb", market, mode="discovery") as (app, pilot):
        await begin(app, pilot)
        await press(pilot, "r")
        await until(pilot, lambda: any("a session runs already" in t for t in toasts(app)))
        await press(pilot, "c")
        await readable(pilot, AskModal)
        assert app.focused is app.screen.query_one("#cancel")
        await press(pilot, "y")
        await until(pilot, lambda: app.store.running_session is None, "it ended")
        assert next(iter(app.store.sessions.values())).status == "cancelled"
        assert list((tmp_path / "kb/knowledge/learnings/offline").glob("*.md"))


async def test_read_only_refuses_a_session(tmp_path: Path) -> None:
    market = write_market(tmp_path, days=5)
    from midas_engine.kb import KnowledgeBase

    KnowledgeBase(tmp_path / "kb")
    async with running(tmp_path / "kb", market, mode="discovery", read_only=True) as (app, pilot):
        await press(pilot, "r")
        await until(pilot, lambda: any("read-only" in t for t in toasts(app)))
        assert app.store.sessions == {}
