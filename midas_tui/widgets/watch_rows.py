"""Rows of Live for what is not watched: live features that cannot be, and those that left today."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas_tui.formats import clock_time
from midas_tui.widgets.columns import REST, Row

if TYPE_CHECKING:
    from midas_tui.runtime_protocol import Left, Unwatched, WatchReport
    from midas_tui.theme import Glyphs

# More rows than this nobody reads; the last one says how many there are.
MOST_ROWS = 200


def unwatched_rows(report: WatchReport | None, needle: str, glyphs: Glyphs) -> list[tuple[str, Row]]:
    """One row for each live feature that is not watched, with the reason; many are cut, and said."""
    found = [one for one in (report.unwatched if report is not None else ()) if needle in one.name.lower()]
    rows: list[tuple[str, Row]] = [(one.name, _unwatched(one, glyphs)) for one in found[:MOST_ROWS]]
    if len(found) > MOST_ROWS:
        more = f"{len(found) - MOST_ROWS} more are not watched: midas kb check names them"
        rows.append(("", {"sign": (glyphs.stale, "warn"), REST: (more, "warn")}))
    return rows


def left_rows(report: WatchReport | None, needle: str, glyphs: Glyphs) -> list[tuple[str, Row]]:
    """One row for each feature that left the watch today."""
    found = [one for one in (report.left if report is not None else ()) if needle in one.name.lower()]
    return [(one.name, _left(one, glyphs)) for one in found[:MOST_ROWS]]


def _unwatched(one: Unwatched, glyphs: Glyphs) -> Row:
    sign, role = (glyphs.killed, "crit") if one.damaged else (glyphs.stale, "warn")
    return {"sign": (sign, role), "name": (one.name, role), REST: (f"not watched: {one.why}", role)}


def _left(one: Left, glyphs: Glyphs) -> Row:
    said = f"{one.how} {clock_time(one.at, date=False)}" + (f": {one.reason}" if one.reason else "")
    return {"sign": (glyphs.killed, "muted"), "name": (one.name, "muted"), REST: (said, "muted")}


def words_of(report: WatchReport | None, name: str) -> str:
    """What there is to say about a feature that is not watched; empty for one that is."""
    if report is None:
        return ""
    for one in report.unwatched:
        if one.name == name:
            return f"not watched: {one.why}"
    for gone in report.left:
        if gone.name == name:
            return f"{gone.how} {clock_time(gone.at)}" + (f": {gone.reason}" if gone.reason else "")
    return ""
