"""How numbers are written: signed, never bare where an interval exists, never wider than asked."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size

from midas_engine.text import number as figure_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from midas_engine.models import Estimate
    from midas_tui.theme import Glyphs

NOTHING = "--"


def number(value: float, digits: int = 3, *, signed: bool = True) -> str:
    """A figure, `--` where unknown.

    Example:
        >>> number(0.0312), number(float("nan")), number(-12.0, 0)
        ('+0.031', '--', '-12')
    """
    return figure_text(value if math.isfinite(value) else None, digits, sign=signed, unknown=NOTHING)


def with_error(estimate: Estimate, digits: int = 3) -> str:
    """Value and standard error: `+0.031±.008`."""
    if not math.isfinite(estimate.value):
        return NOTHING
    if not math.isfinite(estimate.se):
        return f"{estimate.value:+z.{digits}f}±?"
    return f"{estimate.value:+z.{digits}f}±{f'{estimate.se:.{digits}f}'.removeprefix('0')}"


def days(value: float) -> str:
    """A number of days, short: `41d`."""
    if not math.isfinite(value):
        return NOTHING
    return f"{value:.0f}d" if value >= 10 else f"{value:.1f}d"


def clock_time(at: datetime | None, *, date: bool = True) -> str:
    """`01-15 08:00`, or `08:00`."""
    if at is None:
        return NOTHING
    return at.strftime("%m-%d %H:%M" if date else "%H:%M")


def cells(text: str) -> int:
    """How many terminal cells `text` takes."""
    return len(text) if text.isascii() else cell_len(text)


def pad(text: str, width: int, *, right: bool = False) -> str:
    """`text` filled with spaces to `width` cells, at its left when `right`."""
    room = " " * max(0, width - cells(text))
    return room + text if right else text + room


def elide(text: str, width: int, ellipsis: str = "…", *, end: bool = False) -> str:
    """`text` cut to `width` cells: in the middle, because names differ at both ends, or at its end.

    Example:
        >>> elide("vwap_zscore_mean_rev", 12)
        'vwap_z…n_rev'
        >>> elide("one-day contribution is low", 12, end=True)
        'one-day con…'
    """
    if cells(text) <= width:
        return text
    if width <= 1:
        return ellipsis[:width]
    if cells(text) != len(text):
        # Wide characters: set_cell_size cuts between them and fills a half one with a space.
        return set_cell_size(text, width - 1) + ellipsis
    if end:
        return text[: width - 1] + ellipsis
    left = width // 2
    right = width - 1 - left
    return text[:left] + ellipsis + (text[-right:] if right else "")


def sparkline(values: Sequence[float], width: int, glyphs: Glyphs, *, least: float = 0.0) -> str:
    """The last `width` values as one line of blocks; spaces where unknown. The scale spans at least `least`."""
    shown = list(values)[-width:]
    known = [v for v in shown if math.isfinite(v)]
    if not known:
        return " " * width
    low, high = min(known), max(known)
    if high - low < least:
        low, high = (low + high - least) / 2.0, (low + high + least) / 2.0
    span = (high - low) or 1.0
    top = len(glyphs.spark) - 1
    line = "".join(glyphs.spark[round((v - low) / span * top)] if math.isfinite(v) else " " for v in shown)
    return line.rjust(width)


def stretches(values: Sequence[float], count: int) -> list[float]:
    """The last value of each of `count` stretches, or all of them where there are fewer.

    Example:
        >>> stretches([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3), stretches([1.0], 3)
        ([2.0, 4.0, 6.0], [1.0])
    """
    shown, n = list(values), len(values)
    return [shown[(i + 1) * n // count - 1] for i in range(count)] if n > count else shown


def evidence_bar(share: float, width: int, glyphs: Glyphs) -> str:
    """A bar from 0 to its gate, which is its right end; full where the gate is reached.

    Example:
        >>> from midas_tui.theme import ASCII
        >>> evidence_bar(0.5, 10, ASCII), evidence_bar(float("nan"), 10, ASCII)
        ('[####....]', '          ')
    """
    if not math.isfinite(share):
        return " " * width
    room = width - 2
    filled = min(room, int(max(0.0, share) * room + 1e-9))
    return glyphs.open_bar + glyphs.full_block * filled + glyphs.light_block * (room - filled) + glyphs.close_bar


def dot_strip(value: float, line: float, width: int, glyphs: Glyphs) -> str:
    """Where a figure stands on a strip from 0 to one and a half times its line, which is marked.

    Example:
        >>> from midas_tui.theme import ASCII
        >>> dot_strip(3.0, 2.0, 9, ASCII), dot_strip(-1.0, 2.0, 9, ASCII)
        ('......|.#', '#.....|..')
    """
    if not (math.isfinite(value) and math.isfinite(line) and line > 0.0):
        return " " * width
    cells = [glyphs.ok] * width
    cells[min(width - 1, int(width / 1.5))] = glyphs.line_mark
    cells[max(0, min(width - 1, int(value / (1.5 * line) * width)))] = glyphs.dot
    return "".join(cells)


def kind_words(name: str) -> str:
    """The kind or the rule of an alert as people write it, as wide as its name.

    Example:
        >>> kind_words("ic_decay"), kind_words("execution_slippage")
        ('IC decay', 'execution slippage')
    """
    words = name.replace("_", " ")
    return "IC" + words[2:] if words.startswith("ic ") else words


def distance_bar(beyond: float, side: int, glyphs: Glyphs) -> str:
    """A gate with `side` cells before and after it, filled from the gate as far as a figure lies beyond or short.

    Example:
        >>> from midas_tui.theme import ASCII
        >>> [distance_bar(x, 3, ASCII) for x in (2.0, -1.4, 99.0, float("nan"))]
        ['...|##.', '..#|...', '...|###', '       ']
    """
    if math.isnan(beyond):
        return " " * (2 * side + 1)
    cells = min(side, max(1 if beyond else 0, round(min(abs(beyond), side))))
    full, free, none = glyphs.full_block * cells, glyphs.light_block * (side - cells), glyphs.light_block * side
    before, after = (none, full + free) if beyond >= 0.0 else (free + full, none)
    return before + glyphs.line_mark + after
