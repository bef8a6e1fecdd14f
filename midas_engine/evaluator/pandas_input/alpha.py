"""`AlphaEvaluator`: the original's entry point, pandas in, `EvaluationResult` out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from midas_engine.errors import EvaluationError
from midas_engine.evaluator.context.evaluation_context import EvaluationContext
from midas_engine.evaluator.context.options import ScoringOptions
from midas_engine.evaluator.gates.thresholds import validate_thresholds
from midas_engine.evaluator.metrics.evaluate import evaluate_values
from midas_engine.evaluator.pandas_input.fingerprint import frame_mark, labels_mark
from midas_engine.evaluator.pandas_input.grid import Grid, grid_of, horizon_bars
from midas_engine.evaluator.pandas_input.plausible_returns import refuse_implausible
from midas_engine.settings import CostSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from midas_engine.models import EvaluationResult

_KEEP = 2  # contexts remembered: research and sealed part of one data set


class AlphaEvaluator:
    """Scores features given as pandas objects.

    A Series indexed by timestamp is one market; indexed by (timestamp, symbol) it is a panel. Horizons, bar size
    and annualisation come from the index and the column names of the forward returns (`ret_5m`, `ret_1h`, ...).

    Args:
        existing_features: Deployed features, one column each, on the same kind of index.
        spread_cost_bps: The original's one cost number: the whole one-way cost, replacing `costs`.
        thresholds: What the six agents read; any part of `DEFAULT_THRESHOLDS`.
        horizons: Which horizons in bars to use; None uses every column.
        funding: Funding a long pays over the bar that follows, as a fraction, on the same index.
        bar_seconds: Length of a bar; None reads it off the index.
        options: Target, costs and mode; without a target the first of `horizons`, or the shortest given, is judged.

    Raises:
        SettingsError: A threshold is wrong.
    """

    def __init__(
        self,
        existing_features: pd.DataFrame | None = None,
        spread_cost_bps: float | None = None,
        *,
        thresholds: Mapping[str, Any] | None = None,
        horizons: Sequence[int] | None = None,
        funding: pd.Series[float] | None = None,
        bar_seconds: float | None = None,
        options: ScoringOptions | None = None,
    ) -> None:
        if existing_features is not None and not isinstance(existing_features, pd.DataFrame):
            raise EvaluationError(f"existing_features must be a DataFrame, not {type(existing_features).__name__}")
        self.existing_features = None if existing_features is None else existing_features.copy()
        self.options = ScoringOptions() if options is None else options
        self.costs = _costs(spread_cost_bps, self.options.costs)
        self.thresholds = validate_thresholds({} if thresholds is None else thresholds)
        self.horizons = None if horizons is None else tuple(horizons)
        self.funding = None if funding is None else funding.copy()
        self.bar_seconds = bar_seconds
        self._contexts: dict[tuple[object, ...], tuple[EvaluationContext, Grid, object]] = {}

    def evaluate(
        self,
        feature: pd.Series[Any],
        forward_returns: pd.DataFrame | pd.Series[Any],
        regime_labels: pd.Series[Any] | None = None,
    ) -> EvaluationResult:
        """Every metric of a feature.

        Args:
            feature: Values by timestamp, or by (timestamp, symbol). Never modified.
            forward_returns: One column a horizon, named after it; the value at t is known at t + h.
            regime_labels: One label a timestamp; empty or missing where unknown.

        Raises:
            EvaluationError: Not pandas, not numeric, nothing in common, or returns that are percent, prices or overlap
                more bars than their name says.
        """
        if not isinstance(feature, pd.Series):
            raise EvaluationError(f"a feature must be a pandas Series, not {type(feature).__name__}")
        context, grid = self.context(forward_returns, regime_labels)
        name = "" if feature.name is None else str(feature.name)
        return evaluate_values(grid.matrix(feature, f"feature {name}".strip()), context, name)

    def context(
        self, forward_returns: pd.DataFrame | pd.Series[Any], regime_labels: pd.Series[Any] | None = None
    ) -> tuple[EvaluationContext, Grid]:
        """The context of these returns, remembered until they change."""
        if not isinstance(forward_returns, pd.DataFrame | pd.Series):
            raise EvaluationError(
                f"forward returns must be a DataFrame or Series, not {type(forward_returns).__name__}"
            )
        _check_numeric(forward_returns)
        key = (*frame_mark(forward_returns), *labels_mark(regime_labels))
        found = self._contexts.get(key)
        if found is None:
            context, grid = self._build(forward_returns, regime_labels)
            while len(self._contexts) >= _KEEP:
                self._contexts.pop(next(iter(self._contexts)))
            # The inputs are kept alive beside the context: an id is only unique while its object lives.
            keep = (forward_returns, forward_returns.index, regime_labels, getattr(forward_returns, "columns", None))
            found = self._contexts[key] = (context, grid, keep)
        return found[0], found[1]

    def _build(
        self, forward_returns: pd.DataFrame | pd.Series[Any], regime_labels: pd.Series[Any] | None
    ) -> tuple[EvaluationContext, Grid]:
        grid = grid_of(forward_returns.index, bar_seconds=self.bar_seconds)
        columns = returns_by_horizon(forward_returns, grid.bar_seconds, self.horizons)
        returns = {h: grid.matrix(series, f"forward return {name}") for h, (name, series) in columns.items()}
        for h, values in returns.items():
            refuse_implausible(values, h, grid.bar_seconds, columns[h][0])
        existing = {}
        if self.existing_features is not None:
            for column in self.existing_features.columns:
                existing[str(column)] = grid.matrix(self.existing_features[column], f"existing feature {column}")
        target = self.options.target
        if target is None:
            target = self.horizons[0] if self.horizons else min(columns)
        context = EvaluationContext.from_returns(
            returns,
            timestamps=grid.timestamps,
            symbols=grid.symbols,
            bar_seconds=grid.bar_seconds,
            existing=existing,
            regimes=None if regime_labels is None else regimes_by_bar(regime_labels, grid),
            funding=None if self.funding is None else grid.matrix(self.funding, "funding"),
            options=replace(self.options, target=target, costs=self.costs),
            horizon_names={h: name for h, (name, _) in columns.items()},
        )
        return context, grid


def _costs(spread_cost_bps: float | None, costs: CostSettings | None) -> CostSettings:
    if spread_cost_bps is None:
        return CostSettings() if costs is None else costs
    if costs is not None:
        raise EvaluationError("give spread_cost_bps or options with costs, not both")
    if not np.isfinite(spread_cost_bps) or spread_cost_bps < 0:
        raise EvaluationError(f"spread_cost_bps must be a number of at least 0, not {spread_cost_bps!r}")
    return CostSettings(fee_bps=0.0, half_spread_bps=float(spread_cost_bps), slippage_bps=0.0)


def _check_numeric(forward_returns: pd.DataFrame | pd.Series[Any]) -> None:
    kinds = forward_returns.dtypes if isinstance(forward_returns, pd.DataFrame) else [forward_returns.dtype]
    for kind in kinds:
        if not isinstance(kind, np.dtype) or kind.kind not in "fiu":
            if pd.api.types.is_float_dtype(kind) or pd.api.types.is_integer_dtype(kind):
                continue
            raise EvaluationError(
                f"forward returns hold {kind}, not numbers", hint="convert them with pandas.to_numeric"
            )


def returns_by_horizon(
    forward_returns: pd.DataFrame | pd.Series[Any], bar_seconds: float, wanted: Sequence[int] | None = None
) -> dict[int, tuple[str, pd.Series[Any]]]:
    """Columns by horizon in bars. A single unnamed column is one bar ahead.

    Raises:
        EvaluationError: A column's name does not say its horizon, two columns share one, or a wanted one is absent.
    """
    frame = forward_returns.to_frame() if isinstance(forward_returns, pd.Series) else forward_returns
    found: dict[int, tuple[str, pd.Series[Any]]] = {}
    for position, column in enumerate(frame.columns):
        bars = horizon_bars(column, bar_seconds)
        if bars is None and len(frame.columns) == 1:
            bars = 1
        if bars is None:
            raise EvaluationError(
                f"column {column!r} of the forward returns does not name a horizon of whole bars of {bar_seconds:g} s",
                hint="name columns ret_5m, ret_1h, ret_24h, ...",
            )
        if bars in found:
            raise EvaluationError(f"columns {found[bars][0]!r} and {column!r} are both {bars} bars ahead")
        found[bars] = (str(column), frame.iloc[:, position])
    if wanted is not None:
        absent = [h for h in wanted if h not in found]
        if absent:
            raise EvaluationError(
                f"no forward return over {absent[0]} bars", hint="there are: " + ", ".join(map(str, sorted(found)))
            )
        found = {h: found[h] for h in wanted}
    return found


def regimes_by_bar(labels: pd.Series[Any], grid: Grid) -> list[str]:
    """One label a bar; a (timestamp, symbol) series gives each bar its first known label.

    Raises:
        EvaluationError: Not a series, or no timestamp in common with the returns.
    """
    if not isinstance(labels, pd.Series):
        raise EvaluationError(f"regime labels must be a pandas Series, not {type(labels).__name__}")
    known = labels[labels.notna()]
    texts = [str(x) for x in known.tolist()]
    index = known.index.get_level_values(0) if isinstance(known.index, pd.MultiIndex) else known.index
    if len(index) == 0:
        return [""] * len(grid.timestamps)
    if isinstance(index, pd.DatetimeIndex):
        stamps = (index.tz_convert("UTC").tz_localize(None) if index.tz is not None else index).to_numpy()
    else:
        origin = np.timedelta64(round(grid.bar_seconds * 1e9), "ns")
        stamps = np.datetime64("1970-01-01", "ns") + index.to_numpy() * origin
    by_time: dict[int, str] = {}
    for stamp, text in zip(stamps.astype("datetime64[ns]").astype(np.int64).tolist(), texts, strict=True):
        by_time.setdefault(stamp, text)
    out = [by_time.get(stamp, "") for stamp in grid.timestamps.astype(np.int64).tolist()]
    if not any(out):
        raise EvaluationError("regime labels share no timestamp with the forward returns")
    return out
