"""As-of alignment: at every bar's close, the newest figure that was known by then, unless it is too old."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = NDArray[np.float64]
    Times = NDArray[np.datetime64]
    Spans = NDArray[np.timedelta64]

# The usual spacing is that of so many observations before: it follows a change of interval and shrugs off a hole.
MEMORY = 9


def as_of(times: Times, values: Values, closes: Times, oldest: Spans) -> Values:
    """The value known at each close, [T].

    Args:
        times: When each value was known, ascending [N].
        values: The values [N].
        closes: Closes of the bars [T].
        oldest: The age up to which each value still describes the market [N].
    """
    if not len(times):
        return np.full(len(closes), np.nan)
    newest = np.searchsorted(times, closes, side="right") - 1
    chosen = np.maximum(newest, 0)
    fresh = (newest >= 0) & (closes - times[chosen] <= oldest[chosen])
    return np.where(fresh, values[chosen], np.nan)


def usual_spacing(times: Times, at_first: np.timedelta64) -> Spans:
    """Median of the last spacings at each observation, from it and those before it only [N].

    Args:
        times: Ascending [N].
        at_first: What counts before there are two observations.
    """
    first = np.full(min(len(times), 1), at_first.astype("timedelta64[ns]").astype(np.int64))
    if len(times) < 2:
        return first.astype("timedelta64[ns]")
    steps = np.diff(times).astype("timedelta64[ns]").astype(np.int64).astype(np.float64)
    padded = np.concatenate([np.full(MEMORY - 1, np.inf), steps])
    last = np.sort(np.lib.stride_tricks.sliding_window_view(padded, MEMORY)[: len(steps)], axis=1)
    size = np.minimum(np.arange(len(steps)) + 1, MEMORY)
    rows = np.arange(len(steps))
    median = (last[rows, (size - 1) // 2] + last[rows, size // 2]) / 2
    return np.concatenate([first, median]).astype(np.int64).astype("timedelta64[ns]")
