"""Nobody's accident: keys that come in bursts, in one write, or under load never act on what was not on the screen."""

from __future__ import annotations

import asyncio
import dataclasses
import random
import shutil
import time
from typing import TYPE_CHECKING, Any

import pytest
from textual import events
from textual.keys import _character_to_key

from helpers_pty import Terminal
from helpers_tui import (
    READING_SECONDS,
    ScriptedRuntime,
    fill_base,
    press,
    readable,
    scripted,
    session_events,
    until,
    write_market,
)
from helpers_tui_parts import ScriptedPipeline
from midas_engine.models import AlertStatus
from midas_engine.promoter.preview import Preview
from midas_tui.input_gate import DEAF_SECONDS, made_now
from midas_tui.modals.ask import AskModal, Question
from midas_tui.modals.dialog import Dialog
from midas_tui.screens.base import ModeScreen
from midas_tui.widgets.filter_line import FilterLine
from midas_tui.widgets.line_table import LineTable

if TYPE_CHECKING:
    from pathlib import Path

# What opens a line, an overlay or a dialog in each mode: everything behind it in one burst is for nobody else.
OPENERS = {
    "live": "/g:?!w",
    "pipeline": "/g:?!pxbR",
    "discovery": "/g:?!c",
    "learnings": "/g:?!sx",
    "alerts": "/g:?!w",
    "book": "/g:?!",
}
NAMES = {"\r": "enter", "\x1b": "escape", "\t": "tab", " ": "space"}
TYPED = "abcdefghijklmnopqrstuvwxyzABDGKNRSUYZ0123456789_/.,[]-+@!?: \r\r\ryyy\taaauuAUwKdp\x1b"
BURSTS = 8


class _Asked(ScriptedPipeline):
    async def preview(self, action: str, name: str) -> Preview:
        return Preview(action, name, command=f"midas {action} {name}")

    async def undo(self) -> str:
        self.desk.calls.append(("undo",))
        return "undone"

    redo = undo


class Recorder(ScriptedRuntime):
    """Asked for anything it has a dialog; what is carried out stands in `calls`."""

    def __init__(self) -> None:
        super().__init__()
        self.pipeline = _Asked(self)


def burst(app: Any, text: str) -> None:
    """Post the keys of `text` as the driver does when one read brought them all."""
    for letter in text:
        key = NAMES.get(letter) or (letter if letter.isalnum() else _character_to_key(letter))
        app.post_message(events.Key(key, letter if letter.isprintable() or letter in "\r\t" else None))


async def settled(pilot: Any) -> None:
    """Let everything that was posted be handled."""
    for _ in range(3):
        await pilot.pause()


async def back_to_the_page(pilot: Any) -> None:
    """Escape until no dialog, no line and no filter is left."""
    app = pilot.app
    for _ in range(8):
        await until(pilot, lambda: not app.gate.asking or app.screen.is_modal)
        if isinstance(app.screen, ModeScreen) and not app.screen.query_one(FilterLine).has_class("open"):
            return
        await press(pilot, "escape")
        await settled(pilot)
    raise AssertionError(f"still {app.screen}")


def spin(milliseconds: int) -> None:
    """Hold the loop, as a kernel that compiles does."""
    end = time.thread_time() + milliseconds / 1000
    while time.thread_time() < end:
        pass


@pytest.mark.parametrize("loaded", [False, True], ids=["idle", "loaded"])
@pytest.mark.parametrize("mode", OPENERS)
async def test_nothing_typed_behind_an_opener_reaches_the_engine(mode: str, loaded: bool) -> None:
    await typed_at_random(mode, loaded=loaded, seed=f"{mode} {loaded}")


