"""A line chart in braille with horizontal gates; an ASCII form for terminals without it. No numpy."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from midas_tui.formats import number
from midas_tui.theme import UNICODE, Glyphs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.style import Style

_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


@dataclass(frozen=True, slots=True)
class Gate:
    """A horizontal line: where it stands, what it is called, its role."""

    value: float
    label: str
    role: str


class Chart(Widget):
    """One or two series over the last bars, newest at the right, with gates and a scale.

    `None` or NaN leaves a hole; values outside the range are drawn at its edge.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "chart--line",
        "chart--second",
        "chart--warn",
        "chart--crit",
        "chart--muted",
        "chart--title",
    }
    DEFAULT_CSS = """
    Chart { height: 1fr; min-height: 4; background: $background; }
    Chart > .chart--line { color: $ok; text-style: bold; }
    Chart > .chart--second { color: $accent; }
    Chart > .chart--warn { color: $warn; }
    Chart > .chart--crit { color: $crit; }
    Chart > .chart--muted { color: $muted; }
    Chart > .chart--title { color: $foreground; text-style: bold; }
    """

    def __init__(self, title: str, *, glyphs: Glyphs = UNICODE, digits: int = 3, id: str | None = None) -> None:
        super().__init__(id=id)
        self._title = title
        self._note = ""
        self._glyphs = glyphs
        self._digits = digits
        self._series: tuple[tuple[float, ...], ...] = ()
        self._gates: tuple[Gate, ...] = ()
        self._lines: list[Strip] = []
        self._key: object = None

    def show(self, series: Sequence[Sequence[float]], gates: Sequence[Gate] = (), note: str = "") -> None:
        """Draw these series (first one on top) and gates; `note` stands beside the title."""
        self._series = tuple(tuple(s) for s in series)
        self._gates = tuple(gates)
        self._note = note
        self._key = None
        self.refresh()

    def notify_style_update(self) -> None:
        """Colours changed."""
        self._key = None
        super().notify_style_update()

    def render_line(self, y: int) -> Strip:
        """One line of the cached drawing."""
        key = (self.size.width, self.size.height)
        if self._key != key:
            self._lines = self._draw(*key)
            self._key = key
        return self._lines[y] if y < len(self._lines) else Strip.blank(self.size.width, self.rich_style)

    def _style(self, role: str) -> Style:
        return self.rich_style + self.get_component_rich_style(f"chart--{role}", partial=True)

    def _range(self) -> tuple[float, float]:
        known = [v for s in self._series for v in s if math.isfinite(v)]
        known += [g.value for g in self._gates if math.isfinite(g.value)]
        if not known:
            return 0.0, 1.0
        low, high = min(known), max(known)
        pad = (high - low) * 0.08 or abs(high) * 0.1 or 0.5
        return low - pad, high + pad

    def _draw(self, width: int, height: int) -> list[Strip]:
        title = f"{self._title} {self._note}"[:width].ljust(width)
        lines = [Strip([Segment(title, self._style("title"))], width)]
        rows, scale = height - 1, 8
        plot = max(4, width - scale)
        if rows < 2:
            return lines
        low, high = self._range()
        cells = [[(" ", "muted")] * plot for _ in range(rows)]
        self._draw_gates(cells, low, high)
        for series, role in zip(reversed(self._series), ("second", "line")[-len(self._series) :], strict=False):
            self._draw_series(cells, series, low, high, role)
        for y, row in enumerate(cells):
            label = ""
            if y in (0, rows - 1):
                label = number(high if y == 0 else low, self._digits)
            gate = next((g for g in self._gates if self._row(g.value, low, high, rows) == y), None)
            if gate is not None:
                label = number(gate.value, 2, signed=False)
            segments = [Segment(label.rjust(scale - 1)[: scale - 1] + " ", self._style(gate.role if gate else "muted"))]
            segments += [Segment(text, self._style(role)) for text, role in row]
            lines.append(Strip(segments).adjust_cell_length(width, self.rich_style))
        return lines

    @staticmethod
    def _row(value: float, low: float, high: float, rows: int) -> int:
        if not math.isfinite(value):
            return -1
        return max(0, min(rows - 1, int((high - value) / (high - low) * rows)))

    def _draw_gates(self, cells: list[list[tuple[str, str]]], low: float, high: float) -> None:
        for gate in self._gates:
            y = self._row(gate.value, low, high, len(cells))
            if y >= 0:
                cells[y] = [(self._glyphs.line, gate.role)] * len(cells[y])

    def _draw_series(
        self, cells: list[list[tuple[str, str]]], series: Sequence[float], low: float, high: float, role: str
    ) -> None:
        rows, plot = len(cells), len(cells[0])
        across, down = (1, 1) if self._glyphs.ascii else (2, 4)
        points = list(series)[-plot * across :]
        start = plot * across - len(points)
        dots: dict[tuple[int, int], int] = {}
        previous: int | None = None
        for i, value in enumerate(points):
            if not math.isfinite(value):
                previous = None
                continue
            x = start + i
            y = max(0, min(rows * down - 1, int((high - value) / (high - low) * rows * down)))
            # A jump is drawn as a vertical stroke, so that the line stays a line.
            span = range(min(previous, y), max(previous, y) + 1) if previous is not None else (y,)
            for step in span:
                place = (step // down, x // across)
                dots[place] = dots.get(place, 0) | _DOTS[step % 4 if down == 4 else 0][x % 2 if across == 2 else 0]
            previous = y
        for (row, column), bits in dots.items():
            cells[row][column] = ("*" if self._glyphs.ascii else chr(0x2800 + bits), role)
