"""Small array chores of the evaluation context."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.errors import EvaluationError
from midas_engine.stats.bar_scores import CROSS_MINIMUM
from midas_engine.stats.ranks import rank_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from midas_engine.market import Panel
    from midas_engine.stats._jit import Floats, Ints

_BARS_AT_ONCE = 4096
CROSS_SHARE = 0.5
"""Share of the traded bars that need 10 symbols for a panel to be scored as a cross-section."""


def compounded(single: Floats, bars: int) -> Floats:
    """Forward returns over `bars` from those over one [T, S]."""
    growth = np.log1p(single)
    total = np.full(growth.shape, np.nan)
    if bars <= len(growth):
        total[: len(growth) - bars + 1] = sum(growth[k : len(growth) - bars + 1 + k] for k in range(bars))
    found: Floats = np.expm1(total)
    return found


def ranks_over(rows: Floats, order: Ints, where: Floats) -> Ints:
    """Doubled ranks of rows over the cells where both it and `where` are known."""
    ranks = np.empty(rows.shape, np.int32)
    rank_rows(rows, order, where, ranks, np.empty(rows.shape[0], np.int32))
    return ranks


def row_squares(rows: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Squares around the mean of every row, and its known cells. Shapes: [R, N] -> [R]."""
    ok = ~np.isnan(rows)
    counts: NDArray[np.int64] = ok.sum(axis=1)
    filled = np.where(ok, rows, 0.0)
    means = filled.sum(axis=1) / np.maximum(counts, 1)
    squares: Floats = (filled * filled).sum(axis=1) - counts * means * means
    return squares, counts


def spread_bps(squares: Floats, counts: NDArray[np.int64]) -> float:
    """Standard deviation within rows, from `row_squares`; basis points."""
    return math.sqrt(max(float(squares.sum()), 0.0) / max(int(counts.sum()), 1)) * 1e4


def finite(values: Floats) -> Floats:
    """A copy [T, S] with infinities as missing."""
    array = np.array(values, dtype=np.float64, order="C")
    if array.ndim == 1:
        array = array.reshape(-1, 1)
    array[~np.isfinite(array)] = np.nan
    return array


def rows_of(values: Floats, bars: int, start: int, stop: int) -> Floats:
    """The rows of a part, whether the values cover the whole panel or only the part."""
    array = np.asarray(values, dtype=np.float64)
    return array[start:stop] if array.shape[0] == bars else array


MODES = ("auto", "time", "cross-section")
"""How a history is scored: each symbol in time, the symbols of a bar against one another, or as its width allows."""


def mode_name(cross: bool) -> str:
    """The mode in a word."""
    return MODES[2] if cross else MODES[1]


def mode_words(cross: bool) -> str:
    """The mode as it is said after "scored"."""
    return "as a cross-section" if cross else "in time"


def live_symbols(panel: Panel) -> NDArray[np.int64]:
    """Symbols with a return over the bar that follows, at each bar of a panel [T]."""
    out = np.zeros(panel.T, np.int64)
    for start in range(0, panel.T - 1, _BARS_AT_ONCE):
        stop = min(start + _BARS_AT_ONCE, panel.T - 1)
        close = panel.rows("close", start, stop + 1)
        with np.errstate(invalid="ignore", divide="ignore"):
            out[start:stop] = np.isfinite(close[1:] / close[:-1] - 1.0).sum(axis=1)
        panel.let_go()
    return out


def scored_bars(counts: NDArray[np.int64], cross: bool) -> NDArray[np.bool_]:
    """Bars on which a feature could be scored at all [T]: some symbol has a return; of a cross-section ten have.

    `counts` are the symbols with a return at each bar.
    """
    scored: NDArray[np.bool_] = counts >= (CROSS_MINIMUM if cross else 1)
    if len(scored) > 1 and not counts[-1]:
        scored[-1] = scored[-2]  # its return is not known yet; it is a bar all the same
    return scored


def is_cross(forward: Floats, mode: str = "auto") -> bool:
    """`cross_of` forward returns [T, S]."""
    return cross_of((~np.isnan(forward)).sum(axis=1), forward.shape[1], mode)


def cross_of(counts: NDArray[np.int64], symbols: int, mode: str = "auto") -> bool:
    """Whether a history is scored as a cross-section: as told, else when enough bars have ten symbols.

    Ask it of the whole history, once: a part that is asked by itself may answer otherwise.

    Args:
        counts: Symbols with a return at each bar [T].
        symbols: S.
        mode: One of `MODES`.

    Raises:
        EvaluationError: There is no such mode, or the data is too narrow for it.
    """
    if mode not in MODES:
        raise EvaluationError(f"no mode {mode!r}", hint="one of " + ", ".join(MODES))
    if mode == "cross-section" and symbols < CROSS_MINIMUM:
        raise EvaluationError(
            f"a cross-section needs {CROSS_MINIMUM} symbols, the data has {symbols}",
            hint="set evaluation.mode to auto or time, or add symbols",
        )
    if mode != "auto":
        return mode == "cross-section"
    if symbols < CROSS_MINIMUM:
        return False
    traded = counts > 0
    return bool((counts[traded] >= CROSS_MINIMUM).mean() >= CROSS_SHARE) if traded.any() else False


def codes(regimes: Sequence[str] | NDArray[Any] | None, bars: int) -> tuple[Ints | None, tuple[str, ...]]:
    """Code of every bar's label, -1 where empty, and the labels they index."""
    if regimes is None:
        return None, ()
    if len(regimes) != bars:
        raise EvaluationError(f"{len(regimes)} regime labels for {bars} bars")
    labels = [str(x) if isinstance(x, str) else "" for x in regimes]
    names = tuple(sorted({x for x in labels if x}))
    index = {name: i for i, name in enumerate(names)}
    return np.array([index.get(x, -1) for x in labels], dtype=np.int32), names
