"""Times of bars: grid, gaps, mixed lengths, local clocks, bars named by their close."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.market.doctor.report import Defect, defect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from midas_engine.market.doctor.gather import Gathered, SymbolRows

    Times = NDArray[np.datetime64]
    Whole = NDArray[np.int64]

NS = 1_000_000_000
DAY = 86_400
# A stretch of this many equal steps that are not the bar's is another bar length, not a row of accidents.
STRETCH = 12


def check_times(bars: Gathered, now: Any) -> Iterator[Defect]:
    """Everything about the times of bars.

    Args:
        bars: Sorted rows.
        now: datetime64 [ns].
    """
    if bars.bar_seconds is None:
        yield defect("one-bar", "one bar does not tell its length", count=len(bars.frame))
        return
    step = bars.bar_seconds * NS
    every = list(bars.by_symbol())
    months = sum(map(_months, every))
    if months:
        yield defect("monthly-bars", "bars of months: they have no one length and are not read", count=months)
        return
    yield from _phase(every, step)
    for rows in every:
        yield from _future(rows, step, now)
        yield from _spacing(rows, step)
        yield from _local_clock(rows, step)


def _months(rows: SymbolRows) -> int:
    """How many bars, where each opens on the same day of the month after the last."""
    days = rows.times.astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    place = (days - months.astype("datetime64[D]")).astype(np.int64)
    steps = np.diff(days).astype(np.int64)
    alike = len(rows.times) > 2 and len(np.unique(place)) == 1 and len(np.unique(np.diff(months).astype(np.int64))) == 1
    return len(rows.times) if alike and len(np.unique(steps)) > 1 and steps.min() >= 28 else 0


def _future(rows: SymbolRows, step: int, now: Any) -> Iterator[Defect]:
    late = rows.times.astype(np.int64) > np.datetime64(now, "ns").astype(np.int64) + step
    if late.any():
        first = rows.times[np.argmax(late)]
        yield defect(
            "future-time",
            f"bars that open after now ({str(now)[:16]} UTC)",
            count=late.sum(),
            symbol=rows.symbol,
            first_at=first,
        )


def _phase(every: list[SymbolRows], step: int) -> Iterator[Defect]:
    """Where in the bar's length the times stand: all in one place, and that place the start of the UTC day."""
    places = np.concatenate([rows.times.astype(np.int64) % step for rows in every])
    values, counts = np.unique(places, return_counts=True)
    usual = int(values[np.argmax(counts)])
    seconds = step // NS
    if 0 < step - usual <= NS and seconds > 1:
        yield defect(
            "close-time",
            f"times stand {(step - usual) / 1e6:g} ms before the bar's end",
            count=counts.max(),
            first_at=every[0].times[0],
        )
        return
    for rows in every:
        off = rows.times.astype(np.int64) % step != usual
        if off.any():
            at = int(np.argmax(off))
            yield defect(
                "off-grid",
                f"times off the {length(step)} grid",
                count=off.sum(),
                symbol=rows.symbol,
                first_at=rows.times[at],
            )
    if usual and seconds <= DAY and DAY % seconds == 0:
        yield defect(
            "shifted-hours",
            f"bars of {length(step)} open {length(usual)} after the UTC grid",
            count=counts.max(),
            first_at=every[0].times[0],
        )


def _spacing(rows: SymbolRows, step: int) -> Iterator[Defect]:
    steps = np.asarray(np.diff(rows.times.astype(np.int64)), dtype=np.int64)
    other = steps != step
    if not other.any():
        return
    for other_step, at, count in _stretches(steps, step):
        yield defect(
            "mixed-bars",
            f"a stretch of {length(other_step)} bars among those of {length(step)}",
            count=count,
            symbol=rows.symbol,
            first_at=rows.times[at],
        )
        return
    missing = np.maximum(steps // step - 1, 0)
    if missing.any():
        largest = int(np.argmax(missing))
        yield defect(
            "gaps",
            f"missing bars in {int((missing > 0).sum())} gaps, the longest {int(missing[largest])} bars "
            f"from {str(rows.times[largest] + np.timedelta64(step, 'ns'))[:16]}",
            count=missing.sum(),
            symbol=rows.symbol,
            first_at=rows.times[int(np.argmax(missing > 0))] + np.timedelta64(step, "ns"),
        )


def _stretches(steps: Whole, step: int) -> Iterator[tuple[int, int, int]]:
    """Step, first position and length of stretches of equal steps that are not the bar's."""
    edges = np.flatnonzero(np.diff(steps)) + 1
    starts = np.concatenate([[0], edges])
    lengths = np.diff(np.concatenate([starts, [len(steps)]]))
    for start, length in zip(starts, lengths, strict=True):
        if steps[start] != step and length >= STRETCH:
            yield int(steps[start]), int(start), int(length)


def _local_clock(rows: SymbolRows, step: int) -> Iterator[Defect]:
    """Hours that a local clock skips in spring; in UTC nothing happens at them."""
    if step > 3600 * NS:
        return
    times = rows.times
    gaps = np.flatnonzero(np.diff(times.astype(np.int64)) == step + 3600 * NS)
    spring = [at for at in gaps if _skipped(times[at] + np.timedelta64(step, "ns"))]
    if len(spring) >= 2:
        yield defect(
            "local-time",
            "an hour is missing whenever clocks go forward: these are local times",
            count=len(spring),
            symbol=rows.symbol,
            first_at=times[spring[0]],
        )


def autumn_repeats(times: Times) -> int:
    """How many of these repeated times lie in an hour that local clocks show twice in autumn."""
    found = 0
    for hour in np.unique(times.astype("datetime64[h]")):
        day, clock = _day_and_hour(hour)
        europe = day == _sunday(day.year, 10, last=True) and clock in (1, 2)
        america = day == _sunday(day.year, 11, last=False) and clock == 1
        found += europe or america
    return found


def _skipped(first_missing: np.datetime64) -> bool:
    day, clock = _day_and_hour(first_missing)
    europe = day == _sunday(day.year, 3, last=True) and clock in (1, 2)
    america = day == _sunday(day.year, 3, last=False) + timedelta(days=7) and clock == 2
    return europe or america


def _day_and_hour(at: np.datetime64) -> tuple[date, int]:
    hours = int(at.astype("datetime64[h]").astype(np.int64))
    return date(1970, 1, 1) + timedelta(days=hours // 24), hours % 24


def _sunday(year: int, month: int, *, last: bool) -> date:
    if not last:
        first = date(year, month, 1)
        return first + timedelta(days=(6 - first.weekday()) % 7)
    end = date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
    return end - timedelta(days=(end.weekday() + 1) % 7)


def length(nanoseconds: int) -> str:
    """A span in the largest unit that divides it."""
    for size, unit in ((DAY, "d"), (3600, "h"), (60, "m"), (1, "s")):
        if nanoseconds % (size * NS) == 0:
            return f"{nanoseconds // (size * NS)} {unit}"
    return f"{nanoseconds / 1e6:g} ms"
