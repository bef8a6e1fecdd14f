"""The further walks: what needs a figure of the whole part first (a mean, a symbol's mean) or several bars together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.evaluator.long.first_look import PIECE, FirstLook
from midas_engine.evaluator.metrics.significance import ScoreFigures, clustered_figures, time_figures
from midas_engine.stats.bar_scores import ColumnSplit, combine
from midas_engine.stats.book import Book, BookWalk, join_books
from midas_engine.stats.clustered import SymbolVariances
from midas_engine.stats.decay import LaggedMeans
from midas_engine.stats.hac import hac_lag, moments
from midas_engine.stats.positions import positions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from midas_engine.evaluator.context.part_rows import PartRows
    from midas_engine.stats._jit import Floats


@dataclass(frozen=True, slots=True)
class FurtherFigures:
    """What the further walks give; see the parts of an evaluation in `midas_engine.evaluator.metrics`.

    Attributes:
        persistence: The feature's autocorrelation from one bar to the next, where the horizon asks for it.
        own: Autocorrelation at the lags of decay.
        decay: Mean score against the single bar at each lag, and how many cells are behind it.
        standing: Score of what differs between symbols for good.
        moving: Score of the rest.
        between: Squares of the symbols' means.
        total: Squares of all normal scores.
    """

    persistence: float
    score: ScoreFigures
    own: Floats
    decay: tuple[Floats, Floats]
    book: Book
    standing_net_bps: float
    standing: ScoreFigures
    moving: ScoreFigures
    between: float
    total: float


class FurtherLooks:
    """The walks over one part, each of them over ranks that are kept and returns that are read again.

    Args:
        part: What is scored.
        seen: Its first look.
        horizon: The target.
        lags: How many lags decay is measured at, and the bars between two.
        one_way_bps: Cost of a trade.
    """

    def __init__(
        self, part: PartRows, seen: FirstLook, horizon: int, lags: tuple[int, int], one_way_bps: float
    ) -> None:
        self._part, self._seen, self._horizon, self._lags = part, seen, horizon, lags
        self._one_way = one_way_bps
        self._symbols = part.panel.S
        self._scores, self._held = ColumnSplit(self._symbols), ColumnSplit(self._symbols)

    def run(self) -> FurtherFigures:
        """All of them."""
        u, horizon = self._seen.bars.u, self._horizon
        steady, own, decay, book, parts = self._second(moments(u, 0)[1])
        score = clustered_figures(time_figures(u, horizon, steady), parts)
        fixed, standing_book = self._third()
        standing, moving = time_figures(fixed, horizon, 1.0), time_figures(u - fixed, horizon, steady)
        both = self._fourth(standing.mean, moving.mean)
        return FurtherFigures(
            persistence=steady,
            score=score,
            own=own,
            decay=decay,
            book=book,
            standing_net_bps=standing_book.net_bps(self._one_way),
            standing=clustered_figures(standing, both[0]),
            moving=clustered_figures(moving, both[1]),
            between=self._scores.between,
            total=self._scores.total,
        )

    def _pieces(self) -> Iterator[tuple[int, int, Floats]]:
        """First and last bar of every piece, and the feature's normal scores on it."""
        for first in range(0, self._part.bars, PIECE):
            last = min(first + PIECE, self._part.bars)
            yield first, last, self._seen.feature.scores(first, last)
            self._part.panel.let_go()

    def _second(self, mean: float) -> tuple[float, Floats, tuple[Floats, Floats], Book, tuple[float, float, int]]:
        lags, stride = self._lags
        near = LaggedMeans(self._symbols, 2, 1)
        own, ahead = (LaggedMeans(self._symbols, lags, stride) for _ in range(2))
        paid = _Paid(self._part, self._horizon)
        books, pieces = BookWalk(self._horizon, self._symbols), []
        variances = SymbolVariances(self._symbols, mean, hac_lag(self._horizon))
        for first, last, z in self._pieces():
            after = min(last + max(own.overlap, 1), self._part.bars)
            longer = np.vstack([z, self._seen.feature.scores(last, after)])
            if lags:
                own.add(z, longer)
                ahead.add(z, self._seen.single.scores(first, after))
            if self._horizon > 1:
                near.add(z, longer[: len(z) + 1])
            variances.add(z, self._seen.target.scores(first, last))
            p = positions(z, True)
            self._scores.add(z, z)
            self._held.add(p, z)
            pieces.append(books.add(p, self._part.forward(self._horizon, first, last), paid.rows(first, last)))
        steady = float(near.found()[0][1]) if self._horizon > 1 else 0.0
        return steady, own.found()[0], ahead.found(), join_books(pieces), variances.found()

    def _third(self) -> tuple[Floats, Book]:
        """Scores of the standing part, and its book."""
        fixed, sums = np.empty(self._part.bars), np.zeros(3)
        paid = _Paid(self._part, self._horizon)
        books, pieces = BookWalk(self._horizon, self._symbols), []
        for first, last, z in self._pieces():
            constant, _ = self._scores.split(z, z)
            fixed[first:last] = combine(constant, self._seen.target.scores(first, last), True, sums).u
            p = positions(z, True)
            held, _ = self._held.split(p, z)
            held[held != held] = 0.0
            pieces.append(books.add(held, self._part.forward(self._horizon, first, last), paid.rows(first, last)))
        return fixed, join_books(pieces)

    def _fourth(self, standing: float, moving: float) -> tuple[tuple[float, float, int], tuple[float, float, int]]:
        lag, means = hac_lag(self._horizon), self._scores.means
        fixed, moves = (SymbolVariances(self._symbols, mean, lag) for mean in (standing, moving))
        for first, last, z in self._pieces():
            target = self._seen.target.scores(first, last)
            fixed.add(np.where(z == z, means, np.nan), target)
            moves.add(z - means, target)
        return fixed.found(), moves.found()


class _Paid:
    """Funding a long pays over the h bars that follow, piece after piece: differences of one running sum."""

    def __init__(self, part: PartRows, horizon: int) -> None:
        self._part, self._horizon = part, horizon
        self._so_far = np.zeros((1, part.panel.S))

    def rows(self, first: int, last: int) -> Floats:
        if not self._part.knows_funding:
            return np.zeros((last - first, self._part.panel.S))
        end = min(last + self._horizon, self._part.bars)
        running = np.cumsum(np.vstack([self._so_far, self._part.funding(first, end)]), axis=0)
        ends = np.minimum(np.arange(first, last) + self._horizon, self._part.bars) - first
        self._so_far = running[last - first : last - first + 1].copy()
        found: Floats = running[ends] - running[: last - first]
        return found
