"""The replay keys: play, step, speed, jumps."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from midas_tui.engine_actions import Commands
from midas_tui.modals.choose import LineModal
from midas_tui.workers import in_worker

if TYPE_CHECKING:
    from midas_tui.runtime_protocol import ReplayPort

NOT_A_REPLAY = "not a replay: start with midas-tui --replay"


class Transport(Commands):
    """Actions of the application that move a recording."""

    _pointed: int | None = None

    def replaying(self) -> ReplayPort | None:
        """The recording's controls; None when the source is no recording."""
        return self.runtime.replay if self.runtime is not None else None

    def action_replay(self, what: str) -> None:
        """One of the replay keys. Moves are carried out one after another, off the key's own handler."""
        replay = self.replaying()
        if replay is None:
            self.say(NOT_A_REPLAY)
        elif what == "faster":
            replay.faster()
        elif what == "slower":
            replay.slower()
        else:
            in_worker(self, partial(self._move, replay, what), "replay", exclusive=False)

    async def _move(self, replay: ReplayPort, what: str) -> None:
        try:
            await self._carry_out(replay, what)
        except Exception as error:
            self.failed(error)
        self.pump()

    async def _carry_out(self, replay: ReplayPort, what: str) -> None:
        match what:
            case "step":
                await replay.step(1)
            case "step_back":
                await replay.step(-1)
            case "next_alert":
                if not await replay.next_alert():
                    self.say("no further alert in what was scanned")
            case "previous_alert":
                if not await replay.previous_alert():
                    self.say("no earlier alert")
            case "restart":
                await replay.restart()
            case _:
                if replay.playing:
                    await replay.pause()
                elif replay.position >= replay.total:
                    self.say("the recording has ended: 0 starts it again")
                else:
                    replay.play()

    def seek_to(self, position: int) -> None:
        """Go to a bar that the mouse points at; of several in a row only the newest counts."""
        running, self._pointed = self._pointed is not None, position
        replay = self.replaying()
        if replay is not None and not running:
            in_worker(self, partial(self._seek_pointed, replay), "replay", exclusive=False)

    async def _seek_pointed(self, replay: ReplayPort) -> None:
        try:
            target: int | None = None
            while self._pointed is not None and self._pointed != target:
                target = self._pointed
                await self._seek(replay, target)
        finally:
            self._pointed = None

    def pump(self) -> None:
        """Show at once what a key did; given by the application."""
        raise NotImplementedError

    def action_go_to(self) -> None:
        """Ask for a time or a bar, and go there."""
        replay = self.replaying()
        if replay is None:
            self.say(NOT_A_REPLAY)
            return
        if isinstance(self.screen, LineModal):
            return

        def chosen(text: str | None) -> None:
            if text:
                self._go(replay, text)

        at = replay.moved.bar_at
        note = f"a UTC time, or a bar number from 0 to {replay.total}"
        self.push_screen(LineModal("go to", at.strftime("%Y-%m-%d %H:%M"), note=note), chosen)

    def _go(self, replay: ReplayPort, text: str) -> None:
        if re.fullmatch(r"\d{1,7}", text):
            in_worker(self, partial(self._seek, replay, int(text)), "replay", exclusive=False)
            return
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            self.say(f"{text!r} is neither a bar number nor a time like 2026-01-15 08:00", bad=True)
            return
        in_worker(self, partial(self._seek, replay, at.replace(tzinfo=at.tzinfo or UTC)), "replay", exclusive=False)

    async def _seek(self, replay: ReplayPort, target: int | datetime) -> None:
        try:
            await (replay.seek(target) if isinstance(target, int) else replay.seek_time(target))
        except Exception as error:
            self.failed(error)
        self.pump()
