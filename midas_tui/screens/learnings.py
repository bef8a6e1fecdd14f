"""Learnings: the knowledge base as a tree, a search over all it knows, documents that follow their files, links."""

from __future__ import annotations

import shlex
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical

from midas_engine.errors import MidasError
from midas_tui.modals.ask import Answer, AskModal, Question
from midas_tui.modals.choose import LineModal
from midas_tui.screens.base import ModeScreen
from midas_tui.screens.learning_rows import FOUND, MEMORY, found_rows, related_rows, tree_rows
from midas_tui.widgets.document_view import NONE_CHOSEN, DocumentView, headings
from midas_tui.widgets.line_table import Column, LineTable
from midas_tui.widgets.titles import entitle
from midas_tui.words import WordSuggester
from midas_tui.workers import in_worker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from textual.app import ComposeResult
    from textual.widget import Widget

    from midas_tui.runtime_protocol import Document, Found, Link

TREE_COLUMNS = (Column("sign", "", 1), Column("title", "document", 20, right=False, grow=True, cut_end=True))
TOC_COLUMNS = (Column("title", "contents", 18, right=False, grow=True, cut_end=True),)
# Cells of a document's pane that are not given to the lists, of a list at least and at most, and of its frame and bar.
READ_CELLS, LEAST_LIST, MOST_LIST, FRAME = 76, {"#tree": 28, "#side": 34}, 60, 3


