"""Columns of the user's own that know the next bars: found by asking them.

Cutting an expression short shows what IT looks at; a column that came with the file is taken as it is. So the column
itself is tried: does it explain the bars that follow beyond what its own past and past returns do? What can be traded
explains a few hundredths of a return; a mean centred on the bar, or a line drawn back, explains most of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from midas_engine.market.doctor.report import Defect, defect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from midas_engine.market.doctor.gather import Gathered, SymbolRows

    Values = NDArray[np.float64]

AHEAD_BARS = (1, 6, 24, 48)
_FEWEST_TIMES = 25
_WIDEST = 4.0
# No feature of a market is known this well; chance alone, over all columns and spans of a file, does not reach it.
UNBELIEVABLE_Z = 6.0
UNBELIEVABLE_R = 0.15


def check_foresight(bars: Gathered, known: frozenset[str]) -> Iterator[Defect]:
    """A warning for every column that explains the bars after its own.

    Args:
        bars: Sorted rows with a close.
        known: Columns whose meaning is known; they are not tried.
    """
    every = list(bars.by_symbol())
    for column in sorted({c for rows in every for c in rows.values} - known):
        tried = [(*_explains(every, column, ahead), ahead) for ahead in AHEAD_BARS]
        z, r, ahead = max(tried, key=lambda x: abs(x[0]))
        if abs(z) > UNBELIEVABLE_Z and abs(r) > UNBELIEVABLE_R:
            yield defect(
                "knows-future",
                f"explains the next {ahead} bars with a correlation of {r:+.2f} (z {z:+.0f}) beyond past returns: no "
                "column of the past does",
                count=len(bars.frame),
                column=column,
            )


def _explains(every: list[SymbolRows], column: str, ahead: int) -> tuple[float, float]:
    """T (clustered by time) and partial correlation of a column with the return over the next bars; 0 where too few."""
    targets, inputs, times = [], [], []
    for rows in every:
        x, close = rows.values.get(column), rows.values["close"]
        if x is None or len(x) < 3 * ahead + 2:
            continue
        with np.errstate(all="ignore"):
            logs = np.log(close)
        at = np.arange(ahead, len(x) - ahead, ahead)
        past = np.stack([x[at], logs[at] - logs[at - 1], logs[at] - logs[at - ahead]], axis=1)
        target = logs[at + ahead] - logs[at]
        good = np.isfinite(past).all(axis=1) & np.isfinite(target)
        spread = np.concatenate([past[good].std(axis=0), [target[good].std()]]) if good.sum() > 2 else np.zeros(1)
        if spread[0] <= 0 or spread[-1] <= 0:
            continue
        scale = np.where(spread > 0, spread, 1.0)
        inputs.append((past[good] - past[good].mean(axis=0)) / scale[:-1])
        targets.append((target[good] - target[good].mean()) / scale[-1])
        times.append(rows.times[at[good]])
    if not targets:
        return 0.0, 0.0
    tried, y, when = np.concatenate(inputs), np.concatenate(targets), np.concatenate(times)
    tried, y = np.clip(tried, -_WIDEST, _WIDEST), np.clip(y, -_WIDEST, _WIDEST)  # one crash is no correlation
    others = tried[:, 1:]
    left = [v - others @ np.linalg.lstsq(others, v, rcond=None)[0] for v in (tried[:, 0], y)]
    size = float(np.sqrt((left[0] ** 2).sum() * (left[1] ** 2).sum()))
    moments = len(np.unique(when))
    if moments < _FEWEST_TIMES or size <= 0:
        return 0.0, 0.0
    r = float(np.clip((left[0] * left[1]).sum() / size, -0.999999, 0.999999))
    # Symbols move together: as many observations as moments, not as rows.
    return float(np.arctanh(r) * np.sqrt(moments - 3)), r
