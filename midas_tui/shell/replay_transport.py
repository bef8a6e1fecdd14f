"""The transport of a recording: play, step, speed, jumps; and holding the display still."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from midas_tui.modals.choose import LineModal
from midas_tui.workers import in_worker

if TYPE_CHECKING:
    from textual.app import App

    from midas_tui.event_pump import Bridge
    from midas_tui.runtime_protocol import ReplayPort
    from midas_tui.shell.engine_link import EngineLink
    from midas_tui.shell.messages import Messages
    from midas_tui.shell.navigator import Navigator

NOT_A_REPLAY = "not a replay: start with midas-tui --replay"


class ReplayTransport:
    """Moves a recording, and freezes the display.

    Args:
        app: Where a time is asked for.
        link: The engine, and its recording.
        messages: Where is said what cannot be moved.
        bridge: Shows at once what a key did.
        navigator: Draws the page again when the display is frozen or freed.
    """

    def __init__(
        self, app: App[Any], link: EngineLink, messages: Messages, bridge: Bridge, navigator: Navigator
    ) -> None:
        self._app = app
        self._link = link
        self._messages = messages
        self._bridge = bridge
        self._navigator = navigator
        self._pointed: int | None = None

    def space(self) -> None:
        """Freeze the display, never the engine; in a replay, play or pause."""
        runtime = self._link.runtime
        if self._link.replay is not None:
            self.press("toggle")
        elif runtime is None or runtime.mode == "REPLAY":
            self._messages.refuse("still starting")
        else:
            self._bridge.frozen = not self._bridge.frozen
            self._bridge.pump()
            self._navigator.redraw()

    def press(self, what: str) -> None:
        """One of the replay keys. Moves are carried out one after another, off the key's own handler."""
        replay = self._link.replay
        if replay is None:
            self._messages.refuse(NOT_A_REPLAY)
        elif what == "faster":
            replay.faster()
        elif what == "slower":
            replay.slower()
        else:
            in_worker(self._app, partial(self._move, replay, what), "replay", exclusive=False)

    async def _move(self, replay: ReplayPort, what: str) -> None:
        try:
            await self._carry_out(replay, what)
        except Exception as error:
            self._link.failed(error)
        self._bridge.pump()

    async def _carry_out(self, replay: ReplayPort, what: str) -> None:
        match what:
            case "step":
                await replay.step(1)
            case "step_back":
                await replay.step(-1)
            case "next_alert":
                if not await replay.next_alert():
                    self._messages.refuse("no further alert in what was scanned")
            case "previous_alert":
                if not await replay.previous_alert():
                    self._messages.refuse("no earlier alert")
            case "restart":
                await replay.restart()
            case _:
                if replay.playing:
                    await replay.pause()
                elif replay.position >= replay.total:
                    self._messages.refuse("the recording has ended: 0 starts it again")
                else:
                    replay.play()

    # -- jumps -----------------------------------------------------------------------------------

    def seek_to(self, position: int) -> None:
        """Go to a bar that the mouse points at; of several in a row only the newest counts."""
        running, self._pointed = self._pointed is not None, position
        replay = self._link.replay
        if replay is not None and not running:
            in_worker(self._app, partial(self._seek_pointed, replay), "replay", exclusive=False)

    async def _seek_pointed(self, replay: ReplayPort) -> None:
        try:
            target: int | None = None
            while self._pointed is not None and self._pointed != target:
                target = self._pointed
                await self._seek(replay, target)
        finally:
            self._pointed = None

    def ask_where(self) -> None:
        """Ask for a time or a bar, and go there."""
        replay = self._link.replay
        if replay is None:
            self._messages.refuse(NOT_A_REPLAY)
            return
        if isinstance(self._app.screen, LineModal):
            return

        def chosen(text: str | None) -> None:
            if text:
                self._go(replay, text)

        at = replay.moved.bar_at
        note = f"a UTC time, or a bar number from 0 to {replay.total}"
        self._app.push_screen(LineModal("go to", at.strftime("%Y-%m-%d %H:%M"), note=note), chosen)

    def _go(self, replay: ReplayPort, text: str) -> None:
        target: int | datetime
        if re.fullmatch(r"\d{1,7}", text):
            target = int(text)
        else:
            try:
                at = datetime.fromisoformat(text)
            except ValueError:
                self._messages.say(f"{text!r} is neither a bar number nor a time like 2026-01-15 08:00", bad=True)
                return
            target = at.replace(tzinfo=at.tzinfo or UTC)
        in_worker(self._app, partial(self._seek, replay, target), "replay", exclusive=False)

    async def _seek(self, replay: ReplayPort, target: int | datetime) -> None:
        try:
            await (replay.seek(target) if isinstance(target, int) else replay.seek_time(target))
        except Exception as error:
            self._link.failed(error)
        self._bridge.pump()
