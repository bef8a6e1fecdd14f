"""The dialog that starts a session: every field checked, what could be reached said before, in a real terminal too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widgets import Input, Static

from helpers_tui import press, readable, screen_text, scripted, set_field, settle, toasts, type_text, until
from midas_tui.modals.session_form import SessionForm

if TYPE_CHECKING:
    from pathlib import Path

    from midas_tui.app import MidasApp


def side(app: MidasApp, name: str) -> str:
    """What stands beside a field of the start dialog."""
    return str(app.screen.query_one(f"#side-{name}", Static).content)


async def test_r_asks_for_a_session_checks_each_field_and_starts_it() -> None:
    async with scripted(mode="discovery", size=(80, 24)) as (app, pilot, runtime):
        await pilot.press("r", "r")
        await until(pilot, lambda: isinstance(app.screen, SessionForm))
        assert sum(isinstance(s, SessionForm) for s in app.screen_stack) == 1
        await readable(pilot)
        await press(pilot, "escape")
        await settle(pilot)
        assert runtime.calls == [], "escape starts nothing"
        await press(pilot, "r")
        await readable(pilot, SessionForm)
        # What could be reached is said before the start; every field and both buttons are seen at 80 x 24.
        await until(pilot, lambda: "could be promoted here is about 0.021" in screen_text(app))
        text = screen_text(app)
        for label in (
            "goal", "provider", "model", "effort", "plans", "per plan", "sessions", "money", "calls", "minutes", "data",
            "regime", "horizon", "scored as", "Cancel", "Start",
        ):  # fmt: skip
            assert label in text, label
        await type_text(pilot, "carry")
        for name, value in (("usd", "2"), ("plans", "0"), ("horizon", "x"), ("regime", "CALM"), ("minutes", "-1")):
            await set_field(pilot, name, value)
        await press(pilot, "tab", "down")
        assert app.screen.query_one("#field-provider", Input).value == "compatible"
        await press(pilot, "enter")
        await until(pilot, lambda: "a whole number from 1 to 10,000" in side(app, "plans"))
        assert side(app, "plans") == "a whole number from 1 to 10,000, not 0"
        assert side(app, "horizon") == "a whole number from 1 to 10,000, not x"
        assert side(app, "regime") == "one of LOW_VOL, MID_VOL, HIGH_VOL, or empty"
        assert side(app, "minutes") == "a number from 0 to 100,000, not -1"
        assert side(app, "usd") == "$1.50 is left of the day's budget (model.day_usd)"
        assert "5 fields must be put right" in screen_text(app)
        assert app.focused is app.screen.query_one("#field-plans")
        assert runtime.calls == [], "nothing starts"
        for name, value in (("usd", "1"), ("plans", "2"), ("horizon", "8"), ("regime", "LOW_VOL"), ("minutes", "5")):
            await set_field(pilot, name, value)
        await press(pilot, "enter")
        await until(pilot, lambda: side(app, "provider").startswith("provider compatible needs model.base_url"))
        await set_field(pilot, "provider", "local")
        await until(pilot, lambda: "could be promoted" in screen_text(app))
        await press(pilot, "ctrl+y")
        assert any("MIDAS_MODEL__SESSION_USD=1.0" in t for t in toasts(app))
        await press(pilot, "enter")
        await until(pilot, lambda: runtime.calls[-1][0] == "begin")
        answers = runtime.calls[-1][1]
        assert {n: answers[n] for n in ("goal", "provider", "plans", "minutes", "regime", "horizon", "gate")} == {
            "goal": "carry", "provider": "local", "plans": "2", "minutes": "5", "regime": "LOW_VOL", "horizon": "8",
            "gate": "auto",
        }  # fmt: skip


def test_the_start_dialog_in_a_real_terminal(tmp_path: Path) -> None:
    from helpers_pty import Terminal
    from midas_engine.kb import KnowledgeBase

    KnowledgeBase(tmp_path / "kb")
    args = ["--kb", str(tmp_path / "kb"), "--data", "sample-1m", "--mode", "discovery"]
    with Terminal(args, columns=80, lines=24) as terminal:
        terminal.until(lambda text: "r starts a session" in text and "STARTING" not in text)
        terminal.send("r")
        text = terminal.until("the gate: t of")
        assert "run a session" in text
        assert all(word in text for word in ("goal", "scored as", "Cancel", "Start")), text
        for _ in range(600):  # deaf until it can have been read
            if "goal      z" in terminal.text:
                break
            terminal.send("z")
            terminal.read(0.1)
        terminal.until("goal      z")
        terminal.send("\x1b")
        terminal.until(lambda text: "run a session" not in text)
        assert "no session yet" in terminal.text, "escape starts nothing"
        terminal.send("\x11")
        assert terminal.wait() == 0