async def typed_at_random(mode: str, *, loaded: bool, seed: str) -> None:
    """Bursts behind openers in a mode: no call reaches the engine, and the page is there again after each."""
    rng = random.Random(seed)
    async with scripted(Recorder(), mode=mode, size=(80, 24)) as (app, pilot, runtime):
        for event in session_events():
            runtime.bus.publish(event)
        app.shell.bridge.pump()
        await settled(pilot)
        for _ in range(BURSTS):
            name = rng.choice(["a", "hand", "dK", "gxzqa", "high_proximity_48_s72_w", ""])
            text = name + "".join(rng.choices(TYPED, k=rng.randrange(0, 12)))
            opener = rng.choice(OPENERS[mode])
            if loaded:
                asyncio.get_running_loop().call_soon(spin, rng.randrange(40))
            burst(app, opener + text)
            if loaded:
                asyncio.get_running_loop().call_soon(spin, rng.randrange(40))
            if rng.random() < 0.3:
                app.post_message(events.Paste(text))
            await settled(pilot)
            assert runtime.calls == [], (opener, text)
            assert app.is_running, (opener, text)
            await back_to_the_page(pilot)
            assert app.current_mode == mode, (opener, text)
            assert runtime.calls == [], (opener, text)


@pytest.mark.parametrize("name", ["gxzqa", "high_proximity_48_s72_w", "ggggggggg", "gaaaa"])
async def test_keys_that_come_while_the_overlay_closes_are_ignored(name: str) -> None:
    async with scripted(mode="learnings") as (app, pilot, runtime):
        for _ in range(5):
            burst(app, name)
            await settled(pilot)
            await back_to_the_page(pilot)
        assert app.is_running
        assert runtime.calls == []


@pytest.mark.parametrize("typed", ["x8fyuy]noau", "xdujpB49_iRd", "xRxDn@5vAt"])
async def test_what_is_typed_behind_a_key_that_is_refused_acts_no_more_than_behind_one_that_asks(typed: str) -> None:
    async with scripted(Recorder(), mode="learnings") as (app, pilot, runtime):
        app.screen._shown = ""  # type: ignore[attr-defined]
        burst(app, typed)  # x asks before a learning is revoked; here none is shown
        await settled(pilot)
        assert app.current_mode == "learnings"
        assert runtime.calls == []
        await press(pilot, "5")  # a key of its own acts
        assert app.current_mode == "alerts"


@pytest.mark.parametrize(("mode", "keys"), [("alerts", "G"), ("live", "/zzz\r")], ids=["ended", "no row"])
async def test_what_is_typed_behind_a_snooze_of_nothing_is_dropped(mode: str, keys: str) -> None:
    async with scripted(Recorder(), mode=mode) as (app, pilot, runtime):
        ended = (dataclasses.replace(a, status=AlertStatus.RESOLVED) for a in runtime.running)
        app.store._alerts = {a.id: a for a in ended}
        burst(app, keys)
        await settled(pilot)
        burst(app, "wdKiyu!Ki")
        await settled(pilot)
        assert runtime.calls == []
        assert app.current_mode == mode
        await back_to_the_page(pilot)
        await press(pilot, "u")  # a key of its own acts
        assert runtime.calls == [("undo",)]


async def test_letters_behind_the_slash_are_the_filter() -> None:
    async with scripted(Recorder(), mode="alerts") as (app, pilot, runtime):
        burst(app, "/a")
        await settled(pilot)
        assert app.screen.needle == "a"  # type: ignore[attr-defined]
        burst(app, "hand")
        await settled(pilot)
        assert app.screen.needle == "ahand"  # type: ignore[attr-defined]
        assert runtime.calls == []


async def test_letters_behind_a_tab_that_leaves_the_line_are_no_commands() -> None:
    async with scripted(Recorder(), mode="alerts") as (app, pilot, runtime):
        burst(app, "/a\tauw")
        await settled(pilot)
        assert runtime.calls == []
        burst(app, "a")  # the loudest stands first, and is open
        await settled(pilot)
        assert runtime.calls != []


@pytest.mark.parametrize("garbled", ["alt+p", "circumflex_accent", "alt+x"])
async def test_what_came_with_a_garbled_escape_is_no_command(garbled: str) -> None:
    """Escape and the key behind it, read in one, are one unknown key: what it should have opened stays shut."""
    async with scripted(Recorder(), mode="alerts") as (app, pilot, runtime):
        app.post_message(events.Key(garbled, None))
        burst(app, "auw")
        await settled(pilot)
        assert runtime.calls == []


