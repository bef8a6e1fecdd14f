"""Discovery in the terminal: start, watch, cancel; the stream follows its tail and never moves a reader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.widgets import Input

from helpers_tui import (
    NOW,
    ScriptedRuntime,
    press,
    readable,
    running,
    screen_text,
    scripted,
    searched,
    set_field,
    settle,
    toasts,
    until,
    write_market,
)
from midas_engine import events as ev
from midas_engine.models import SessionSummary
from midas_tui.keys import live_keys
from midas_tui.modals.ask import AskModal
from midas_tui.modals.session_form import SessionForm
from midas_tui.session_view import SessionView
from midas_tui.theme import UNICODE
from midas_tui.widgets.line_table import LineTable
from midas_tui.widgets.stream_view import StreamView
from midas_tui.widgets.trial_map import map_lines

if TYPE_CHECKING:
    from pathlib import Path

    from midas_tui.app import MidasApp


async def test_an_earlier_session_is_remembered_run_again_repeated_continued_and_cancelled() -> None:
    runtime = ScriptedRuntime()
    runtime.sessions.kept = tuple(
        SessionSummary(name, f"goal of {name}", "local", NOW, status=status, tried=7, accepted=("a",))
        for name, status in (("old", "cancelled"), ("older", "success"))
    )
    async with scripted(runtime, mode="discovery", size=(120, 32)) as (app, pilot, _):
        await until(pilot, lambda: "cancelled, 7 tried, 1 saved" in screen_text(app))
        table = app.screen.query_one("#tree", LineTable)
        assert table.keys == ("old", "older")
        # The one under the cursor is read: its map never says zero of what was tried.
        await until(pilot, lambda: "looks, 1 held" in screen_text(app))
        assert "0 tried" not in screen_text(app)
        assert "nothing yet" not in screen_text(app)
        # Unfolding reads its tree; keys and palette act on the session under the cursor, and say why they cannot.
        table.move_to("old")
        await press(pilot, "l")
        await until(pilot, lambda: "carry_168_volume" in screen_text(app))
        assert app.store.sessions["old"].status == "cancelled"
        await press(pilot, "R")
        await readable(pilot, SessionForm)
        assert app.screen.query_one("#field-goal", Input).value == "funding carry on majors"
        assert app.screen.query_one("#field-minutes", Input).value == "30"
        await press(pilot, "escape")
        assert runtime.calls[-1] == ("form", "old")
        await press(pilot, "v")
        await until(pilot, lambda: runtime.calls[-1] == ("replay", "old"))
        await press(pilot, "o")
        await readable(pilot, AskModal)
        assert "midas discover --resume old" in screen_text(app)
        await press(pilot, "y")
        await until(pilot, lambda: runtime.calls[-1] == ("resume", "old"))
        table.move_to("older")
        await settle(pilot)
        refused = {key.id: key.refusal for key in live_keys(app.screen) if key.id.startswith("discovery.")}
        assert "only what was cancelled or interrupted goes on" in refused["discovery.resume"]
        assert refused["discovery.cancel"] == "it does not run"
        assert refused["discovery.replay"] == refused["discovery.rerun"] == refused["discovery.run"] == ""
        titles = {c.title.split("  ")[0] for c in app.get_system_commands(app.screen)}
        assert {"discovery: run", "discovery: rerun", "discovery: replay"} <= titles
        # A repetition has a row of its own; it is cancelled by itself, not the session that runs beside it.
        hear(app, runtime, "new")
        for event in searched("old again", replays="old"):
            runtime.bus.publish(event)
        app.shell.bridge.pump()
        assert "again, running 2/6 assess" in screen_text(app)
        table.move_to("new")
        await press(pilot, "c")
        await readable(pilot, AskModal)
        await press(pilot, "y")
        await until(pilot, lambda: runtime.calls[-1] == ("cancel", "new"))


async def test_the_last_expression_is_followed_when_it_comes_with_the_end() -> None:
    async with scripted(mode="discovery", size=(160, 45)) as (app, pilot, runtime):
        table, rest = app.screen.query_one("#tree", LineTable), [*searched("one"), *session_end("one")]
        last = next(n for n in reversed(range(len(rest))) if isinstance(rest[n], ev.ExpressionProposed))
        for events in (rest[:last], rest[last:]):
            for event in events:
                runtime.bus.publish(event)
            app.shell.bridge.pump()
            await settle(pilot)
        assert table.cursor_key == table.keys[-1]
        await press(pilot, "up")  # from there on the cursor is the reader's
        above = table.cursor_key
        app.screen.refresh_all()  # type: ignore[attr-defined]
        await settle(pilot)
        assert table.cursor_key == above


def hear(app: MidasApp, runtime: Any, *sessions: str) -> None:
    for session in sessions:
        for event in searched(session):
            runtime.bus.publish(event)
    app.shell.bridge.pump()


def row_of(app: MidasApp, name: str) -> str:
    """The line that shows an expression."""
    return next(line for line in screen_text(app).splitlines() if f"├ {name} " in line or f"└ {name} " in line)


async def test_sessions_are_a_tree_with_reasons_a_map_and_what_is_left(tmp_path: Path) -> None:
    async with scripted(mode="discovery", size=(160, 45)) as (app, pilot, runtime):
        hear(app, runtime, "first", "second")
        await settle(pilot)
        text = screen_text(app)
        assert "session 2/6 assess" in text.splitlines()[0]
        assert "2 sessions, 14 tried, 2 saved" in text
        # Two sessions at once, each with its plans, its refinements below what they come from, and the change in words.
        assert text.count("► - 12:00 funding carry on majors: running 2/6 assess, 7 tried, 1 saved") == 2
        assert "├ 1. slow funding predicts the next eight hours" in text
        assert "│ └ carry_72 " in text
        assert "│   └ carry_168 " in text
        assert "│     └ carry_168_volume " in text
        assert "+3.3 ········│◆·· 72 → 168: passed research, sealed l" in row_of(app, "carry_168")
        assert "│··· t 2.40 is below the line 2.91; dies in" in row_of(app, "carry_72"), "the reason, then whose"
        assert "+ * cs_rank(volume): saved as a" in row_of(app, "carry_168_volume")
        assert "not scored: a window is a positive" in row_of(app, "crowding")
        assert "tried before in this session" in row_of(app, "carry_slow")
        assert "being scored" in row_of(app, "crowding_price")
        # The map: one dot for each that has a figure of its own; what passes stands right of the line.
        assert "t against the line 2.91: funding carry on majors" in text
        dots = [line[2:95] for line in text.splitlines()[3:8]]
        line_at = dots[-1].index("│")
        assert sum(row.count("•") for row in dots) == 3
        assert dots[-1].index("◆") > line_at > dots[-1].index("•")
        for left in ("30 of 36 left", "$1.93 of $2.00, 59 of 60 calls left", "27.3 of 30 min left"):
            assert left in text
        assert "2 looks, 1 held; next p 0.0051, first 0.0042" in text
        # The newest has the cursor until the reader goes elsewhere; then new ones take it no more.
        assert app.screen.query_one("#tree", LineTable).cursor_key == "second/7"
        await press(pilot, "k", "k", "k", "k", "k")
        text = screen_text(app)
        assert "from carry_168" in text
        assert "- -cs_rank(ts_mean(funding_rate, 168))" in text
        assert "+ -cs_rank(ts_mean(funding_rate, 168)) * cs_rank(volume)" in text
        assert "t +3.90 / line 2.91 at 36 trials" in text
        assert "sealed look 5 held: p had to reach 0.0038" in text
        assert text.count("said its part") == 6
        runtime.bus.publish(
            ev.ExpressionProposed(at=NOW, session_id="second", iteration=2, name="newest", expression="close")
        )
        app.shell.bridge.pump()
        assert app.screen.query_one("#tree", LineTable).cursor_key == "second/3"
        await press(pilot, "t")
        assert app.screen.query_one("#tree", LineTable).cursor_key == "second/8"
        # Folding, narrowing, and a heading that lists the expressions by t.
        await press(pilot, "h")
        assert "► + 12:00 funding carry on majors" in screen_text(app)
        assert app.screen.query_one("#tree", LineTable).cursor_key == "second"
        await press(pilot, "slash", *"volume", "enter")
        assert "/volume" in screen_text(app)
        await press(pilot, "l")
        kept = app.screen.query_one("#tree", LineTable).keys
        assert [key for key in kept if key.startswith("second")] == [
            "second", "second/plan 1", "second/1", "second/2", "second/3"
        ]  # fmt: skip
        await press(pilot, "escape")
        app.screen.sort_table(app.screen.query_one("#tree", LineTable), "t")  # type: ignore[attr-defined]
        first = app.screen.query_one("#tree", LineTable).keys
        assert len(first) == 8, "only expressions, of the session chosen"
        app.screen.sort_table(app.screen.query_one("#tree", LineTable), "t")  # type: ignore[attr-defined]
        app.screen.sort_table(app.screen.query_one("#tree", LineTable), "t")  # type: ignore[attr-defined]
        assert app.screen.query_one("#tree", LineTable).keys[0] == "second"
        # Enter on a refused one shows all of it, on a saved one its card.
        app.screen.query_one("#tree", LineTable).move_to("second/2")
        await press(pilot, "enter")
        await readable(pilot)
        assert "sealed look 4 did not hold (trading_cost): p had to reach 0.0042" in screen_text(app)
        await press(pilot, "escape")
        for event in session_end("second"):
            runtime.bus.publish(event)
        app.shell.bridge.pump()
        await settle(pilot)
        assert "not scored" in row_of(app, "crowding_price")
        # What is heard again from its start (a replay of the run, a session resumed) takes the place of what was heard.
        hear(app, runtime, "second")
        assert len(app.store.sessions["second"].trials) == 7
        # A narrow screen has all of it, the tree over its whole width.
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: "7/36" in screen_text(app) or "6/36" in screen_text(app))
        text = screen_text(app)
        assert "6/36 trials  $0.07/2.00  1/60 calls  2.7/30 min  2 looks, 1 held" in text
        assert app.screen.query_one("#tree").region.width == 80


def session_end(session: str) -> list[ev.Event]:
    return [ev.SessionEnded(at=NOW, session_id=session, result="success", accepted=("carry_168_volume",), tried=7)]


def test_events_of_before_say_why_from_their_agents() -> None:
    from midas_tui.session_view import SessionView

    agents = (ev.AgentRow(agent="trading_cost", passed=False, score=0.1, summary="loses 2 bps a bar"),)
    figures = {"at": NOW, "session_id": "s", "iteration": 1, "expression": "close", "accepted": False, "trials": 3}
    view = SessionView("s")
    scored: dict[str, Any] = {**figures, "composite": 0.1, "rank_ic": 0.01}
    view.apply(ev.CandidateScored(name="a", score_t=3.0, line_t=2.9, agents=agents, **scored))
    view.apply(ev.CandidateScored(name="b", score_t=2.0, line_t=2.9, **scored))
    view.apply(ev.CandidateScored(name="c", score_t=3.0, line_t=2.9, **scored))
    assert [row.words for row in view.trials.values()] == [
        "trading_cost: loses 2 bps a bar",
        "t +2.00 is below the line 2.90",
        "passed research, not confirmed on the sealed part",
    ]
    # A refinement that keeps its parent's name is a row of its own, below it.
    for expression, origin in (("cs_rank(close)", ""), ("-cs_rank(close)", "same"), ("cs_rank(high)", "gone")):
        view.apply(
            ev.ExpressionProposed(
                at=NOW, session_id="s", iteration=2, name="same", expression=expression, refined_from=origin
            )
        )
    assert [(row.parent, row.depth) for row in view.trials.values()][3:] == [("", 0), ("4", 1), ("5", 2)]


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
        await settle(pilot)
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


async def begin(app: MidasApp, pilot: Any, plans: int) -> None:
    known = set(app.store.sessions)
    await press(pilot, "r")
    await readable(pilot, SessionForm)
    await set_field(pilot, "plans", str(plans))
    await press(pilot, "enter")
    await until(pilot, lambda: set(app.store.sessions) - known, "a session started")


async def test_a_real_session_runs_to_its_end_and_leaves_a_learning(tmp_path: Path) -> None:
    market = write_market(tmp_path, days=60)
    few: dict[str, Any] = {"evaluation.screened": 60}
    async with running(tmp_path / "kb", market, mode="discovery", size=(160, 45), **few) as (app, pilot):
        await begin(app, pilot, 1)
        view = next(iter(app.store.sessions.values()))
        await until(pilot, lambda: view.status != "running", "it ended")
        assert view.status in ("failed", "success"), view.reason
        assert any(trial.scored for trial in view.trials.values())
        assert app.screen.query_one("#tree", LineTable).keys
        assert list((tmp_path / "kb/knowledge/learnings/offline").glob("*.md"))
        # Repeated from its record in a row of its own: nothing is asked or written, and it says that it is the same.
        learnings = sorted((tmp_path / "kb/knowledge/learnings").rglob("*.md"))
        await press(pilot, "v")
        again = f"{view.session_id} again"
        await until(pilot, lambda: again in app.store.sessions and not app.store.sessions[again].running, "repeated")
        assert app.store.sessions[again].reason.startswith("equal to its record"), app.store.sessions[again].reason
        assert len(app.store.sessions[again].trials) == len(view.trials)
        assert sorted((tmp_path / "kb/knowledge/learnings").rglob("*.md")) == learnings
        # The form of another run says what this data could decide.
        app.screen.query_one("#tree", LineTable).move_to(view.session_id)
        await press(pilot, "R")
        await readable(pilot, SessionForm)
        await until(pilot, lambda: "the gate: t of" in screen_text(app), "what could be reached")
        assert "bars" in screen_text(app)
        assert app.screen.query_one("#field-plans", Input).value == "1"
        await press(pilot, "escape")
        await press(pilot, "4")
        await until(pilot, lambda: "learnings/offline" in screen_text(app))


async def test_a_real_session_is_cancelled_after_a_question_and_its_learning_is_written(tmp_path: Path) -> None:
    market = write_market(tmp_path, days=60)
    async with running(tmp_path / "kb", market, mode="discovery") as (app, pilot):
        await begin(app, pilot, 1000)
        await press(pilot, "c")
        await readable(pilot, AskModal)
        assert app.focused is app.screen.query_one("#cancel")
        await press(pilot, "y")
        await until(pilot, lambda: app.store.running_session is None, "it ended")
        view = next(iter(app.store.sessions.values()))
        assert view.status == "cancelled"
        assert list((tmp_path / "kb/knowledge/learnings/offline").glob("*.md"))
        # It goes on where it was, under its own name.
        await press(pilot, "o")
        await readable(pilot, AskModal)
        await press(pilot, "y")
        await until(pilot, lambda: app.store.running_session is not None, "it goes on")
        assert list(app.store.sessions) == [view.session_id]
        await press(pilot, "c")
        await readable(pilot, AskModal)
        await press(pilot, "y")
        await until(pilot, lambda: app.store.running_session is None, "it ended again")


async def test_read_only_refuses_a_session(tmp_path: Path) -> None:
    market = write_market(tmp_path, days=5)
    from midas_engine.kb import KnowledgeBase

    KnowledgeBase(tmp_path / "kb")
    async with running(tmp_path / "kb", market, mode="discovery", read_only=True) as (app, pilot):
        await press(pilot, "r")
        await until(pilot, lambda: any("read-only" in t for t in toasts(app)))
        assert app.store.sessions == {}


def test_a_session_that_was_not_read_yet_spent_nothing_for_all_one_knows() -> None:
    view = SessionView("s", "carry", told=4, earlier=True)
    text = "\n".join("".join(part for part, _ in line) for line in map_lines(view, 60, 8, UNICODE))
    assert "not read yet" in text
    assert "4 tried" in text
    assert text.count("unknown") == 3
    for claim in ("nothing scored", "no model was asked", "was not opened", "0 tried"):
        assert claim not in text
    view.apply(ev.SessionStarted(at=NOW, session_id="s", goal="carry", researcher="local"))
    assert "no model was asked" in "".join(part for line in map_lines(view, 60, 8, UNICODE) for part, _ in line)


async def test_several_sessions_are_counted_and_the_two_buttons_of_a_stop_say_what_each_does() -> None:
    async with scripted(ScriptedRuntime(), size=(160, 45), mode="discovery") as (app, pilot, runtime):
        for name in ("s1", "s2"):
            runtime.bus.publish(ev.SessionStarted(at=NOW, session_id=name, goal=name, researcher="local"))
        app.shell.bridge.pump()
        await settle(pilot)
        assert "session 0/0, 1 more" in screen_text(app).splitlines()[0]
        await press(pilot, "c")
        await readable(pilot, AskModal)
        words = [str(button.label) for button in app.screen.query("Button")]
        assert words == ["Let it run", "Stop it"], "no word that could be either"
        await press(pilot, "escape")
        runtime.bus.publish(ev.SessionEnded(at=NOW, session_id="s2", result="cancelled"))
        app.shell.bridge.pump()
        await settle(pilot)
        assert "session 0/0" in screen_text(app).splitlines()[0]
        assert "more" not in screen_text(app).splitlines()[0]
