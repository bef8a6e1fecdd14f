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
from midas_engine.evaluator.context.layout import (
    Horizon,
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
from midas_engine.stats.normal_scores import location_table, scores_of_ranks
from midas_engine.stats.ranks import own_ranks, rank_rows, sort_rows
from midas_engine.stats.scale import lagged_scale

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
        dollar_volume: Traded notional a bar [T, S] for capacity; None when unknown.
        snapshot_id: The data set in the trial ledger: its content hash, or its identity in a store.
        funding_known: Share of the cells whose funding is known (the rest counts as nothing), and symbols without any.
        embargo_bars: Bars left out between folds, at most a tenth of one; None: two days.
    """

    timestamps: NDArray[np.datetime64]
    symbols: tuple[str, ...]
    returns: dict[int, Floats]
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
    dollar_volume: Floats | None = None
    snapshot_id: str = ""
    funding_known: tuple[float, tuple[str, ...]] = (1.0, ())
    horizon_names: dict[int, str] = field(default_factory=dict)
    _horizons: dict[int, Horizon] = field(default_factory=dict)
    _scaled: dict[int, tuple[Floats, Ints, int]] = field(default_factory=dict)
    _extra: dict[int, Floats] = field(default_factory=dict)
    _existing: dict[str, Floats] = field(default_factory=dict)
    _cache: dict[str, Any] = field(default_factory=dict)
    _masked: ByteCache = field(default_factory=ByteCache)

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
            options: Target, costs, part, embargo and mode.
            more: Further attributes of the context.

        Raises:
            EvaluationError: No returns, shapes that differ, or a target that is not among the horizons.
        """
        if not returns:
            raise EvaluationError("there are no forward returns to score against")
        arrays = {int(h): finite(r) for h, r in sorted(returns.items())}
        shape = (len(timestamps), len(symbols))
        for h, r in arrays.items():
            if r.shape != shape:
                raise EvaluationError(f"forward returns over {h} bars have shape {r.shape}, expected {shape}")
        chosen = next(iter(arrays)) if options.target is None else options.target
        if chosen not in arrays:
            raise EvaluationError(
                f"no forward return over the target of {chosen} bars", hint="horizons: " + ", ".join(map(str, arrays))
            )
        base = next(iter(arrays))
        scale = lagged_scale(arrays[base], base) if "scale" not in more else more.pop("scale")
        numbers, names = codes(regimes, shape[0])
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
        inputs = panel_inputs(panel, wanted, rows)
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
            dollar_volume=inputs.dollar_volume,
            snapshot_id=panel.identity,
            funding_known=inputs.funding_known,
            horizon_names=inputs.names,
        )

    # Shapes and units -------------------------------------------------------------------------------------------

    @property
    def T(self) -> int:
        """Bars."""
        return len(self.timestamps)

    @property
    def S(self) -> int:
        """Symbols."""
        return len(self.symbols)

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

    def lay(self, values: Floats) -> Floats:
        """[T, S] in the layout that is ranked."""
        return values if self.cross else owned(values.T)

    def horizon(self, bars: int) -> Horizon:
        """Forward returns over `bars` with their order."""
        found = self._horizons.get(bars)
        if found is None:
            values = self.forward(bars)
            rows = self.lay(values)
            found = self._horizons[bars] = Horizon(bars, values, rows, sort_rows(rows))
        return found

    def _compound(self, bars: int) -> None:
        """Add a horizon from single-bar returns (an event's hold may be none of those that were given)."""
        if bars < 1 or 1 not in self.returns:
            raise EvaluationError(
                f"no forward return over {bars} bars", hint="horizons: " + ", ".join(map(str, self.horizons))
            )
        growth = np.log1p(self.returns[1])
        total = np.full(growth.shape, np.nan)
        if bars <= self.T:
            total[: self.T - bars + 1] = sum(growth[k : self.T - bars + 1 + k] for k in range(bars))
        self._extra[bars] = np.expm1(total)

    def forward(self, bars: int) -> Floats:
        """Forward returns over `bars` [T, S]."""
        if bars not in self.returns and bars not in self._extra:
            self._compound(bars)
        return self.returns[bars] if bars in self.returns else self._extra[bars]

    def scaled(self, bars: int) -> tuple[Floats, Ints, int]:
        """Forward returns over their lagged scale: rows, order, and how many cells could be scored."""
        found = self._scaled.get(bars)
        if found is None:
            with np.errstate(invalid="ignore", divide="ignore"):
                rows = self.lay(self.forward(bars) / self.scale)
            ok = ~np.isnan(rows)
            if self.cross:
                rows = np.where(ok.sum(axis=1, keepdims=True) >= CROSS_MINIMUM, rows, np.nan)
                ok = ~np.isnan(rows)
            found = self._scaled[bars] = (rows, sort_rows(rows), int(ok.sum()))
        return found

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
        others = self._masked.get((key, bars, "raw"), lambda: ranks_over(data.rows, data.order, rows))
        return rank_scores(ranks, others, counts, self.minimum, self.cross)

    def score(self, rows: Floats, order: Ints, key: bytes, bars: int) -> BarScores:
        """u_t of a feature at a horizon, from scores over the joint cells; in time from those of `expanding_scores`."""
        scaled, scaled_order, _ = self.scaled(bars)
        ranks = np.empty(rows.shape, np.int32)
        counts = np.empty(rows.shape[0], np.int32)
        rank_rows(rows, order, scaled, ranks, counts)
        z_f = scores_of_ranks(ranks, counts, self.minimum)
        z_r = self._masked.get(
            (key, bars, "scaled"),
            lambda: scores_of_ranks(ranks_over(scaled, scaled_order, rows), counts, self.minimum, location_table),
        )
        found = combine(z_f, z_r, self.cross)
        if self.cross or not follows_returns(found, bars):
            return found
        later = self._masked.get((key, bars, "later"), lambda: less_later(z_r))
        return replace(combine(expanding_scores(ranks), later, self.cross), z_f=z_f, z_r=z_r)

    def paid(self, bars: int) -> Floats:
        """Funding a long pays over the `bars` that follow each bar, fraction of notional [T, S]; 0 where unknown."""
        key = f"paid-{bars}"
        if key not in self._cache:
            total = np.zeros((self.T, self.S))
            if self.funding is not None:
                running = np.vstack([np.zeros((1, self.S)), np.cumsum(self.funding, axis=0)])
                ends = np.minimum(np.arange(self.T) + bars, self.T)
                total = running[ends] - running[: self.T]
            self._cache[key] = total
        found: Floats = self._cache[key]
        return found

    def sigma_bps(self, bars: int) -> float:
        """Standard deviation of the forward return over `bars`, across symbols of a bar or in time; basis points."""
        key = f"sigma-{bars}"
        if key not in self._cache:
            self._cache[key] = spread_bps(*row_squares(self.horizon(bars).rows))
        return float(self._cache[key])

    @cached_property
    def folds(self) -> Any:
        """Purged, embargoed folds at the target horizon."""
        embargo = self.embargo_bars
        if embargo is None:
            embargo = math.ceil(FOLD_EMBARGO_SECONDS / self.bar_seconds)
        return split_folds(self.T, self.target, embargo)

    @cached_property
    def fold_names(self) -> tuple[tuple[str, str], ...]:
        """Start and end of every fold, as text."""
        return tuple((self.when(a), self.when(b - 1)) for a, b in self.folds.spans)

    @cached_property
    def deployed(self) -> Deployed:
        """The deployed features, ranked and squared once."""
        return Deployed.build(self._existing, self)

    def aimed(self, target: int) -> EvaluationContext:
        """The same data with another target; what is sorted and scaled already is shared.

        Raises:
            EvaluationError: There is no forward return over so many bars, and none of one bar to make it from.
        """
        if target in (0, self.target):
            return self
        self.forward(target)
        other = replace(self, target=target)
        other.__dict__ |= {k: v for k, v in self.__dict__.items() if k in ("bar_scores", "deployed")}
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
        array = np.array(values, dtype=np.float64, order="C", ndmin=1)
        if array.ndim == 1:
            array = array.reshape(-1, 1)
        if self.rows is not None and array.shape[0] == self.panel_bars != self.T:
            start, stop, _ = self.rows.indices(self.panel_bars)
            array = array[start:stop]
        if array.shape != (self.T, self.S):
            raise EvaluationError(
                f"feature {name or 'values'} has shape {array.shape}, the data {(self.T, self.S)}",
                hint="one row a bar and one column a symbol",
            )
        return array