async def test_letters_behind_enter_in_the_same_burst_are_neither_text_nor_commands() -> None:
    async with scripted(Recorder(), mode="alerts") as (app, pilot, runtime):
        burst(app, "/vwap\raU")
        await settled(pilot)
        assert app.screen.needle == "vwap"  # type: ignore[attr-defined]
        assert app.focused is app.screen.query_one("#history")
        assert runtime.calls == []
        await press(pilot, "a")  # a key of its own acts again
        assert runtime.calls == [("acknowledge", "vwap_zscore_mean_rev-ic_decay")]


async def test_a_paste_behind_the_slash_is_text_and_a_paste_on_a_page_is_nothing() -> None:
    async with scripted(Recorder(), mode="alerts") as (app, pilot, runtime):
        app.post_message(events.Paste("aaKd\rU"))
        await settled(pilot)
        burst(app, "/")
        app.post_message(events.Paste("vwap\rU"))
        await settled(pilot)
        assert app.screen.needle == "vwap"  # type: ignore[attr-defined]
        assert runtime.calls == []


async def test_dismissing_any_dialog_twice_is_dismissing_it_once() -> None:
    def kinds(of: type[Dialog[Any]]) -> list[type[Dialog[Any]]]:
        found = of.__subclasses__()
        return [*found, *(k for kind in found for k in kinds(kind))]

    names = {kind.__name__ for kind in kinds(Dialog)}
    assert {"AskModal", "ChooseModal", "LineModal", "TextModal", "HelpModal", "GoModal", "FeatureModal"} <= names
    answers: list[Any] = []
    async with scripted() as (app, pilot, _):
        for key in ("g", "question_mark", "exclamation_mark"):
            await press(pilot, key)
            dialog: Any = app.screen
            dialog.dismiss(None)
            dialog.dismiss(None)
            await settled(pilot)
            dialog.dismiss(None)
            assert isinstance(app.screen, ModeScreen), key
        ask = AskModal(Question("sure?", []))
        app.push_screen(ask, answers.append)
        await readable(pilot, AskModal)
        burst(app, "yyy\r\x1b")
        await settled(pilot)
        assert [a.confirmed for a in answers] == [True]


async def test_no_dialog_is_a_screen_of_its_own_kind() -> None:
    from textual.screen import ModalScreen

    from midas_tui.modals import ask, choose, feature, go
    from midas_tui.modals import help as help_

    for module in (ask, choose, feature, go, help_):
        for item in vars(module).values():
            if isinstance(item, type) and issubclass(item, ModalScreen):
                assert issubclass(item, Dialog), item


