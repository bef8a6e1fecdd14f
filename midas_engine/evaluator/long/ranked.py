"""Ranks of a cross-section for all bars of a history, two bytes a cell; scores come back from them exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from midas_engine.stats.normal_scores import score_table, scores_of_ranks

if TYPE_CHECKING:
    from midas_engine.stats._jit import Floats, Ints
    from midas_engine.stats.normal_scores import Table

_SMALL = 1 << 14
"""Symbols up to which a doubled rank fits into two bytes."""


class RankedBars:
    """Doubled ranks of every bar, and how many cells were ranked. Shapes: [T, S], [T].

    Args:
        bars: T.
        symbols: S.
        minimum: Known cells a bar needs to be scored.
        of: The scores they stand for: a feature's, or a return's.
    """

    def __init__(self, bars: int, symbols: int, minimum: int, of: Table = score_table) -> None:
        self._ranks = np.empty((bars, symbols), np.int16 if symbols <= _SMALL else np.int32)
        self._counts = np.empty(bars, np.int32)
        self._minimum, self._of = minimum, of

    def put(self, first: int, ranks: Ints, counts: Ints) -> None:
        """Keep the ranks of bars from `first` on."""
        self._ranks[first : first + len(ranks)] = ranks
        self._counts[first : first + len(ranks)] = counts

    def scores(self, first: int, last: int) -> Floats:
        """Scores of bars first..last, bit for bit those that the ranks gave."""
        return scores_of_ranks(
            self._ranks[first:last].astype(np.int32, copy=True),
            self._counts[first:last].copy(),
            self._minimum,
            self._of,
        )
