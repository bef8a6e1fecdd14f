"""Since you left: on return, what happened in the base while nobody looked, each sentence with its figures."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any

from textual.content import Content

from midas_engine.errors import MidasError
from midas_tui.modals.choose import TextModal
from midas_tui.page import Page
from midas_tui.sanitise import clean
from midas_tui.workers import in_worker

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from textual.app import App

    from midas_engine.monitor.daily.brief import Brief
    from midas_tui.input_gate import InputGate
    from midas_tui.runtime_protocol import RuntimePort
    from midas_tui.shell.engine_link import EngineLink
    from midas_tui.shell.messages import Messages

_ROLES = {"critical": "$crit", "warning": "$warn"}
_LISTED = 4
# Where time passes: a recording and the played case have none of their own.
WATCHED = ("LIVE", "OFFLINE")
# Leaving waits no longer for a service that does not answer.
NOTE_SECONDS = 2.0


class SinceLeft:
    """Shows the brief of the time away, once, and remembers that it was seen.

    Args:
        app: Where it is shown.
        gate: Whether a question is being prepared.
        link: The engine.
        messages: Where is said that nothing happened, and since when.

    Attributes:
        read: What happened until the start, or the newest return, was read or was nothing.
    """

    def __init__(self, app: App[Any], gate: InputGate, link: EngineLink, messages: Messages) -> None:
        self._app = app
        self._gate = gate
        self._link = link
        self._messages = messages
        self._from: datetime | None = None
        self.read = False

    def came(self) -> None:
        """The terminal has started: what happened since somebody looked last?"""
        runtime = self._link.runtime
        if runtime is not None and _remembers(runtime):
            self._begin(None)

    def look(self) -> None:
        """How the engine stands has changed: where a broken connection is back, what happened meanwhile?"""
        runtime = self._link.runtime
        back = runtime.since_left.returned() if runtime is not None else None
        if back is not None:
            # what was not read yet is told together with what came after it
            self._begin(back if self.read else min(back, self._from or back))

    def show(self) -> None:
        """What was said on return, once more: until now."""
        runtime = self._link.runtime
        if runtime is None or runtime.mode not in WATCHED:
            self._messages.refuse("this is a recording: nothing happens in it while you are away")
            return
        in_worker(self._app, partial(self._tell, self._from, asked=True), "since", exclusive=True)

    def _begin(self, since: datetime | None) -> None:
        self.read = False
        in_worker(self._app, partial(self._tell, since, asked=False), "since", exclusive=True)

    async def _tell(self, since: datetime | None, *, asked: bool) -> None:
        runtime = self._link.runtime
        if runtime is None:
            return
        try:
            brief = await runtime.since_left.brief(since)
        except MidasError as error:
            if asked:
                self._link.failed(error)
            return
        if brief is None:
            if asked:
                self._messages.refuse("nobody has left this base yet: there is nothing to compare with")
            await self._saw()
            return
        self._from = brief.since
        if not brief.happened:
            self._messages.refuse(f"since {brief.since:%Y-%m-%d %H:%M} UTC nothing happened that is on record")
            await self._saw()
            return
        if self._gate.asking or not isinstance(self._app.screen, Page):
            self._messages.say(f"{len(brief.sentences)} things happened since you left: < shows them", key="since")
            return
        title = f"since you left, {brief.since:%Y-%m-%d %H:%M} UTC"
        self._app.push_screen(TextModal(title, _content(brief)), self._closed)

    def _closed(self, _: object) -> None:
        in_worker(self._app, self._saw, "seen", exclusive=True)

    async def _saw(self) -> None:
        """Everything until now was seen. Who only looks on moves no memory."""
        runtime, self.read = self._link.runtime, True
        if runtime is None or not _remembers(runtime):
            return
        with contextlib.suppress(MidasError, TimeoutError):  # not reached, or closed: it is told once more then
            async with asyncio.timeout(NOTE_SECONDS):
                await runtime.since_left.note()

    async def leave(self) -> None:
        """The terminal closes. What was not read is told again next time."""
        if self.read:
            await self._saw()


def _remembers(runtime: RuntimePort) -> bool:
    return runtime.mode in WATCHED and not runtime.read_only


def _content(brief: Brief) -> Content:
    parts: list[tuple[str, str] | str] = [f"{clean(brief.headline, newlines=False)}\n\n"]
    for sentence in brief.sentences:
        parts += [(f"{clean(sentence.text, newlines=False)}\n", _ROLES.get(sentence.severity, ""))]
        figures = clean(_figures(sentence.figures), newlines=False)
        parts.append((f"  {figures}\n", "$muted"))
    return Content.assemble(*parts)


def _figures(figures: Mapping[str, Any]) -> str:
    """Figures in a line: `kills 2, ids carry: 1f3a`."""
    return ", ".join(f"{name.replace('_', ' ')} {_figure(value)}" for name, value in figures.items())


def _figure(value: object) -> str:
    if isinstance(value, dict):
        value = [f"{name}: {of}" for name, of in value.items()]
    if isinstance(value, list | tuple):
        more = len(value) - _LISTED
        return "; ".join(str(one) for one in value[:_LISTED]) + (f" and {more} more" if more > 0 else "")
    return f"{value:.2f}" if isinstance(value, float) else str(value)
