"""Without colour what is loud is reversed, a warning underlined, what is quiet dim: never by luminance alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter

if TYPE_CHECKING:
    from collections.abc import Mapping

WEIGHTS = {"crit": Style(bold=True, reverse=True), "warn": Style(underline=True), "muted": Style(dim=True)}
# Frames keep their weight: a reversed one would be a wall.
_FRAMES = frozenset(" ─│┌┐└┘╭╮╰╯━┃┏┓┗┛┄▁▂▃▄▅▆▇█▏▕▔-|+")


class WeightFilter(LineFilter):
    """Gives weight to what is drawn in the colour of a role, before the colours go.

    Args:
        colours: The theme's variables; those of `WEIGHTS` are read.
    """

    def __init__(self, colours: Mapping[str, str]) -> None:
        super().__init__()
        self._weights = {
            Color.parse(colours[role]).rich_color.triplet: weight for role, weight in WEIGHTS.items() if role in colours
        }

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The same text, with weight."""
        return [self._weighed(segment) for segment in segments]

    def _weighed(self, segment: Segment) -> Segment:
        text, style, control = segment
        colour = style.color.triplet if style is not None and style.color is not None else None
        weight = self._weights.get(colour) if colour is not None else None
        if weight is None or style is None or _FRAMES.issuperset(text):
            return segment
        return Segment(text, style + weight, control)
