"""Undo and redo, of whatever this terminal did last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_tui.shell.history import PIPELINE

if TYPE_CHECKING:
    from midas_tui.shell.alert_answers import AlertAnswers
    from midas_tui.shell.engine_link import EngineLink
    from midas_tui.shell.history import History
    from midas_tui.shell.navigator import Navigator


class Undo:
    """Takes back and does again: an answer to an alert, or a move in the pipeline.

    Args:
        link: The engine.
        navigator: Follows what was moved.
        answers: Gives an answer again.
        history: What there is to take back.
    """

    def __init__(self, link: EngineLink, navigator: Navigator, answers: AlertAnswers, history: History) -> None:
        self._link = link
        self._navigator = navigator
        self._answers = answers
        self._history = history

    async def undo(self) -> None:
        """Undo the last reversible action."""
        done, before = self._history.last, self._navigator.places()
        if done.what == PIPELINE:
            if self._link.refused() or not await self._link.attempt(lambda r: r.pipeline.undo()):
                return
        elif not await self._link.attempt(lambda r: r.queries.reopen(done.alert_id)):
            self._history.forget_last()
            return
        self._history.undid(done)
        if done.what == PIPELINE:
            await self._navigator.follow(before)

    async def redo(self) -> None:
        """Redo what was undone."""
        done, before = self._history.last_undone, self._navigator.places()
        if done.what == PIPELINE:
            if self._link.refused() or not await self._link.attempt(lambda r: r.pipeline.redo()):
                return
        elif not await self._answers.give(done):
            return
        self._history.redid(done)
        if done.what == PIPELINE:
            await self._navigator.follow(before)
