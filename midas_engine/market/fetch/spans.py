"""Which bars are missing, and in which requests they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Stamps = NDArray[np.int64]


def lacking(begin: int, end: int, step: int, there: Stamps) -> Stamps:
    """Open times (ms) from `begin` to before `end` that are not among `there`.

    Example:
        >>> lacking(0, 50, 10, np.array([10, 30])).tolist()
        [0, 20, 40]
    """
    whole = np.arange(begin, max(begin, end), step, dtype=np.int64)
    return np.asarray(np.setdiff1d(whole, there, assume_unique=False), dtype=np.int64)


def windows(missing: Stamps, step: int, page: int) -> list[tuple[int, int]]:
    """Spans [begin, end) of at most `page` bars that hold every missing bar, with as few requests as that takes.

    Example:
        >>> windows(np.array([0, 20, 40, 90]), 10, 4)
        [(0, 30), (40, 50), (90, 100)]
    """
    found: list[tuple[int, int]] = []
    i = 0
    while i < len(missing):
        begin = int(missing[i])
        j = int(np.searchsorted(missing, begin + page * step))
        found.append((begin, int(missing[j - 1]) + step))
        i = j
    return found


def stretches(missing: Stamps, step: int) -> list[tuple[int, int, int]]:
    """(first, last, bars) of each run of missing bars.

    Example:
        >>> stretches(np.array([0, 10, 40]), 10)
        [(0, 10, 2), (40, 40, 1)]
    """
    if not len(missing):
        return []
    cuts = np.flatnonzero(np.diff(missing) != step) + 1
    return [(int(run[0]), int(run[-1]), len(run)) for run in np.split(missing, cuts)]
