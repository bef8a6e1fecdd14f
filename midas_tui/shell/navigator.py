"""Where the eye is: modes, panes, what is opened, copied and followed."""

from __future__ import annotations

import os
import shlex
import subprocess
from functools import partial
from typing import TYPE_CHECKING, Any

from textual.app import SuspendNotSupported

from midas_engine.errors import MidasError
from midas_tui.clipboard import copy_out
from midas_tui.faults import describe
from midas_tui.modals.go import TOP, GoModal
from midas_tui.page import Page
from midas_tui.workers import in_worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import App

    from midas_tui.shell.engine_link import EngineLink
    from midas_tui.shell.messages import Messages
    from midas_tui.store import Places, Store


class Navigator:
    """Leads to modes, panes, features and documents.

    Args:
        app: Switches modes and screens.
        store: Where features stand.
        link: The engine: documents' files, and the pipeline before it is followed.
        messages: Where is said what cannot be opened.
    """

    def __init__(self, app: App[Any], store: Store, link: EngineLink, messages: Messages) -> None:
        self._app = app
        self._store = store
        self._link = link
        self._messages = messages
        self.put_together = True  # the mode that is switched to is made, not only shown again

    @property
    def page(self) -> Page | None:
        """The mode that is shown, under whatever dialog."""
        return next((s for s in reversed(self._app.screen_stack) if isinstance(s, Page)), None)

    @property
    def open_page(self) -> Page | None:
        """The mode that is shown; None while a dialog stands over it."""
        return self._app.screen if isinstance(self._app.screen, Page) else None

    def redraw(self) -> None:
        """Draw the whole mode again."""
        page = self.page
        if page is not None:
            page.refresh_all()

    # -- modes and panes -------------------------------------------------------------------------

    async def mode(self, name: str) -> None:
        """Show a mode."""
        if self.open_page is not None:
            await self._switch(name)

    async def _switch(self, name: str) -> None:
        self.put_together = name not in self._app._screen_stacks
        await self._app.switch_mode(name)

    async def next_mode(self) -> None:
        """Show the mode after this one."""
        names = list(self._app._modes)
        if self._app.current_mode in names:
            await self.mode(names[(names.index(self._app.current_mode) + 1) % len(names)])

    def filter(self) -> None:
        """Filter the current pane."""
        if self.open_page is not None:
            self.open_page.action_filter()

    def back(self) -> None:
        """Clear, close, or restore."""
        if self.open_page is not None:
            self.open_page.action_back()

    def maximise(self) -> None:
        """The focused pane over the whole screen, or back."""
        screen = self._app.screen
        focused = screen.focused
        if screen.maximized is not None:
            screen.minimize()
        elif focused is not None:
            screen.maximize(focused, container=False)

    def toggle_header(self) -> None:
        """Hide or show the status line."""
        status = self._app.screen.query("#status")
        if status:
            status.first().display = not status.first().display

    def go(self) -> None:
        """Go to a pane by its letter, or to the top."""
        app, screen = self._app, self.open_page
        if screen is None:
            return
        panes = {
            w.id: w.region
            for w in screen.query("*")
            if w.id and w.can_focus and w.region.area and w.id != "filter" and w.display
        }

        def chosen(name: str | None) -> None:
            if name == TOP:
                if screen.focused is not None:
                    app.call_later(app.run_action, "edge(-1)", screen.focused)
                    app.call_later(app.run_action, "end_of(-1)", screen.focused)
            elif name:
                screen.query_one(f"#{name}").focus()

        app.push_screen(GoModal(panes), chosen)

    # -- following, opening and copying ----------------------------------------------------------

    def places(self) -> Places:
        """Where every feature stands now."""
        return self._store.places()

    async def follow(self, before: Places, names: Sequence[str] = ()) -> None:
        """Keep the eye on what was moved: the first of `names`, else of all features, that stands elsewhere now."""
        await self._link.reload_pipeline()
        after = self.places()
        moved = [name for name in (*names, *after) if after.get(name) != before.get(name)]
        page = self.page
        if moved and page is not None and page.drawable:
            page.follow_feature(moved[0])

    def open_card(self, name: str) -> None:
        """Show a feature in the pipeline."""
        in_worker(self._app, partial(self._open_card, name), "open", exclusive=True)

    async def _open_card(self, name: str) -> None:
        await self._switch("pipeline")
        page = self.open_page
        if page is not None:
            page.call_after_refresh(page.show_feature, name)

    def open_session(self, session: str) -> None:
        """Show a session in Discovery; one that ran before this terminal began is named with how to see it."""
        if session in self._store.sessions:
            in_worker(self._app, partial(self._open_session, session), "open", exclusive=True)
        else:
            self._messages.refuse(f"session {session} ran before: midas replay {session} shows it again")

    async def _open_session(self, session: str) -> None:
        await self._switch("discovery")
        page = self.open_page
        if page is not None:
            page.call_after_refresh(page.show_session, session)

    def open_what_is_known(self) -> None:
        """From a feature or a session to its learning, and to all that belongs to it beside it."""
        subject = self.open_page.subject() if self.open_page is not None else ""
        if subject:
            in_worker(self._app, partial(self._open_known, subject), "open", exclusive=True)
        else:
            self._messages.refuse("no feature and no session is under the cursor")

    async def _open_known(self, subject: str) -> None:
        runtime = self._link.runtime
        if runtime is None:
            return
        try:
            links = await runtime.documents.links(subject)
        except MidasError as error:
            self._messages.say(describe(error), bad=True)
            return
        papers = [link.target for link in links if link.kind == "document"]
        # Its learning first; a feature without one has its own file.
        first = next((p for p in papers if "learnings/" in p), papers[0] if papers else "")
        if first:
            await self._open_document(first)
        else:
            self._messages.refuse(f"no document speaks of {subject.partition(':')[2]}")

    def open_document(self, path: str) -> None:
        """Show a document."""
        in_worker(self._app, partial(self._open_document, path), "open", exclusive=True)

    async def _open_document(self, path: str) -> None:
        await self._switch("learnings")
        page = self.open_page
        if page is not None:
            await page.open_path(path)

    def edit_document(self, path: str) -> None:
        """Open a document in $EDITOR; the viewer follows the file."""
        runtime = self._link.runtime
        if runtime is None or self._link.refused():
            return
        editor = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "")
        if not editor:
            self._messages.say("set $EDITOR to edit documents", bad=True)
            return
        try:
            with self._app.suspend():
                subprocess.run([*editor, runtime.documents.file(path)], check=False)
        except MidasError as error:
            self._messages.say(describe(error), bad=True)
        except (SuspendNotSupported, OSError) as error:
            self._messages.say(f"{editor[0]} could not be run: {error}", bad=True)

    def copy(self, *, as_json: bool) -> None:
        """Copy what is under the cursor."""
        page = self.open_page
        text = page.copied(as_json=as_json) if page is not None else ""
        if not text:
            self._messages.refuse("nothing to copy here")
            return
        copy_out(self._app, text)
        what = "the record as JSON" if as_json else text.splitlines()[0][:60]
        self._messages.say(f"copied {what}", key="copied")
