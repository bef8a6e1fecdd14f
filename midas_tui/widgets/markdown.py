"""Markdown to lines: headings at the left, code in one role, no hyperlinks, no colours of anyone else's theme."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markdown import CodeBlock, Heading, Markdown
from rich.padding import Padding
from rich.segment import Segment
from rich.text import Text
from rich.theme import Theme
from textual.strip import Strip

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import ConsoleOptions, RenderResult
    from rich.style import Style


class PlainHeading(Heading):
    """A heading where the eye starts to read."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The text, in its style."""
        text = self.text
        text.justify = "left"
        yield text


class PlainCode(CodeBlock):
    """Code without a highlighter: its colours would not be ours, and it is slow."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The text, set in by two."""
        yield Padding(Text(str(self.text).rstrip(), style="markdown.code_block"), (0, 0, 0, 2))


class PlainMarkdown(Markdown):
    """Markdown with the two elements above."""

    elements = {
        **Markdown.elements,
        "heading_open": PlainHeading,
        "fence": PlainCode,
        "code_block": PlainCode,
    }


def render_markdown(text: str, width: int, base: Style, roles: Mapping[str, Style]) -> list[Strip]:
    """Lines of `text`, `width` cells wide, in the roles heading, code and muted."""
    heading, code, muted = roles["heading"], roles["code"], roles["muted"]
    theme = Theme(
        {
            **{f"markdown.h{level}": heading for level in range(1, 7)},
            "markdown.code": code,
            "markdown.code_block": code,
            "markdown.item.bullet": muted,
            "markdown.hr": muted,
            "markdown.block_quote": muted,
        }
    )
    console = Console(width=width, force_terminal=True, color_system="truecolor", theme=theme, legacy_windows=False)
    # No hyperlinks: a link is text here, and only [[names]] are followed, inside the base.
    rendered = console.render_lines(PlainMarkdown(text, hyperlinks=False), console.options, pad=False, style=base)
    return [Strip([Segment(s.text, _shown(s.style, base)) for s in line]) for line in rendered]


def _shown(style: Style | None, base: Style) -> Style:
    shown = base + style if style else base
    return shown.without_color + base if shown.link else shown
