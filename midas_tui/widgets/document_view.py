"""A Markdown document as lines: sections are rendered once, cached by width and content, in slices.

The Markdown widget mounts a widget a block: 200 kB take a minute. This shows the first screen at
once, keeps the scroll position over a reload, and re-renders only the section that changed.
"""

from __future__ import annotations

import asyncio
import re
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from textual.binding import Binding
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from midas_tui.sanitise import clean
from midas_tui.widgets.reading import in_reading_order
from midas_tui.widgets.scrolling import SCROLL_BINDINGS, ScrollKeys
from midas_tui.workers import in_worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.style import Style
    from textual.binding import BindingType

SLICE_SECONDS = 0.012
NONE_CHOSEN = "choose a document"
_HEADING = re.compile(r"^(#{1,3}) +(?! )(.*)$")
_LINK = re.compile(r"\[\[([^\[\]\n]{1,200})\]\]")
# Long sections (a table of a thousand rows) are cut at blank lines, so that one slice stays short.
_PIECE_CHARS = 6_000


def split_sections(text: str) -> list[str]:
    """Pieces of Markdown that can be rendered alone: at headings, and at blank lines of long sections."""
    pieces: list[str] = []
    current: list[str] = []
    size = 0
    fenced = False
    for line in text.split("\n"):
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        starts = not fenced and (line.startswith(("# ", "## ")) or (size > _PIECE_CHARS and not line.strip()))
        if starts and current:
            pieces.append("\n".join(current))
            current, size = [], 0
        current.append(line)
        size += len(line) + 1
    if current:
        pieces.append("\n".join(current))
    return pieces


def headings(text: str) -> list[tuple[int, str]]:
    """Level and title of every heading outside code fences."""
    found: list[tuple[int, str]] = []
    fenced = False
    for line in text.split("\n"):
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        match = None if fenced else _HEADING.match(line)
        if match:
            found.append((len(match[1]), clean(match[2], newlines=False)))
    return found


