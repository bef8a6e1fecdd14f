"""The map of a session: t of everything tried against the line, and what is left of its budget and its looks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.content import Content
from textual.widgets import Static

from midas_tui.formats import evidence_bar, number, pad
from midas_tui.theme import UNICODE, Glyphs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from midas_tui.session_view import SessionView, TrialRow

Part = tuple[str, str]
"""Text and role."""
LABEL = 8
BAR = 14
SCARCE = 0.1
_DOT = {False: "•", True: "o"}
# Lines below the dots: their axis, and what is left of trials, money, time and looks.
BELOW = 5


def map_lines(view: SessionView, width: int, height: int, glyphs: Glyphs) -> list[list[Part]]:
    """The lines that fit: dots, their axis, and what is left; two lines say all of it in short."""
    scored = _scored(view)
    low, line, high = _range(scored)
    ends = (low, line, high)
    if height <= BELOW:
        return [_dots(view, scored, ends, width, glyphs), [(_in_short(view), "muted")]][:height]
    stack = _stack(view, scored, ends, width, height - BELOW, glyphs)
    return [*stack, [(_axis(low, line, high, width), "muted")], *_left(view, glyphs)][:height]


def title(view: SessionView) -> str:
    """What the map shows, with the line."""
    line = _range(_scored(view))[1]
    against = f"t against the line {line:.2f}" if math.isfinite(line) else "t against the line"
    return f"{against}: {view.goal or view.session_id}"


def _scored(view: SessionView) -> list[TrialRow]:
    """What has a figure of its own: a repeat stands there already."""
    return [
        t
        for t in view.trials.values()
        if t.scored is not None and not t.scored.repeated and math.isfinite(t.scored.score_t)
    ]


def _range(scored: Sequence[TrialRow]) -> tuple[float, float, float]:
    """Left end, line and right end; NaN for a line that nobody told yet."""
    values = [t.scored.score_t for t in scored if t.scored is not None]
    lines = [t.scored.line_t for t in scored if t.scored is not None and math.isfinite(t.scored.line_t)]
    line = lines[-1] if lines and lines[-1] > 0.0 else math.nan
    top = 1.5 * line if math.isfinite(line) else 4.0
    return min([-1.0, *values]), line, max([top, *values])


def _place(value: float, ends: tuple[float, float, float], width: int) -> int:
    """The cell of a value; the line has a cell of its own, so that what passes is right of it."""
    low, line, high = ends
    if not math.isfinite(line):
        return min(width - 1, int((value - low) / (high - low) * width))
    gate = _gate(ends, width)
    if value < line:
        return min(gate - 1, int((value - low) / (line - low) * gate))
    return min(width - 1, gate + 1 + int((value - line) / max(high - line, 1e-9) * (width - gate - 1)))


def _gate(ends: tuple[float, float, float], width: int) -> int:
    low, line, high = ends
    return max(1, min(width - 2, round((line - low) / (high - low) * width)))


WAITS = "nothing scored yet: everything tried leaves a mark here, what passes stands right of the line"
UNREAD = "not read yet: what it tried is on its way"


def _unread(view: SessionView) -> bool:
    """Only its line in the list is known: what it tried, spent and looked at is not zero."""
    return view.earlier and view.started is None and not view.trials


@dataclass(frozen=True, slots=True)
class _Cells:
    """What stands in each cell of the strip: how many, who was saved, in which role."""

    counts: list[int]
    roles: list[str]
    saved: set[int]
    gate: int


def _cells(view: SessionView, scored: Sequence[TrialRow], ends: tuple[float, float, float], width: int) -> _Cells:
    found = _Cells([0] * width, ["muted"] * width, set(), _gate(ends, width) if math.isfinite(ends[1]) else -1)
    for trial in scored:
        assert trial.scored is not None
        cell = _place(trial.scored.score_t, ends, width)
        found.counts[cell] += 1
        found.roles[cell] = "warn" if trial.scored.score_t >= ends[1] else "muted"
        if trial.status == "accepted":
            found.saved.add(cell)
    if view.running and scored[-1].scored is not None:
        found.roles[_place(scored[-1].scored.score_t, ends, width)] = "accent"
    return found


def _dots(
    view: SessionView, scored: Sequence[TrialRow], ends: tuple[float, float, float], width: int, glyphs: Glyphs
) -> list[Part]:
    """One line: the higher a mark, the more stand there."""
    if not scored:
        words = UNREAD if _unread(view) else WAITS
        return [(words if len(words) <= width else words.partition(":")[0], "muted")]
    cells = _cells(view, scored, ends, width)
    found: list[Part] = []
    for cell, count in enumerate(cells.counts):
        if cell == cells.gate:
            found.append((glyphs.line_mark, ""))
        elif cell in cells.saved:
            found.append((glyphs.dot, "ok"))
        elif count:
            # One stands high enough to be seen.
            found.append((glyphs.spark[min(count + 1, len(glyphs.spark) - 1)], cells.roles[cell]))
        else:
            found.append((" ", ""))
    return _joined(found)


def _stack(
    view: SessionView,
    scored: Sequence[TrialRow],
    ends: tuple[float, float, float],
    width: int,
    rows: int,
    glyphs: Glyphs,
) -> list[list[Part]]:
    """Several lines: one dot on another for each that stands there, scaled down where they are too many."""
    if rows == 1 or not scored:
        return [*([[("", "")]] * (rows - 1)), _dots(view, scored, ends, width, glyphs)]
    cells = _cells(view, scored, ends, width)
    scale = max(1.0, max(cells.counts) / rows)
    found: list[list[Part]] = []
    for row in range(rows, 0, -1):
        line: list[Part] = []
        for cell, count in enumerate(cells.counts):
            if cell == cells.gate:
                line.append((glyphs.line_mark, ""))
            elif math.ceil(count / scale) >= row:
                saved = cell in cells.saved and row == 1
                line.append((glyphs.dot, "ok") if saved else (_DOT[glyphs.ascii], cells.roles[cell]))
            else:
                line.append((" ", ""))
        found.append(_joined(line))
    return found


def _joined(parts: Sequence[Part]) -> list[Part]:
    """Neighbours of one role as one."""
    found: list[Part] = []
    for text, role in parts:
        if found and found[-1][1] == role:
            found[-1] = (found[-1][0] + text, role)
        else:
            found.append((text, role))
    return found


def _axis(low: float, line: float, high: float, width: int) -> str:
    """Figures below the dots: the ends, zero and the line."""
    cells = [" "] * width
    ends = (low, line, high)
    wanted = [(0, f"t {number(low, 1)}"), (width, number(high, 1))]
    if math.isfinite(line):
        wanted.insert(0, (_gate(ends, width), f"line {line:.2f}"))
    if low < 0.0 < (line if math.isfinite(line) else high):
        wanted.append((_place(0.0, ends, width), "0"))
    for place, text in wanted:
        start = max(0, min(width - len(text), place - len(text) // 2))
        around = cells[max(0, start - 1) : start + len(text) + 1]
        if all(cell == " " for cell in around):
            cells[start : start + len(text)] = text
    return "".join(cells).rstrip()


# -- what is left ----------------------------------------------------------------------------------


def _share(left: float, whole: float) -> float:
    return max(0.0, left / whole) if whole > 0 else math.nan


def _row(label: str, share: float, words: str, glyphs: Glyphs) -> list[Part]:
    scarce = math.isfinite(share) and share <= SCARCE
    bar = evidence_bar(share, BAR, glyphs) + " " if math.isfinite(share) else ""
    return [(pad(label, LABEL), "muted"), (bar, "warn" if scarce else "ok"), (words, "warn" if scarce else "")]


def _left(view: SessionView, glyphs: Glyphs) -> list[list[Part]]:
    """A line each: trials, money with calls, time, looks. The bar is what is left of it."""
    if _unread(view):
        known = {"trials": f"{view.told} tried", "money": "unknown", "time": "unknown", "looks": "unknown"}
        return [_row(label, math.nan, words, glyphs) for label, words in known.items()]
    tried, planned = _trials(view)
    begun = view.started
    left = f"{max(0, planned - tried)} of {planned} left" if planned else f"{tried} tried"
    rows = [_row("trials", _share(planned - tried, planned), left, glyphs)]
    if begun is not None and begun.budget_usd > 0.0:
        money = _share(begun.budget_usd - view.cost_usd, begun.budget_usd)
        calls = _share(begun.budget_calls - view.calls, begun.budget_calls)
        words = f"${max(0.0, begun.budget_usd - view.cost_usd):.2f} of ${begun.budget_usd:.2f}"
        if begun.budget_calls:
            words += f", {max(0, begun.budget_calls - view.calls)} of {begun.budget_calls} calls left"
        rows.append(_row("money", min(x for x in (money, calls) if math.isfinite(x)), words, glyphs))
    elif view.cost_usd > 0.0 or view.calls:
        rows.append(_row("money", math.nan, f"${view.cost_usd:.4f} spent, {view.calls} calls", glyphs))
    else:
        rows.append(_row("money", math.nan, "no model was asked", glyphs))
    rows.append(_row("time", _time_share(view), _time_words(view), glyphs))
    rows.append(_row("looks", _look_share(view), _look_words(view), glyphs))
    return rows


def _trials(view: SessionView) -> tuple[int, int]:
    """Tried, and the most that may be."""
    scored = [t.scored.trials for t in view.trials.values() if t.scored is not None and not t.scored.repeated]
    begun = view.started
    tried = sum(t.status != "repeat" for t in view.trials.values())  # a repeat is not charged again
    return tried, (begun.planned_trials if begun is not None else 0) or max(scored, default=0)


def _time_share(view: SessionView) -> float:
    limit = view.started.budget_minutes if view.started is not None else 0.0
    return _share(limit - view.minutes, limit) if math.isfinite(view.minutes) else math.nan


def _time_words(view: SessionView) -> str:
    limit = view.started.budget_minutes if view.started is not None else 0.0
    if not math.isfinite(view.minutes):
        return "unknown"
    if limit > 0:
        return f"{max(0.0, limit - view.minutes):.1f} of {limit:g} min left"
    return f"{view.minutes:.1f} min, no limit"


def _look_share(view: SessionView) -> float:
    """The p that the next look must reach, as a share of what this session's first had to."""
    if not view.looks:
        return math.nan
    return min(1.0, _share(view.looks[-1].next_line, view.looks[0].line))


