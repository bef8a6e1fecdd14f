"""Which features are watched: the deployed ones, or for a replay of an empty pipeline a book of classics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.dsl import FeatureEngine
from midas_engine.errors import MidasError
from midas_engine.evaluator.context.scored_as import found_across
from midas_engine.evaluator.metrics.reference_score import measure_reference, stored_reference
from midas_engine.models import FeatureState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from midas_engine.dsl import Expression
    from midas_engine.market.panel import Panel
    from midas_engine.models import FeatureRecord
    from midas_engine.settings import DslLimits
    from midas_engine.stats.sequential import Reference

# Well-known shapes of signals on perpetuals, unsigned: the sign, and whether one is shown at all, is
# measured on the history before the replay.
CLASSICS: dict[str, str] = {
    "funding_carry": "cs_zscore(ts_mean(funding_rate, 24))",
    "funding_change": "cs_zscore(delta(funding_rate, 24))",
    "reversal_1h": "cs_zscore(returns(close, 1))",
    "reversal_6h": "cs_zscore(returns(close, 6))",
    "momentum_24h": "cs_zscore(returns(close, 24))",
    "momentum_7d": "cs_zscore(returns(close, 168))",
    "volume_reversal": "cs_zscore(returns(close, 1) * ts_zscore(log(volume), 48))",
    "volume_shock": "cs_zscore(ts_zscore(log(volume), 168))",
    "range_position": "cs_zscore((close - low) / (high - low))",
    "high_proximity": "cs_zscore(close / ts_max(high, 168))",
    "low_volatility": "cs_zscore(ts_std(returns, 72))",
    "skewness": "cs_zscore(ts_skew(returns, 168))",
    "volume_price_corr": "cs_zscore(ts_corr(returns, log(volume), 72))",
    "illiquidity": "cs_zscore(log(ts_mean(abs(returns), 48) / ts_mean(volume * close, 48)))",
}
BOOK_SIZE = 8
LEAST_BOOK = 3
CACHE_BYTES = 16 * 2**20
# The least t, on the history before the replay, for a classic to be worth watching.
LEAST_T = 1.64


@dataclass(frozen=True, slots=True)
class LiveFeature:
    """One watched feature: its name, formula, values over the bars that are gone through [bars, S] and promise.

    Attributes:
        across: Its promise is that of a cross-section; None: of whatever it is watched in.
    """

    name: str
    expression: str
    values: NDArray[np.float64]
    reference: Reference | None
    shadow: bool = False
    paused: bool = False
    across: bool | None = None


def book_of_records(
    panel: Panel,
    records: Iterable[FeatureRecord],
    limits: DslLimits,
    first: int = 0,
    progress: Callable[[float], None] = lambda _: None,
) -> tuple[list[LiveFeature], dict[str, str]]:
    """The deployed and shadow features with their values, and by name why some cannot be watched.

    Values are those of the bars from `first` on; of the bars before only what the features look back is gone through,
    as live. So hundreds of features on a long history cost neither its time nor its memory. `progress` is told which
    share is done.
    """
    whole = FeatureEngine(panel, limits=limits)
    read: list[tuple[FeatureRecord, Expression]] = []
    problems: dict[str, str] = {}
    for record in records:
        try:
            read.append((record, whole.parse(record.expression)))
        except MidasError as error:
            problems[record.name] = _refused(error)
    start = max(0, first - max((e.lookback for _, e in read), default=0) - 1)
    # A cache of its own, gone with this call: the process's would hold these bars until something else takes the room.
    engine = FeatureEngine(panel.slice(start, None), limits=limits, cache_bytes=CACHE_BYTES)
    block = np.empty((len(read), panel.T - first, panel.S))
    found: list[LiveFeature] = []
    for done, (record, expression) in enumerate(read, 1):
        progress(done / len(read))
        try:
            computed = engine.values(expression)
        except MidasError as error:
            problems[record.name] = _refused(error)
            continue
        values = block[len(found)]
        values[:] = computed[first - start :]
        shadow, across = record.state is FeatureState.SHADOW, found_across(record, panel.S)
        reference = stored_reference(record)
        found.append(LiveFeature(record.name, record.expression, values, reference, shadow, record.paused, across))
    return found, problems


def _refused(error: MidasError) -> str:
    return f"cannot be computed on this data: {error.message}"


def classic_book(panel: Panel, before: int, limits: DslLimits, mode: str = "auto", first: int = 0) -> list[LiveFeature]:
    """Classics that held on the bars before row `before`, strongest first, sign chosen there; values from `first` on.

    At most eight; the three strongest when fewer held, so that a short recording shows something too.
    """
    engine = FeatureEngine(panel, limits=limits)
    ranked: list[tuple[float, LiveFeature]] = []
    for name, expression in CLASSICS.items():
        try:
            values = engine.values(expression)
        except MidasError:
            continue  # this data lacks a column, or has one symbol only: the others remain
        _, t = measure_reference(panel, values, slice(0, before), mode)
        if not np.isfinite(t):
            continue
        signed = expression if t > 0 else f"-{expression}"
        values = values if t > 0 else -values
        reference, _ = measure_reference(panel, values, slice(0, before), mode)
        ranked.append((abs(t), LiveFeature(name, signed, values[first:].copy(), reference)))
    ranked.sort(key=lambda pair: -pair[0])
    held = sum(t >= LEAST_T for t, _ in ranked)
    return [feature for _, feature in ranked[: min(BOOK_SIZE, max(held, LEAST_BOOK))]]
