"""Money over time: equity net of costs, drawdown, regime and what happened, on one axis with a cursor."""

from __future__ import annotations

import math
from itertools import groupby
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message

from midas_tui.formats import clock_time, number, pad
from midas_tui.widgets.chart import SCALE_CELLS, Chart, Gate

if TYPE_CHECKING:
    from datetime import datetime

    from textual import events
    from textual.strip import Strip

    from midas_tui.runtime_protocol import Timeline
    from midas_tui.theme import Glyphs

# Rows below the equity: drawdown, regime, what happened, when.
BELOW = 4
FAST_CELLS = 10
# Between the words of the first line and the legend at its end.
LEGEND_SPACE = 6
SIGNS = {"kill": "K", "alert": "A", "diagnosis": "D", "promotion": "P", "demotion": "d", "warning": "w"}
ROLES = {"kill": "crit", "alert": "crit", "warning": "warn", "diagnosis": "second", "promotion": "line"}
LOUDEST = tuple(SIGNS)
NO_BAR = "no bar was scored yet"


class TimeAxis(Chart, can_focus=True, inherit_bindings=False):
    """Everything of the book, or of a feature, over the bars that are kept; a cursor goes to any of them.

    Messages:
        Moved: The cursor stands on a moment; None when it came back to now.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "step(-1)", "earlier", show=False, id="time.earlier"),
        Binding("right,l", "step(1)", "later", show=False, id="time.later"),
        Binding("shift+left,H", f"step(-{FAST_CELLS})", "much earlier", show=False, id="time.much_earlier"),
        Binding("shift+right,L", f"step({FAST_CELLS})", "much later", show=False, id="time.much_later"),
        Binding("home", "edge", "first moment", show=False, id="time.first"),
        Binding("end,G", "now", "now", show=False, id="time.now"),
        Binding("j,down", "event(1)", "next thing that happened", show=False, id="time.next_event"),
        Binding("k,up", "event(-1)", "thing before it", show=False, id="time.previous_event"),
    ]
    DEFAULT_CSS = "TimeAxis { min-height: 8; }"

    class Moved(Message):
        """The cursor was moved to `at`, or back to now."""

        def __init__(self, at: datetime | None) -> None:
            super().__init__()
            self.at = at

    def __init__(self, *, glyphs: Glyphs, id: str | None = None, classes: str | None = None) -> None:
        super().__init__("", empty="loading ...", glyphs=glyphs, digits=0, id=id)
        if classes:
            self.add_class(*classes.split())
        self._time: Timeline | None = None
        self.cursor: int | None = None

    def show_time(self, found: Timeline | None) -> None:
        """Draw this; the cursor stays on its moment while that is kept."""
        old = self._time
        if found is old:
            return
        if self.cursor is not None and old is not None:
            at = old.at[self.cursor]
            self.cursor = found.at.index(at) if found is not None and at in found.at else None
        self._time = found
        if found is None or not found.at:
            self.show(((),), (), "")
        else:
            self.show((found.net_bps,), (Gate(0.0, "muted"),), self._words(found))
        self._key = None
        self.refresh()

    def _words(self, found: Timeline) -> str:
        known = [v for v in found.net_bps if math.isfinite(v)]
        if not known:
            return ""
        place = self.cursor if self.cursor is not None else len(found.at) - 1
        net, fallen = found.net_bps[place], found.drawdown_bps[place]
        at = clock_time(found.at[place])
        when = f"at {at}" if self.cursor is not None else f"in {self._days(found):.0f} days to {at}"
        words = f"{number(net, 0)} bps {when}, {_below(fallen)}"
        here = self._events_at(place) if self.cursor is not None else []
        return f"{words}   {'; '.join(here)}" if here else f"{words}, {number(self._deepest(found), 0)} at worst"

    @staticmethod
    def _deepest(found: Timeline) -> float:
        return min((v for v in found.drawdown_bps if math.isfinite(v)), default=math.nan)

    def legend(self) -> tuple[str, str]:
        """What the shades of the regimes are, and the letters of what happened: those that are drawn."""
        found, glyphs = self._time, self._glyphs
        if found is None:
            return "", ""
        shades = {"LOW_VOL": glyphs.light_block, "MID_VOL": glyphs.alert_block, "HIGH_VOL": glyphs.full_block}
        there = [f"{shade} {name}" for name, shade in shades.items() if name in found.regimes]
        kinds = {mark.kind for mark in found.marks}
        return "  ".join(there), "  ".join(f"{sign} {kind}" for kind, sign in SIGNS.items() if kind in kinds)

    @staticmethod
    def _days(found: Timeline) -> float:
        known = [at for at, net in zip(found.at, found.net_bps, strict=True) if math.isfinite(net)]
        return (known[-1] - known[0]).total_seconds() / 86_400 if known else 0.0

    def _events_at(self, place: int) -> list[str]:
        """What happened in the cursor's cell."""
        if self._time is None:
            return []
        cell = self._cell(place)
        told = [f"{m.kind} {m.feature}: {m.text}" for m in self._time.marks if self._cell(self._place(m.at)) == cell]
        return told[-2:]

    def heading(self, whole: str) -> str:
        """The pane's title: whose money it is, and what the shades of the regimes are where there is room."""
        words, shades = f"{whole}, on paper, net of costs", self.legend()[0]
        longer = f"{words}   regime {shades}"
        return longer if shades and len(longer) + 4 <= self.size.width else words

    # -- the axis: bars to cells and back ---------------------------------------------------------

    def _grid(self) -> tuple[int, int, int, int]:
        """Cells, dots a cell, points drawn, dots left free at the left: as the chart draws its series."""
        plot = max(1, self.size.width - SCALE_CELLS)
        across = 1 if self._glyphs.ascii else 2
        bars = len(self._time.at) if self._time is not None else 0
        points = min(bars, plot * across)
        return plot, across, points, plot * across - points

    def _cell(self, place: int) -> int:
        _, across, points, start = self._grid()
        bars = len(self._time.at) if self._time is not None else 0
        return (start + (place * points // bars if bars else 0)) // across

    def bar_at(self, cell: int) -> int:
        """Index of the last bar drawn in a cell of the plot."""
        _, across, points, start = self._grid()
        return _last_bar(cell, across, points, start, len(self._time.at) if self._time is not None else 0)

    def _place(self, at: datetime) -> int:
        from bisect import bisect_right

        return max(0, bisect_right(self._time.at, at) - 1) if self._time is not None else 0

    # -- drawing ----------------------------------------------------------------------------------

    def _draw(self, width: int, height: int) -> list[Strip]:
        if self.has_class("-empty") or self._time is None or height < BELOW + 3:
            return super()._draw(width, height)
        lines = super()._draw(width, height - BELOW)
        letters = self.legend()[1]
        if letters and len(self._note) + len(letters) + LEGEND_SPACE <= width:
            room = width - len(self._note) - 2
            lines[0] = self._text([(f" {self._note}{pad(letters, room, right=True)} ", "muted")], width)
        for row in (self._drawdown(), self._regimes(), self._marks(), self._times()):
            label, cells = row
            parts = [(pad(label, SCALE_CELLS - 1, right=True) + " ", "muted")]
            parts += [("".join(t for t, _ in run), role) for role, run in groupby(cells, key=lambda cell: cell[1])]
            lines.append(self._text(parts, width))
        return [lines[0], *(self._with_cursor(line, width) for line in lines[1:])] if self.cursor is not None else lines

    def _with_cursor(self, line: Strip, width: int) -> Strip:
        from rich.segment import Segment
        from rich.style import Style
        from textual.strip import Strip as Line

        x = SCALE_CELLS + self._cell(self.cursor or 0)
        before, here, after = line.crop(0, x), line.crop(x, x + 1), line.crop(x + 1, width)
        marked = [Segment(s.text, (s.style or Style.null()) + Style(reverse=True)) for s in here]
        return Line([*before, *marked, *after]).adjust_cell_length(width, self._style(""))

    def _drawdown(self) -> tuple[str, list[tuple[str, str]]]:
        found, plot = self._time, self._grid()[0]
        cells = [(" ", "muted")] * plot
        if found is None:
            return "", cells
        deepest = self._deepest(found)
        top = len(self._glyphs.spark) - 1
        for cell, bars in enumerate(self._stretches()):
            known = [v for v in (found.drawdown_bps[b] for b in bars) if math.isfinite(v)]
            if known and deepest < 0.0 and min(known) < 0.0:
                depth = min(known) / deepest
                cells[cell] = (self._glyphs.spark[round(depth * top)], "warn" if depth > 0.5 else "muted")
        return "dd", cells

    def _stretches(self) -> list[range]:
        """The bars drawn in each cell of the plot."""
        plot, across, points, start = self._grid()
        bars = len(self._time.at) if self._time is not None else 0
        lasts = [_last_bar(cell, across, points, start, bars) for cell in range(plot)]
        return [
            range(0) if (cell + 1) * across <= start else range(min(lasts[cell - 1] + 1 if cell else 0, last), last + 1)
            for cell, last in enumerate(lasts)
        ]

    def _regimes(self) -> tuple[str, list[tuple[str, str]]]:
        found, plot = self._time, self._grid()[0]
        cells = [(" ", "muted")] * plot
        glyphs = self._glyphs
        drawn = {"LOW_VOL": (glyphs.light_block, "muted"), "MID_VOL": (glyphs.alert_block, "muted"),
                 "HIGH_VOL": (glyphs.full_block, "warn")}  # fmt: skip
        for cell, bars in enumerate(self._stretches()):
            if found is not None and bars:
                cells[cell] = drawn.get(found.regimes[bars[-1]], (" ", "muted"))
        return "regime" if found is not None and any(found.regimes) else "", cells

    def _marks(self) -> tuple[str, list[tuple[str, str]]]:
        plot = self._grid()[0]
        cells = [(" ", "muted")] * plot
        held: dict[int, int] = {}
        for mark in self._time.marks if self._time is not None else ():
            cell, rank = self._cell(self._place(mark.at)), LOUDEST.index(mark.kind)
            if 0 <= cell < plot and rank <= held.get(cell, len(LOUDEST)):
                held[cell] = rank
                cells[cell] = (SIGNS[mark.kind], ROLES.get(mark.kind, "muted"))
        return "events", cells

    def _times(self) -> tuple[str, list[tuple[str, str]]]:
        found, plot = self._time, self._grid()[0]
        text = [" "] * plot
        if found is not None:
            stretches = self._stretches()
            step = 16
            for cell in range(0, plot - 11, step):
                if stretches[cell]:
                    text[cell : cell + 5] = list(clock_time(found.at[stretches[cell][0]])[:5])
            text[plot - 5 :] = list(clock_time(found.at[-1])[:5]) if found.at else [" "] * 5
        return "", [(c, "muted") for c in text]

    # -- moving -----------------------------------------------------------------------------------

    def action_step(self, by: int) -> None:
        """Move the cursor by cells; past the last it is now."""
        plot = self._grid()[0]
        cell = self._cell(self.cursor) if self.cursor is not None else plot
        self._go(cell + by)

    def action_edge(self) -> None:
        """The first bar."""
        self._stand(0)

    def action_now(self) -> None:
        """Back to now."""
        self._stand(None)

    def action_event(self, by: int) -> None:
        """The next thing that happened, or the one before."""
        if self._time is None:
            return
        places = sorted({self._place(m.at) for m in self._time.marks if m.kind != "warning"})
        here = self.cursor if self.cursor is not None else len(self._time.at)
        later = [p for p in places if p > here]
        before = [p for p in places if p < here]
        if by > 0:
            self._stand(later[0] if later else None)
        elif before:
            self._stand(before[-1])

    def _go(self, cell: int) -> None:
        plot, across, _, start = self._grid()
        if cell >= plot:
            self._stand(None)
        else:
            self._stand(self.bar_at(max(cell, start // across)))

    def _stand(self, place: int | None) -> None:
        if self._time is None or not self._time.at or place == self.cursor:
            return
        self.cursor = place
        self._note = self._words(self._time)
        self._key = None
        self.refresh()
        self.post_message(self.Moved(self._time.at[place] if place is not None else None))

    @property
    def moment(self) -> datetime | None:
        """Where the cursor stands; None: now."""
        return self._time.at[self.cursor] if self._time is not None and self.cursor is not None else None

    def release(self) -> None:
        """Back to now without telling anybody."""
        if self.cursor is not None:
            self.cursor = None
            if self._time is not None and self._time.at:
                self._note = self._words(self._time)
            self._key = None
            self.refresh()

    def on_click(self, event: events.Click) -> None:
        """The moment that was clicked."""
        place = event.get_content_offset(self)
        if place is not None and place.x >= SCALE_CELLS:
            self._go(place.x - SCALE_CELLS)


def _below(fallen: float) -> str:
    """How far it is below its best."""
    return "at its best" if fallen == 0.0 else f"drawdown {number(fallen, 0)}"


def _last_bar(cell: int, across: int, points: int, start: int, bars: int) -> int:
    """Index of the last of `bars` that is drawn in a cell."""
    point = max(0, min(points - 1, cell * across + across - 1 - start))
    return max(0, min(bars - 1, -(-((point + 1) * bars) // points) - 1)) if points else 0
