"""Since you left: on return the terminal says what happened, with figures; what was read is not told twice."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from helpers_pty import Terminal
from helpers_tui import (
    ScriptedRuntime,
    fill_base,
    press,
    readable,
    running,
    screen_text,
    scripted,
    toasts,
    until,
    write_market,  # fmt: skip
)
from midas_engine.clock import WallClock
from midas_engine.errors import MidasError
from midas_engine.journal import Journal
from midas_engine.kb import KnowledgeBase
from midas_engine.monitor.daily.brief import Brief, Sentence
from midas_engine.promoter import FeaturePromoter
from midas_engine.runtime.since_left import KEY
from midas_tui.modals.choose import TextModal

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("left")
    write_market(folder, days=12)
    fill_base(folder / "kb")
    return folder


def _left(base: Path) -> datetime | None:
    journal = Journal(KnowledgeBase(base / "kb").journal_path)
    try:
        blob = journal.get_state(KEY)
        return datetime.fromisoformat(blob.decode()) if blob else None
    finally:
        journal.close()


def _happen(base: Path) -> None:
    """Somebody else moves a feature, and kills one."""
    promoter = FeaturePromoter(KnowledgeBase(base / "kb"))
    try:
        promoter.promote("volume_shock", "while nobody looked", force=True)
        promoter.kill("volume_shock", "it was a mistake")
    finally:
        promoter.close()


async def test_from_the_first_visit_to_the_return_and_never_twice(base: Path) -> None:
    where = (base / "kb", base / "market.parquet")
    assert _left(base) is None
    async with running(*where) as (app, pilot):  # the first visit: nobody left, nothing is told
        await until(pilot, lambda: _left(base) is not None, "the visit is remembered")
        assert not isinstance(app.screen, TextModal)
    left = _left(base)
    assert left is not None
    _happen(base)
    async with running(*where) as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, TextModal), "the brief opens")
        shown = screen_text(app)
        assert f"since you left, {left:%Y-%m-%d %H:%M} UTC" in shown
        assert "1 kill(s): volume_shock; the first because: it was a mistake." in shown
        assert "kills 1, ids volume_shock: " in shown
        assert "1 promoted: volume_shock." in shown
    assert _left(base) == left  # not dismissed: it is told again
    async with running(*where) as (app, pilot):
        await readable(pilot, TextModal)
        await press(pilot, "escape")
        await until(pilot, lambda: (_left(base) or left) > left, "it was read")
        await press(pilot, "less_than_sign")  # asked for, it is shown once more
        await readable(pilot, TextModal)
        assert "volume_shock" in screen_text(app)
        await press(pilot, "escape")
    async with running(*where) as (app, pilot):
        await until(pilot, lambda: any("nothing happened" in text for text in toasts(app)), "since when is said")
        assert not isinstance(app.screen, TextModal)


async def test_who_only_looks_is_told_when_asking_and_moves_no_memory(base: Path) -> None:
    before = _left(base)
    async with running(base / "kb", base / "market.parquet", read_only=True) as (app, pilot):
        assert not isinstance(app.screen, TextModal)
        await press(pilot, "less_than_sign")
        await until(pilot, lambda: toasts(app) or isinstance(app.screen, TextModal), "an answer")
    assert _left(base) == before


class Away(ScriptedRuntime):
    """A service whose connection broke an hour ago and is back."""

    def __init__(self) -> None:
        super().__init__()
        self.mode = "LIVE"
        self.since_left = AwaySinceLeft()  # type: ignore[assignment]


class AwaySinceLeft:
    def __init__(self) -> None:
        self.asked: list[datetime | None] = []
        self.noted = 0
        self.back: datetime | None = None
        self.fails = False

    async def note(self) -> None:
        self.noted += 1

    async def brief(self, since: datetime | None = None) -> Brief | None:
        self.asked.append(since)
        if self.fails:
            raise MidasError("the service is not reached now")
        if since is None:
            return None
        told = Sentence("2 critical alert(s) in 1 incident(s).", {"alerts": 2, "ids": ["a", "b"]}, "critical")
        return Brief(since, since + timedelta(hours=1), (told,))

    def returned(self) -> datetime | None:
        back, self.back = self.back, None
        return back


async def test_a_connection_that_comes_back_is_a_return() -> None:
    from midas_engine import events as ev

    runtime: Any = Away()
    async with scripted(runtime) as (app, pilot, _):
        left = runtime.since_left
        await until(pilot, lambda: left.noted == 1, "the first visit is remembered")
        broke = WallClock().now() - timedelta(hours=1)
        left.back = broke
        runtime.bus.publish(ev.RuntimeChanged(at=WallClock().now(), phase="running"))
        await readable(pilot, TextModal)
        assert left.asked == [None, broke]
        assert "2 critical alert(s)" in screen_text(app)
        assert "alerts 2, ids a; b" in screen_text(app)
        await press(pilot, "enter")
        await until(pilot, lambda: left.noted == 2, "it was read")
        left.fails = True
        await press(pilot, "less_than_sign")
        await until(pilot, lambda: any("not reached" in text for text in toasts(app)), "a failure is said")


async def test_nothing_opens_over_a_question() -> None:
    from midas_engine import events as ev

    runtime: Any = Away()
    async with scripted(runtime, mode="pipeline") as (app, pilot, _):
        await until(pilot, lambda: runtime.since_left.noted == 1, "the first visit is remembered")
        await press(pilot, "X")
        await readable(pilot)
        runtime.since_left.back = WallClock().now() - timedelta(hours=1)
        runtime.bus.publish(ev.RuntimeChanged(at=WallClock().now(), phase="running"))
        await until(pilot, lambda: any("< shows" in text for text in toasts(app)), "where it is found")
        assert not isinstance(app.screen, TextModal)
        assert runtime.since_left.noted == 1
        await press(pilot, "escape", "less_than_sign")
        await readable(pilot, TextModal)


def test_the_program_in_a_real_terminal_says_it_on_return(tmp_path: Path) -> None:
    write_market(tmp_path, days=12)
    fill_base(tmp_path / "kb")
    promoter = FeaturePromoter(KnowledgeBase(tmp_path / "kb"))
    promoter.journal.put_state(KEY, WallClock().now().isoformat().encode())
    promoter.demote("reversal_1h", "while nobody looked")
    promoter.close()
    args = ["--kb", str(tmp_path / "kb"), "--data", str(tmp_path / "market.parquet")]
    with Terminal(args, columns=120, lines=32) as terminal:
        shown = terminal.until("demote 1, features reversal_1h")  # the last line to be drawn
        assert "since you left" in shown
        assert "1 demoted: reversal_1h." in shown
        terminal.drain(0.5)  # a dialog is deaf until it can have been read
        terminal.send("q")  # closes the brief
        terminal.until(lambda text: "since you left" not in text)
        terminal.send("q")
        assert terminal.wait() == 0
    assert (_left(tmp_path) or WallClock().now()) > WallClock().now() - timedelta(minutes=5)
