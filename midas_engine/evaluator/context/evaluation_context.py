"""Everything about the data that is the same for every candidate, computed once.

Forward returns are sorted, scaled and cut into folds and regimes here; a candidate then pays one sort of its
own values and a few sweeps. Rows are what is ranked along: bars of a cross-section ([T, S]) or symbols of
time series ([S, T]); see `midas_engine.stats.bar_scores`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.errors import EvaluationError
from midas_engine.evaluator.context.byte_cache import ByteCache
from midas_engine.evaluator.context.deployed import Deployed
from midas_engine.evaluator.context.horizons import Horizon, Horizons, PartReturns
from midas_engine.evaluator.context.layout import (
    codes,
    finite,
    is_cross,
    mode_name,
    ranks_over,
    row_squares,
    rows_of,
    spread_bps,
)
from midas_engine.evaluator.context.options import ScoringOptions
from midas_engine.settings import CostSettings
from midas_engine.stats._jit import Floats, Ints, owned
from midas_engine.stats.bar_scores import CROSS_MINIMUM, SERIES_MINIMUM, BarScores, combine, rank_scores
from midas_engine.stats.expanding_scores import expanding_scores, follows_returns, less_later
from midas_engine.stats.folds import split_folds
from midas_engine.stats.normal_scores import location_table, rank_table, scores_of_ranks
from midas_engine.stats.ranks import own_ranks, rank_rows
from midas_engine.stats.scale import lagged_scale

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from midas_engine.market import Panel

SECONDS_PER_YEAR = 365.0 * 86_400.0
FOLD_EMBARGO_SECONDS = 2 * 86_400.0
"""What features carry over from fold to fold is a matter of time, not of bars."""
_PLAIN = ScoringOptions()


@dataclass
class EvaluationContext:
    """What candidates are scored against. Build it with `from_panel` or `from_returns`.

    Attributes:
        timestamps: Bar open times [T], datetime64[ns], UTC.
        symbols: Names [S].
        horizons: Forward-return horizons in bars, ascending.
        target: The horizon the gates are judged on.
        bar_seconds: Length of a bar.
        costs: Trading costs.
        part: "research", "sealed", or "forward" (bars after a break): only figures of the first enter a suggestion.
        rows: Rows of the panel this part covers; None for all.
        funding: Funding a long pays over the bar that follows, fraction of notional [T, S]; None when unknown.
        regime_names: Labels; `regime_codes` [T] indexes them, -1 unknown.
        volume: Makes `dollar_volume` when it is asked for; None when it is unknown.
        snapshot_id: The data set in the trial ledger: its content hash, or its identity in a store.
        waiting: Names among the existing features that are candidates: nobody trades them yet.
        funding_known: Share of the cells whose funding is known (the rest counts as nothing), and symbols without any.
        embargo_bars: Bars left out between folds, at most a tenth of one; None: two days.
    """

    timestamps: NDArray[np.datetime64]
    symbols: tuple[str, ...]
    returns: Mapping[int, Floats]
    target: int
    bar_seconds: float
    costs: CostSettings
    scale: Floats
    cross: bool
    part: str = "research"
    rows: slice | None = None
    panel_bars: int = 0
    embargo_bars: int | None = None
    funding: Floats | None = None
    regime_names: tuple[str, ...] = ()
    regime_codes: Ints | None = None
    volume: Callable[[], Floats] | None = None
    snapshot_id: str = ""
    funding_known: tuple[float, tuple[str, ...]] = (1.0, ())
    horizon_names: dict[int, str] = field(default_factory=dict)
    waiting: frozenset[str] = frozenset()
    _existing: dict[str, Floats] = field(default_factory=dict)
    _cache: dict[str, Any] = field(default_factory=dict)
    _masked: ByteCache = field(default_factory=ByteCache)
    _mark: object = field(default_factory=object)  # tells its arrays from another context's in the same cache

    @classmethod
    def from_returns(
        cls,
        returns: Mapping[int, Floats],
        *,
        timestamps: NDArray[np.datetime64],
        symbols: Sequence[str] = ("",),
        bar_seconds: float = 3600.0,
        existing: Mapping[str, Floats] | None = None,
        regimes: Sequence[str] | NDArray[Any] | None = None,
        funding: Floats | None = None,
        options: ScoringOptions = _PLAIN,
        **more: Any,
    ) -> EvaluationContext:
        """A context over forward returns {horizon in bars: [T, S]}.

        Args:
            returns: Forward returns by horizon; the value at t is known at t + h.
            timestamps: Bar open times [T], UTC.
            symbols: Names [S].
            bar_seconds: Length of a bar.
            existing: Deployed features by name, [T, S] each.
            regimes: One label a bar.
            funding: Funding a long pays over the bar that follows, fraction of notional [T, S].
            options: Target, costs, part, embargo, mode, and where arrays are kept.
            more: Further attributes of the context.

        Raises:
            EvaluationError: No returns, shapes that differ, or a target that is not among the horizons.
        """
        if not returns:
            raise EvaluationError("there are no forward returns to score against")
        shape = (len(timestamps), len(symbols))
        arrays = returns if isinstance(returns, PartReturns) else _checked(returns, shape)
        chosen = next(iter(arrays)) if options.target is None else options.target
        if chosen not in arrays:
            raise EvaluationError(
                f"no forward return over the target of {chosen} bars", hint="horizons: " + ", ".join(map(str, arrays))
            )
        base = next(iter(arrays))
        scale = lagged_scale(arrays[base], base) if "scale" not in more else more.pop("scale")
        numbers, names = codes(regimes, shape[0])
        if (given := more.pop("dollar_volume", None)) is not None:
            more["volume"] = lambda: given
        context = cls(
            timestamps=np.asarray(timestamps).astype("datetime64[ns]"),
            symbols=tuple(symbols),
            returns=arrays,
            target=chosen,
            bar_seconds=bar_seconds,
            costs=CostSettings() if options.costs is None else options.costs,
            scale=scale,
            cross=is_cross(arrays[chosen], options.mode),
            part=options.part,
            embargo_bars=options.embargo_bars,
            waiting=options.waiting,
            _masked=ByteCache() if options.ranks is None else options.ranks,
            funding=None if funding is None else np.nan_to_num(owned(funding)),
            regime_names=names,
            regime_codes=numbers,
            **more,
        )
        context._existing = {name: context._own(values, name) for name, values in (existing or {}).items()}
        return context

    @classmethod
    def from_panel(
        cls,
        panel: Panel,
        *,
        horizons: Sequence[int] = (1, 4, 8, 24, 48),
        existing: Mapping[str, Floats] | None = None,
        regimes: Sequence[str] | NDArray[Any] | None = None,
        rows: slice | None = None,
        options: ScoringOptions = _PLAIN,
    ) -> EvaluationContext:
        """A context over a panel, or over the rows of one part of it.

        Returns never reach beyond `rows`: the last h bars of a part have no forward return there. `existing` and
        `regimes` may cover the whole panel or only the part. The whole panel says whether it is a cross-section, so
        that no part of it is judged in another mode than the rest, unless `options` name one.
        """
        from midas_engine.evaluator.context.panel_inputs import panel_inputs

        target = horizons[0] if options.target is None else options.target
        wanted = sorted({*horizons, target})
        inputs = panel_inputs(panel, wanted, rows, target)
        bars, start, stop = panel.T, inputs.start, inputs.stop
        cut = None if regimes is None else (regimes if len(regimes) == stop - start else regimes[start:stop])
        return cls.from_returns(
            inputs.returns,
            timestamps=inputs.timestamps,
            symbols=panel.symbols,
            bar_seconds=float(panel.bar_seconds),
            existing={n: rows_of(v, bars, start, stop) for n, v in (existing or {}).items()},
            regimes=cut,
            funding=inputs.funding,
            options=replace(
                options,
                target=target,
                mode=mode_name(inputs.cross if options.mode == "auto" else is_cross(inputs.scale, options.mode)),
            ),
            scale=inputs.scale,
            rows=rows,
            panel_bars=bars,
            volume=inputs.volume,
            snapshot_id=panel.identity,
            funding_known=inputs.funding_known,
            horizon_names=inputs.names,
        )

    @property
    def T(self) -> int:
        """Bars."""
        return len(self.timestamps)

    @property
    def S(self) -> int:
        """Symbols."""
        return len(self.symbols)

    @property
    def dollar_volume(self) -> Floats | None:
        """Traded notional a bar [T, S] for capacity; None when unknown."""
        return None if self.volume is None else self.volume()

    @property
    def horizons(self) -> tuple[int, ...]:
        """Horizons in bars, ascending."""
        return tuple(self.returns)

    @property
    def bars_per_year(self) -> float:
        """Bars in a year of round-the-clock trading."""
        return SECONDS_PER_YEAR / self.bar_seconds

    @property
    def hours_per_bar(self) -> float:
        """Hours in a bar."""
        return self.bar_seconds / 3600.0

    @property
    def minimum(self) -> int:
        """Known cells a row needs to be ranked."""
        return CROSS_MINIMUM if self.cross else SERIES_MINIMUM

    # Lazily computed per horizon --------------------------------------------------------------------------------

    @property
    def made(self) -> Horizons:
        """Arrays by horizon; shared with contexts that aim at another."""
        if "horizons" not in self._cache:
            self._cache["horizons"] = Horizons(self.returns, self.scale, self.funding, self.cross, self.target)
        found: Horizons = self._cache["horizons"]
        return found

    def lay(self, values: Floats) -> Floats:
        """[T, S] in the layout that is ranked."""
        return self.made.lay(values)

    def horizon(self, bars: int) -> Horizon:
        """Forward returns over `bars` with their order."""
        return self.made.horizon(bars)

    def forward(self, bars: int) -> Floats:
        """Forward returns over `bars` [T, S]."""
        return self.made.forward(bars)

    def scaled(self, bars: int) -> tuple[Floats, Ints, int]:
        """Forward returns over their lagged scale: rows, order, and how many cells could be scored."""
        return self.made.scaled(bars)

    def paid(self, bars: int) -> Floats:
        """Funding a long pays over the `bars` that follow each bar, fraction of notional [T, S]; 0 where unknown."""
        return self.made.paid(bars)

    @cached_property
    def bar_scores(self) -> Floats:
        """Location scores of the single-bar scaled returns, in ranked layout: what decay is measured against."""
        rows, order, _ = self.scaled(self.horizons[0])
        ranks, counts = own_ranks(rows, order)
        return scores_of_ranks(ranks, counts, self.minimum, location_table)

    def against(self, rows: Floats, order: Ints, key: bytes, bars: int) -> Floats:
        """One number a bar whose mean is the plain rank IC with the raw forward return over `bars`."""
        data = self.horizon(bars)
        ranks = np.empty(rows.shape, np.int32)
        counts = np.empty(rows.shape[0], np.int32)
        rank_rows(rows, order, data.rows, ranks, counts)
        others = self._masked.get((self._mark, key, bars, "raw"), lambda: ranks_over(data.rows, data.order, rows))
        return rank_scores(ranks, others, counts, self.minimum, self.cross)

    def beside(self, z: Floats, key: bytes, bars: int) -> Floats:
        """One number a bar whose mean is the correlation of `z`, as it is, with ranks of the forward return."""
        data = self.horizon(bars)
        ranks = self._masked.get((self._mark, key, bars, "raw"), lambda: ranks_over(data.rows, data.order, z))
        counts = np.count_nonzero(ranks >= 0, axis=1).astype(np.int32)
        return combine(z, scores_of_ranks(ranks, counts, self.minimum, rank_table), self.cross).u

    def score(self, rows: Floats, order: Ints, key: bytes, bars: int) -> BarScores:
        """u_t of a feature at a horizon, from scores over the joint cells; in time from those of `expanding_scores`."""
        scaled, scaled_order, _ = self.scaled(bars)
        ranks = np.empty(rows.shape, np.int32)
        counts = np.empty(rows.shape[0], np.int32)
        rank_rows(rows, order, scaled, ranks, counts)
        z_f = scores_of_ranks(ranks, counts, self.minimum)
        z_r = self._masked.get(
            (self._mark, key, bars, "scaled"),
            lambda: scores_of_ranks(ranks_over(scaled, scaled_order, rows), counts, self.minimum, location_table),
        )
        found = combine(z_f, z_r, self.cross)
        if self.cross or not follows_returns(found, bars):
            return found
        later = self._masked.get((key, bars, "later"), lambda: less_later(z_r))
        return replace(combine(expanding_scores(ranks), later, self.cross), z_f=z_f, z_r=z_r)

    def sigma_bps(self, bars: int) -> float:
        """Standard deviation of the forward return over `bars`, across symbols of a bar or in time; basis points."""
        key = f"sigma-{bars}"
        if key not in self._cache:
            self._cache[key] = spread_bps(*row_squares(self.horizon(bars).rows))
        return float(self._cache[key])

    @cached_property
    def folds(self) -> Any:
        """Purged, embargoed folds at the target horizon."""
        own = math.ceil(FOLD_EMBARGO_SECONDS / self.bar_seconds)
        return split_folds(self.T, self.target, own if self.embargo_bars is None else self.embargo_bars)

    @cached_property
    def fold_names(self) -> tuple[tuple[str, str], ...]:
        """Start and end of every fold, as text."""
        return tuple((self.when(a), self.when(b - 1)) for a, b in self.folds.spans)

    @cached_property
    def deployed(self) -> Deployed:
        """The deployed features, ranked and squared once; their values are not kept beside that."""
        built, self._existing = Deployed.build(self._existing, self), {}
        return built

    def aimed(self, target: int) -> EvaluationContext:
        """The same data with another target; what is sorted and scaled is shared, whichever was asked for first.

        Raises:
            EvaluationError: There is no forward return over so many bars, and none of one bar to make it from.
        """
        if target in (0, self.target):
            return self
        self.forward(target)
        other = replace(self, target=target)
        other.__dict__ |= {"bar_scores": self.bar_scores, "deployed": self.deployed}
        return other

    def when(self, bar: int) -> str:
        """Open time of a bar as text."""
        return str(np.datetime_as_string(self.timestamps[bar], unit="m")) if 0 <= bar < self.T else ""

    def horizon_name(self, bars: int) -> str:
        """Name of a horizon: `ret_5m`, `ret_1h`, `ret_24h`."""
        if bars not in self.horizon_names:
            seconds = bars * self.bar_seconds
            self.horizon_names[bars] = f"ret_{seconds / 3600:g}h" if seconds % 3600 == 0 else f"ret_{seconds / 60:g}m"
        return self.horizon_names[bars]

    def take(self, values: Any, name: str = "") -> Floats:
        """A candidate's values for this part, [T, S] float64 that may be written; a copy, never the caller's array."""
        return self._own(values, name)

    def _own(self, values: Any, name: str) -> Floats:
        given = np.asarray(values, dtype=np.float64)
        if self.rows is not None and given.ndim and given.shape[0] == self.panel_bars != self.T:
            start, stop, _ = self.rows.indices(self.panel_bars)
            given = given[start:stop]
        array = np.array(given, order="C", ndmin=1)  # of the part alone: a view of a copy would keep the whole
        if array.ndim == 1:
            array = array.reshape(-1, 1)
        if array.shape != (self.T, self.S):
            raise EvaluationError(
                f"feature {name or 'values'} has shape {array.shape}, the data {(self.T, self.S)}",
                hint="one row a bar and one column a symbol",
            )
        return array


def _checked(returns: Mapping[int, Floats], shape: tuple[int, int]) -> dict[int, Floats]:
    arrays = {int(h): finite(r) for h, r in sorted(returns.items())}
    for h, r in arrays.items():
        if r.shape != shape:
            raise EvaluationError(f"forward returns over {h} bars have shape {r.shape}, expected {shape}")
    return arrays