class TestDeaf:
    async def test_a_key_made_too_early_is_dropped_however_late_it_is_handled(self) -> None:
        async with scripted(Recorder(), mode="pipeline") as (app, pilot, runtime):
            await press(pilot, "p")
            await until(pilot, lambda: app.gate.shown(app.screen))
            early = events.Key("y", "y")
            await readable(pilot, AskModal)
            early.time -= READING_SECONDS  # made when the dialog was painted, handled when it has long been read
            app.post_message(early)
            await settled(pilot)
            assert runtime.calls == []
            assert isinstance(app.screen, AskModal)
            await press(pilot, "y")
            await until(pilot, lambda: runtime.calls)

    async def test_the_wait_is_measured_from_the_first_paint(self) -> None:
        async with scripted(Recorder(), mode="pipeline") as (app, pilot, _):
            dialog = AskModal(Question("sure?", []))
            assert app.gate.deaf(dialog)
            app.push_screen(dialog)
            clock: Any = app.gate._clock
            clock.added += 10.0  # long ago asked, never painted
            assert app.gate.deaf(dialog)
            await until(pilot, lambda: app.gate.shown(dialog))
            shown = app.gate._painted[dialog]
            clock.added += DEAF_SECONDS
            assert not app.gate.deaf(dialog)
            assert app.gate.deaf(dialog, made_now() - (clock.monotonic() - shown))

    async def test_a_click_on_its_button_is_ignored_at_first(self) -> None:
        async with scripted(Recorder(), mode="pipeline") as (app, pilot, runtime):
            await press(pilot, "p")
            await until(pilot, lambda: app.gate.shown(app.screen))
            await pilot.click("#confirm")
            await settled(pilot)
            assert isinstance(app.screen, AskModal)
            assert runtime.calls == []
            await readable(pilot, AskModal)
            await pilot.click("#confirm")
            await until(pilot, lambda: runtime.calls)

    @pytest.mark.parametrize(("mode", "key"), [("pipeline", "p"), ("live", "w"), ("discovery", "r"), ("live", "!")])
    async def test_every_dialog_is(self, mode: str, key: str) -> None:
        async with scripted(Recorder(), mode=mode) as (app, pilot, runtime):
            burst(app, key)
            await until(pilot, lambda: isinstance(app.screen, Dialog) and app.gate.shown(app.screen))
            dialog: Any = app.screen
            assert dialog.deaf
            burst(app, "yyj\r\r\tq!")
            await settled(pilot)
            assert app.screen is dialog
            assert runtime.calls == []

    async def test_escape_gives_up_a_question_that_is_still_prepared(self) -> None:
        class Slow(Recorder):
            async def preview(self, action: str, name: str) -> Preview:
                await asyncio.Event().wait()
                raise AssertionError

        async with scripted(Slow(), mode="pipeline") as (app, pilot, _):
            burst(app, "p")
            await settled(pilot)
            assert app.gate.asking
            await press(pilot, "j", "2", "escape")
            await until(pilot, lambda: not app.gate.asking)
            table = app.screen.query_one("#candidates", LineTable)
            assert table.cursor_row == 0
            await press(pilot, "j")
            assert table.cursor_row == 1


async def test_enter_that_opens_a_dialog_leaves_nothing_for_the_page() -> None:
    async with scripted(Recorder(), size=(80, 24)) as (app, pilot, runtime):
        burst(app, "\raU")
        await settled(pilot)
        assert isinstance(app.screen, Dialog)
        assert runtime.calls == []


async def test_a_key_that_means_nothing_here_means_nothing_after_the_mode_changed() -> None:
    # Textual looks a key up when it has bubbled to the top: by then another mode could own it.
    async with scripted(Recorder(), mode="live") as (app, pilot, runtime):
        burst(app, "x2")
        await settled(pilot)
        assert app.current_mode == "pipeline"
        assert not app.gate.asking
        assert runtime.calls == []


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("bursts")
    market = write_market(folder, days=5)
    fill_base(folder / "kb")
    return folder / "kb", market


BUSY = (
    "import sys, threading\n"
    "def spin():\n"
    "    while True: sum(range(2000))\n"
    "threading.Thread(target=spin, daemon=True).start()\n"
    "from midas_tui.cli import main\n"
    "sys.exit(main(sys.argv[1:]))\n"
)


@pytest.mark.parametrize("program", [("-m", "midas_tui"), ("-c", BUSY)], ids=["idle", "loaded"])
def test_bursts_over_a_real_terminal_change_nothing_on_disk(
    tmp_path: Path, base: tuple[Path, Path], program: tuple[str, ...]
) -> None:
    kb = shutil.copytree(base[0], tmp_path / "kb")
    rng = random.Random(7)

    def features() -> dict[str, bytes]:
        return {str(p): p.read_bytes() for p in sorted((kb / "knowledge/features").rglob("*.md"))}

    before = features()
    with Terminal(["--kb", str(kb), "--data", str(base[1]), "--mode", "pipeline"], program=program) as terminal:
        terminal.until("candidates 3")
        terminal.until(lambda text: "volume_shock" in text and "warming" not in text)
        for _ in range(14):
            opener = rng.choice("/g:?!pxbR")
            terminal.send(opener + "".join(rng.choices(TYPED.replace("\x1b", ""), k=rng.randrange(1, 14))))
            terminal.drain(0.1)
            terminal.send("\x1b")
            terminal.drain(0.1)
            terminal.send("\x1b")
            terminal.drain(0.1)
        assert features() == before
        terminal.send("\x11")
        assert terminal.wait() == 0