def _look_words(view: SessionView) -> str:
    if not view.looks:
        return "the sealed part was not opened"
    held = sum(look.passed for look in view.looks)
    many = "1 look" if len(view.looks) == 1 else f"{len(view.looks)} looks"
    first, newest = view.looks[0], view.looks[-1]
    return f"{many}, {held} held; next p {newest.next_line:.2g}, first {first.line:.2g}"


def _in_short(view: SessionView) -> str:
    """Everything that is left, on one line."""
    tried, planned = _trials(view)
    begun = view.started
    told = [f"{tried}/{planned} trials" if planned else f"{tried} tried"]
    if begun is not None and begun.budget_usd > 0.0:
        told.append(f"${view.cost_usd:.2f}/{begun.budget_usd:.2f}")
        told += [f"{view.calls}/{begun.budget_calls} calls"] if begun.budget_calls else []
    if math.isfinite(view.minutes):
        limit = f"/{begun.budget_minutes:g}" if begun is not None and begun.budget_minutes > 0 else ""
        told.append(f"{view.minutes:.1f}{limit} min")
    if view.looks:
        held = sum(look.passed for look in view.looks)
        told.append(f"{len(view.looks)} looks, {held} held")
    else:
        told.append("no look")
    return "  ".join(told)


NONE_YET = "no session yet: r starts one"


class TrialMap(Static):
    """The map of one session."""

    DEFAULT_CSS = "TrialMap { height: 1fr; padding: 0 1; }"

    def __init__(self, *, glyphs: Glyphs = UNICODE, id: str | None = None) -> None:
        super().__init__("", id=id, markup=False)
        self._glyphs = glyphs
        self._shown: object = None
        self._view: SessionView | None = None
        self._none = NONE_YET

    def on_resize(self) -> None:
        """As large as it is now: it is first told of a session before it has a place."""
        self.show_session(self._view, self._none)

    def show_session(self, view: SessionView | None, none: str = NONE_YET) -> None:
        """Draw a session; None draws that there is none, in the words of `none`."""
        self._view, self._none = view, none
        width, height = max(20, self.content_size.width), max(1, self.content_size.height)
        if view is None:
            lines: list[list[Part]] = [[(none, "muted")]]
        else:
            lines = map_lines(view, width, height, self._glyphs)
        if lines != self._shown:  # an update redraws the whole pane
            self._shown = lines
            told = [Content.assemble(*((text, f"${role}" if role else "") for text, role in line)) for line in lines]
            self.update(Content("\n").join(told))