class DocumentView(ScrollKeys, ScrollView, can_focus=True):
    """Shows one document; `show_document` may be called again with changed text."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *SCROLL_BINDINGS,
        Binding("v", "unfold", "front matter", show=False, id="document.unfold"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "document--heading",
        "document--code",
        "document--muted",
        "document--changed",
    }
    DEFAULT_CSS = """
    DocumentView { height: 1fr; background: $background; overflow-x: hidden; scrollbar-size-vertical: 1; padding: 0 1; }
    DocumentView > .document--heading { color: $accent; text-style: bold; }
    DocumentView > .document--code { color: $ok; }
    DocumentView > .document--muted { color: $muted; }
    DocumentView > .document--changed { text-style: reverse; }
    """

    def __init__(self, *, empty: str = NONE_CHOSEN, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._empty = empty
        self.path = ""
        self.text = ""
        self._cache: dict[tuple[int, str], list[Strip]] = {}
        self._lines: list[Strip] = []
        self._starts: list[tuple[str, int]] = []
        self._generation = 0
        self._match = -1
        self.folded = True

    def say_when_empty(self, text: str) -> None:
        """What stands there while there is no document."""
        if text != self._empty:
            self._empty = text
            self.refresh()

    def action_unfold(self) -> None:
        """Show the front matter whole, or as one line."""
        self.folded = not self.folded
        if self.text:
            in_worker(self, partial(self._render_sections, fresh=False), "document", exclusive=True)

    async def show_document(self, path: str, text: str) -> None:
        """Render `text`; a reload of the same path keeps the scroll position."""
        fresh = path != self.path
        if not fresh and text == self.text and self._lines:
            return
        self.path, self.text, self._match = path, text, -1
        if fresh:
            self._lines = []
            self.scroll_to(y=0, animate=False, immediate=True)
        await self._render_sections(fresh=fresh)

    async def _render_sections(self, *, fresh: bool) -> None:
        """Render what is not cached. A fresh document comes slice by slice; a reload is shown once, whole."""
        self._generation += 1
        generation = self._generation
        width = max(20, self.size.width - 3)
        lines: list[Strip] = []
        starts: list[tuple[str, int]] = []
        used: dict[tuple[int, str], list[Strip]] = {}
        loop = asyncio.get_running_loop()
        began = loop.time()
        text = clean(self.text)
        if not self.path.endswith(".md"):
            text = f"```{self.path.rpartition('.')[2]}\n{text}\n```"
        # A page is read from its title; what a machine needs of it is one line between that and its first sentences.
        head, body = in_reading_order(text, fold=self.folded)
        pieces = [*([head] if head else []), *split_sections(body)]
        for piece in pieces:
            key = (width, piece)
            strips = self._cache.get(key)
            if strips is None:
                strips = self._render_piece(piece, width)
            used[key] = strips
            starts += [(title, len(lines)) for _, title in headings(piece)[:1]]
            lines.extend(strips)
            if loop.time() - began > SLICE_SECONDS:
                if fresh:
                    self._publish(lines, starts)
                await asyncio.sleep(0)
                if generation != self._generation:
                    return
                began = loop.time()
        self._cache = used
        self._publish(lines, starts)

    def _publish(self, lines: list[Strip], starts: list[tuple[str, int]]) -> None:
        self._lines, self._starts = list(lines), list(starts)
        self.virtual_size = Size(self.size.width, max(1, len(self._lines)))
        self.refresh()

    def _rich(self, name: str) -> Style:
        return self.get_component_rich_style(f"document--{name}", partial=True)

    def _render_piece(self, piece: str, width: int) -> list[Strip]:
        # Imported here: the first paint of the terminal needs no Markdown.
        from midas_tui.widgets.markdown import render_markdown

        roles = {name: self._rich(name) for name in ("heading", "code", "muted")}
        return [*render_markdown(piece, width, self.rich_style, roles), Strip.blank(width, self.rich_style)]

    def on_resize(self) -> None:
        """Wrap at the new width."""
        if self.text:
            in_worker(self, partial(self._render_sections, fresh=False), "document", exclusive=True)
        self.refresh()

    def notify_style_update(self) -> None:
        """Colours changed: render anew."""
        self._cache.clear()
        super().notify_style_update()
        if self.text and self.is_mounted:
            in_worker(self, partial(self._render_sections, fresh=False), "document", exclusive=True)

    def render_line(self, y: int) -> Strip:
        """One line."""
        width, base = self.size.width, self.rich_style
        if not self._lines:
            text = self._empty if y == 0 and not self.text else ""
            return Strip([Segment(text, base + self._rich("muted"))]).adjust_cell_length(width, base)
        index = y + self.scroll_offset.y
        if index >= len(self._lines):
            return Strip.blank(width, base)
        strip = self._lines[index].adjust_cell_length(width, base)
        return strip.apply_style(self._rich("changed")) if index == self._match else strip

    def jump_to(self, title: str) -> None:
        """Scroll to the heading `title`."""
        for name, line in self._starts:
            if name == title:
                self.scroll_to(y=line, animate=False, force=True)
                return

    def matches(self, needle: str) -> list[int]:
        """Lines that hold `needle`, whatever its case."""
        return [i for i, strip in enumerate(self._lines) if needle in strip.text.lower()] if needle else []

    def to_match(self, needle: str, by: int) -> bool:
        """Scroll to the next (or previous) line that holds `needle`, round the ends; False when none does."""
        found = self.matches(needle)
        if not found:
            return False
        here = self._match if self._match in found else self.scroll_offset.y - (by > 0)
        ahead = [y for y in found if (y > here if by > 0 else y < here)]
        self._match = (ahead or found)[0 if by > 0 else -1]
        self.scroll_to(y=max(0, self._match - self.size.height // 3), animate=False, force=True)
        self.refresh()
        return True

    @property
    def links(self) -> Sequence[str]:
        """Names in [[double brackets]], in order, each once."""
        return list(dict.fromkeys(_LINK.findall(self.text)))
