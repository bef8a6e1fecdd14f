"""A line chart in braille with horizontal gates; an ASCII form for terminals without it. No numpy."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from midas_tui.formats import elide, number, pad
from midas_tui.theme import UNICODE, Glyphs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.style import Style

_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
SCALE_CELLS = 8


@dataclass(frozen=True, slots=True)
class Gate:
    """A horizontal line: where it stands, its role."""

    value: float
    role: str


def resample(values: Sequence[float], points: int) -> list[float]:
    """`values` as at most `points` of them: means of equal stretches, NaN where nothing is known.

    Example:
        >>> resample([1.0, 3.0, 5.0, 7.0], 2)
        [2.0, 6.0]
    """
    if len(values) <= points:
        return list(values)
    shown: list[float] = []
    for place in range(points):
        stretch = values[place * len(values) // points : (place + 1) * len(values) // points]
        known = [v for v in stretch if math.isfinite(v)]
        shown.append(math.fsum(known) / len(known) if known else math.nan)
    return shown


class Chart(Widget):
    """One or two series over the last bars, newest at the right, with gates and a scale.

    NaN leaves a hole. Series longer than the chart is wide are averaged, never cut: what a gate was crossed by
    stays visible.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "chart--line", "chart--second", "chart--warn", "chart--crit", "chart--muted", "chart--title",
    }  # fmt: skip
    DEFAULT_CSS = """
    Chart { height: 1fr; min-height: 4; background: $background; }
    Chart.-empty { height: 2; min-height: 2; }
    Chart > .chart--line { color: $ok; text-style: bold; }
    Chart > .chart--second { color: $accent; }
    Chart > .chart--warn { color: $warn; }
    Chart > .chart--crit { color: $crit; }
    Chart > .chart--muted { color: $muted; }
    Chart > .chart--title { color: $foreground; text-style: bold; }
    """

    def __init__(
        self, title: str, *, empty: str, glyphs: Glyphs = UNICODE, digits: int = 3, id: str | None = None
    ) -> None:
        super().__init__(id=id, classes="-empty")
        self._title, self._empty = title, empty
        self._note = ""
        self._glyphs = glyphs
        self._digits = digits
        self._series: tuple[tuple[float, ...], ...] = ()
        self._gates: tuple[Gate, ...] = ()
        self._lines: list[Strip] = []
        self._key: object = None
        self._styles: dict[str, Style] = {}

    def say_when_empty(self, text: str) -> None:
        """What stands there while there is no line."""
        if text != self._empty:
            self._empty, self._key = text, None
            self.refresh()

    def show(self, series: Sequence[Sequence[float]], gates: Sequence[Gate] = (), note: str = "") -> None:
        """Draw these series (first one on top) and gates; `note` stands beside the title."""
        news = (tuple(tuple(s) for s in series), tuple(gates), note)
        if news == (self._series, self._gates, self._note):
            return
        self._series, self._gates, self._note = news
        known = any(math.isfinite(v) for s in self._series for v in s)
        self.set_class(not known, "-empty")
        self._key = None
        self.refresh()

    def notify_style_update(self) -> None:
        """Colours changed."""
        self._key = None
        self._styles.clear()  # each is asked for a hundred times in one drawing, and takes its time
        super().notify_style_update()

    def render_line(self, y: int) -> Strip:
        """One line of the cached drawing."""
        key = (self.size.width, self.size.height)
        if self._key != key:
            self._lines = self._draw(*key)
            self._key = key
        return self._lines[y] if y < len(self._lines) else Strip.blank(self.size.width, self.rich_style)

    def _style(self, role: str) -> Style:
        """Style of a role; of the plain background when it is empty."""
        style = self._styles.get(role)
        if style is None:
            part = self.get_component_rich_style(f"chart--{role}", partial=True) if role else None
            style = self._styles[role] = self.rich_style + part
        return style

    def _text(self, parts: Sequence[tuple[str, str]], width: int) -> Strip:
        segments = [Segment(text, self._style(role)) for text, role in parts if text]
        return Strip(segments).adjust_cell_length(width, self._style(""))

    def _range(self) -> tuple[float, float]:
        known = [v for s in self._series for v in s if math.isfinite(v)]
        known += [g.value for g in self._gates if math.isfinite(g.value)]
        low, high = min(known), max(known)
        padding = (high - low) * 0.08 or abs(high) * 0.1 or 0.5
        return low - padding, high + padding

    def _draw(self, width: int, height: int) -> list[Strip]:
        note = elide(self._note, max(0, width - len(self._title) - 1), self._glyphs.ellipsis, end=True)
        lines = [self._text([(f"{self._title} ", "title"), (note, "muted")], width)]
        if self.has_class("-empty"):
            return [*lines, self._text([(f" {self._empty}"[:width], "muted")], width)]
        rows = height - 1
        plot = width - SCALE_CELLS
        if rows < 2 or plot < 4:
            return lines
        low, high = self._range()
        cells = [[(" ", "muted")] * plot for _ in range(rows)]
        for gate in self._gates:
            y = self._row(gate.value, low, high, rows)
            if y >= 0:
                cells[y] = [(self._glyphs.line, gate.role)] * plot
        for series, role in zip(reversed(self._series), ("second", "line")[-len(self._series) :], strict=False):
            self._draw_series(cells, series, low, high, role)
        gates = {self._row(g.value, low, high, rows): g for g in self._gates}
        for y, row in enumerate(cells):
            gate_here = gates.get(y)
            value = gate_here.value if gate_here else high if y == 0 else low if y == rows - 1 else None
            label = "" if value is None else number(value, self._digits)
            label = label if len(label) < SCALE_CELLS else label.replace(",", "")
            parts = [(pad(label, SCALE_CELLS - 1, right=True) + " ", gate_here.role if gate_here else "muted")]
            # One segment a run, not one a cell: it is what is written to the terminal.
            parts += [("".join(t for t, _ in run), role) for role, run in groupby(row, key=lambda cell: cell[1])]
            lines.append(self._text(parts, width))
        return lines

    @staticmethod
    def _row(value: float, low: float, high: float, rows: int) -> int:
        if not math.isfinite(value):
            return -1
        return max(0, min(rows - 1, int((high - value) / (high - low) * rows)))

    def _draw_series(
        self, cells: list[list[tuple[str, str]]], series: Sequence[float], low: float, high: float, role: str
    ) -> None:
        rows, plot = len(cells), len(cells[0])
        across, down = (1, 1) if self._glyphs.ascii else (2, 4)
        points = resample(series, plot * across)
        start = plot * across - len(points)
        dots: dict[tuple[int, int], int] = {}
        previous: int | None = None
        for i, value in enumerate(points):
            if not math.isfinite(value):
                previous = None
                continue
            x = start + i
            y = self._row(value, low, high, rows * down)
            # A jump is drawn as a vertical stroke, so that the line stays a line.
            span = range(min(previous, y), max(previous, y) + 1) if previous is not None else (y,)
            for step in span:
                place = (step // down, x // across)
                dots[place] = dots.get(place, 0) | _DOTS[step % 4 if down == 4 else 0][x % 2 if across == 2 else 0]
            previous = y
        for (row, column), bits in dots.items():
            cells[row][column] = ("*" if self._glyphs.ascii else chr(0x2800 + bits), role)