class LearningsScreen(ModeScreen):
    """Tree, document, contents and related documents."""

    mode_name: ClassVar[str] = "learnings"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "toc", "contents", id="learnings.toc"),
        Binding("backspace", "previous", "back", id="learnings.back"),
        Binding("right_square_bracket", "changed(1)", "next changed", key_display="]", id="learnings.next_changed"),
        Binding(
            "left_square_bracket",
            "changed(-1)",
            "previous changed",
            key_display="[",
            show=False,
            id="learnings.prev_changed",
        ),
        Binding("e", "edit", "edit", id="learnings.edit"),
        Binding("l", "link", "links", show=False, id="learnings.link"),
        Binding("s", "search", "search", id="learnings.search"),
        Binding("x", "revoke", "revoke", id="learnings.revoke"),
    ]
    CSS = """
    LearningsScreen #tree { width: 1fr; }
    LearningsScreen #document { width: 3fr; }
    LearningsScreen #side { width: 1fr; display: none; }
    LearningsScreen.-wide #side, LearningsScreen.toc #side { display: block; }
    LearningsScreen.-narrow #tree { width: 26; }
    LearningsScreen.-normal #tree { width: 32; }
    LearningsScreen.-narrow.toc #tree, LearningsScreen.-normal.toc #tree { display: none; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._documents: Sequence[Document] = ()
        self._history: list[str] = []
        self._shown = self._asked_for = ""
        self._found: Sequence[Found] | None = None
        self._sought = ""

    def compose_body(self) -> ComposeResult:
        """Tree, document, contents."""
        glyphs = self.shell.glyphs
        with Horizontal():
            yield LineTable(
                TREE_COLUMNS,
                empty="loading ...",
                glyphs=glyphs,
                header=False,
                id="tree",
                classes="pane",
            )
            yield DocumentView(id="document", classes="pane")
            with Vertical(id="side"):
                yield LineTable(TOC_COLUMNS, empty="no headings", glyphs=glyphs, header=False, id="toc", classes="pane")
                yield LineTable(
                    TOC_COLUMNS, empty="nothing related", glyphs=glyphs, header=False, id="related", classes="pane"
                )

    def on_mount(self) -> None:
        """Frames and titles."""
        entitle(self.query_one("#document"), "document")
        entitle(self.query_one("#toc"), "contents")
        entitle(self.query_one("#related"), "related")
        super().on_mount()

    def first_focus(self) -> Widget:
        """The tree."""
        return self.query_one("#tree", LineTable)

    def _share(self) -> None:
        """On a wide screen the lists take what their rows ask for, as far as the document keeps a line to read."""
        lists = (("#tree", ("#tree",)), ("#side", ("#toc", "#related")))
        asked = {of: max(self.query_one(t, LineTable).needs(0) for t in tables) + FRAME for of, tables in lists}
        free = self.size.width - READ_CELLS - sum(LEAST_LIST.values())
        rooms: dict[str, int] = {}
        for of, need in asked.items():  # the tree first: what is contained and related is for later
            more = max(0, min(need, MOST_LIST) - LEAST_LIST[of])
            rooms[of] = LEAST_LIST[of] + min(more, max(0, free))
            free -= more
        rooms["#document"] = self.size.width - sum(rooms.values())
        for of, room in rooms.items():  # shares, so that one alone takes the whole screen
            self.query_one(of).styles.width = f"{room}fr" if self.has_class("-wide") else None

    def flush(self, topics: set[str]) -> None:
        """Read the list again; reload the shown document when its file changed."""
        self.query_one("#document", DocumentView).say_when_empty(self.store.awaited or NONE_CHOSEN)
        if self.store.awaited and not self._documents:
            self.query_one("#tree", LineTable).say_when_empty(self.store.awaited)
        if topics & {"all", "documents"} and self.runtime is not None:
            in_worker(self, self._reload, "tree", exclusive=True)

    async def _reload(self) -> None:
        if self.runtime is None:
            return
        try:
            self._documents = await self.runtime.documents.list()
        except MidasError as error:
            self.shell.messages.say(str(error), bad=True)
            return
        self._flush_tree()
        if self._shown:
            await self._open(self._shown, remember=False)
        elif self._documents and not self._asked_for:
            # Something to read at once: the newest learning, else the first document.
            learnings = [d.path for d in self._documents if "learnings/" in d.path]
            others = [d.path for d in self._documents if d.path.endswith(".md")] or [self._documents[0].path]
            newest = max(learnings, default=others[-1])
            self.query_one("#tree", LineTable).move_to(newest)
            await self._open(newest)

    def _flush_tree(self) -> None:
        tree, found = self.query_one("#tree", LineTable), self._found
        if found is not None:
            tree.say_when_empty(f"nothing here speaks of {self._sought}: esc goes back")
            tree.set_rows(found_rows(found))
            entitle(tree, f"{len(found)} speak of {self._sought}", "esc back")
            return
        changed = self.store.changed_documents
        tree.say_when_empty(
            f"no document matches {self.needle}" if self.needle else "no document yet: 3 then r writes one"
        )
        tree.set_rows(tree_rows(self._documents, self.needle, changed, self.shell.glyphs))
        self._share()
        news = sum(d.path in changed for d in self._documents)
        entitle(tree, self.chip(f"knowledge base {len(self._documents)}", f", {news} changed" if news else ""))

    async def _open(self, path: str, *, remember: bool = True) -> None:
        if self.runtime is None or path.endswith("/"):
            return
        view = self.query_one("#document", DocumentView)
        try:
            documents = self.runtime.documents
            text = await (documents.memory() if path == MEMORY else documents.read(path))
        except MidasError as error:
            text = f"# This document cannot be shown\n\n```\n{error}\n```\n"
        if remember and self._shown and self._shown != path:
            self._history.append(self._shown)
        fresh = path != self._shown
        self._shown = path
        self.store.changed_documents.pop(path, None)
        same = not fresh and text == view.text
        # What has no file is no Markdown file either, and reads like one.
        await view.show_document(f"{path}.md" if path == MEMORY else path, text)
        entitle(view, path)
        toc = [(f"{i}", {"title": ("  " * (level - 1) + title, "")}) for i, (level, title) in enumerate(headings(text))]
        self.query_one("#toc", LineTable).set_rows(toc)
        if not same:
            await self._relate(path, view.links)

    async def _relate(self, path: str, names: Sequence[str]) -> None:
        """What the document names, what belongs to it, and what is like it."""
        links: Sequence[Link] = ()
        near: Sequence[str] = ()
        if self.runtime is not None and path != MEMORY:
            try:
                links = await self.runtime.documents.links(path)
                near = await self.runtime.documents.related(path)
            except MidasError:
                pass  # the document is shown; what belongs to it is not worth a message
        if path == self._shown:
            self.query_one("#related", LineTable).set_rows(
                related_rows(names, links, near, {d.path: d.title for d in self._documents})
            )
            self._share()

    def on_line_table_highlighted(self, event: LineTable.Highlighted) -> None:
        """The tree's cursor opens documents as it moves."""
        # A message may be late: only where the cursor stands now counts.
        here = event.table.id == "tree" and event.key == event.table.cursor_key and event.table.has_focus
        if here and event.key and event.key != self._shown:
            in_worker(self, partial(self._choose, event.key), "open", exclusive=True)

    async def on_line_table_opened(self, event: LineTable.Opened) -> None:
        """Enter: to the document, to a heading, or along a link."""
        key = event.key or ""
        view = self.query_one("#document", DocumentView)
        if event.table.id == "toc":
            view.jump_to(headings(view.text)[int(key)][1])
            view.focus()
        elif event.table.id == "related":
            await self._follow(key)
        else:
            await self._choose(key)
            view.focus()

    async def _choose(self, key: str) -> None:
        """A row of the tree: a document, or what a search found, at the words that were looked for."""
        if not key.startswith(FOUND) or self._found is None:
            await self._open(key)
            return
        hit = self._found[int(key.removeprefix(FOUND))]
        view = self.query_one("#document", DocumentView)
        if hit.kind == "tried":
            self._shown = ""
            await view.show_document("tried.md", f"# A form that was tried\n\n{hit.title}\n\n```\n{hit.where}\n```\n")
            entitle(view, "tried")
            self.query_one("#toc", LineTable).set_rows([])
            self.query_one("#related", LineTable).set_rows([])
            return
        record = self.store.record(hit.where) if hit.kind == "feature" else None
        await self._open(record.path if record is not None else hit.where)
        for word in self._sought.lower().split():
            if view.to_match(word, 1):
                break

    async def _follow(self, key: str) -> None:
        kind, _, target = key.partition(":")
        if kind == "feature":
            self.shell.navigator.open_card(target)
            return
        if kind == "session":
            self.shell.navigator.open_session(target)
            return
        target = target if kind == "document" else key.removeprefix("[[")
        names = (target, f"{target}.md")
        for doc in self._documents:
            if doc.path in names or doc.path.rpartition("/")[2] in names or doc.title == target:
                await self._open(doc.path)
                return
        self.shell.messages.say(f"there is no document {target}", bad=True)

    async def open_path(self, path: str) -> None:
        """Show a document from elsewhere (an alert, a session)."""
        self._asked_for, self._found = path, None
        await self._reload()
        await self._open(path)
        self.query_one("#tree", LineTable).move_to(path)

    def action_match(self, by: int) -> None:
        """In the document: the next line that holds the filter's text; in a list: the next row."""
        view = self.query_one("#document", DocumentView)
        if not view.has_focus:
            super().action_match(by)
        elif not self.needle:
            self.shell.messages.refuse("/ gives the text to look for")
        elif not view.to_match(self.needle, by):
            self.shell.messages.refuse(f"{self.needle!r} is not in this document")

    def why_not(self, action: str, parameters: tuple[object, ...]) -> str:
        """What has nothing to act on."""
        if action == "edit":
            return self.shell.link.refusal() or ("" if self._shown else "no document is shown")
        if action == "revoke":
            kept = self._shown.startswith("knowledge/learnings/") and "/revoked/" not in self._shown
            return self.shell.link.refusal() or ("" if kept else "only a learning is revoked")
        if action == "previous":
            return "" if self._history else "nothing to go back to"
        if action == "changed":
            return "" if self.store.changed_documents else "nothing changed"
        return ""

    def under_cursor(self) -> tuple[str, dict[str, Any] | None]:
        """The document's path, or its text."""
        view = self.query_one("#document", DocumentView)
        return view.path, {"path": view.path, "text": view.text} if view.path else None

    def action_toc(self) -> None:
        """Show or hide the contents."""
        self.toggle_class("toc")
        if self.has_class("toc"):
            self.query_one("#toc").focus()

    async def action_previous(self) -> None:
        """Back to the document before."""
        if self._history:
            await self._open(self._history.pop(), remember=False)

    async def action_changed(self, by: int) -> None:
        """The next or previous document that changed."""
        paths = [d.path for d in self._documents if d.path in self.store.changed_documents]
        if not paths:
            self.shell.messages.refuse("nothing changed")
            return
        place = paths.index(self._shown) if self._shown in paths else (-1 if by > 0 else 0)
        await self._open(paths[(place + by) % len(paths)])
        self._flush_tree()

    def action_link(self) -> None:
        """To the links and related documents."""
        self.add_class("toc")
        self.query_one("#related").focus()

    def action_edit(self) -> None:
        """Open the document in $EDITOR."""
        if self._shown:
            self.shell.navigator.edit_document(self._shown)

    def action_back(self) -> None:
        """Out of a search first; then as everywhere."""
        if self._found is not None and not self.query_one("#filter").has_class("open") and self.maximized is None:
            self._found = None
            self._flush_tree()
            self.query_one("#tree", LineTable).move_to(self._shown)
        else:
            super().action_back()

    def action_search(self) -> None:
        """Look for words in everything the base knows."""

        def asked(text: str | None) -> None:
            if text:
                in_worker(self, partial(self.search_for, text), "search", exclusive=True)

        note = "words, columns, operators, families of signals: learnings, features and tried forms, the nearest first"
        example = self._sought or "funding carry"
        line = LineModal("search what the base knows", example, note=note, words=WordSuggester())
        self.app.push_screen(line, asked)

    async def search_for(self, text: str) -> None:
        """Show what speaks of `text` in place of the tree."""
        if self.runtime is None:
            return
        try:
            found = await self.runtime.documents.search(text)
        except MidasError as error:
            self.shell.messages.say(str(error), bad=True)
            return
        self._found, self._sought = found, text
        self._flush_tree()
        tree = self.query_one("#tree", LineTable)
        tree.move_to(f"{FOUND}0")
        tree.focus()
        if found:
            await self._choose(f"{FOUND}0")

    def action_revoke(self) -> None:
        """Ask why, then set the learning aside."""
        why, path = self.why_not("revoke", ()), self._shown
        if why:
            self.shell.messages.say(why, bad=True)
            return

        def answered(answer: Answer | None) -> None:
            if answer is not None and answer.confirmed:
                act = partial(self.shell.link.attempt, lambda r: r.documents.revoke(path, answer.reason))
                in_worker(self, partial(self._revoke, act), "revoke", exclusive=True)

        body = [
            ("no later prompt quotes it, and no search finds it", ""),
            ("moves to knowledge/learnings/revoked, with your reason beside it", ""),
            (f"same as: midas kb revoke {path} --reason ...", "muted"),
        ]
        command = f"midas kb revoke {shlex.quote(path)} --reason ..."
        question = Question(
            "revoke this learning?", body, "Revoke", reason_label="reason", reason_required=True, command=command
        )
        self.app.push_screen(AskModal(question), answered)

    async def _revoke(self, act: Callable[[], Awaitable[bool]]) -> None:
        if await act():
            self._shown = ""
            await self._reload()
