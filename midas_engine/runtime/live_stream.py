"""The values of the watched features, bar by bar: who can be computed, whether it fits, and what computes it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.dsl import FeatureEngine, StreamEngine, parse
from midas_engine.dsl.engine import refuse_cross_section
from midas_engine.dsl.plan import build_plan
from midas_engine.dsl.stream import CHUNK_BARS, parsed
from midas_engine.errors import FeedError, MidasError
from midas_engine.market.feeds.base import HISTORY_HOURS, MOST_HISTORY_BARS
from midas_engine.market.panel import Panel
from midas_engine.monitor.shards.plan import LARGE_LANES, cut, shards_of
from midas_engine.monitor.shards.reckoning import allowed_memory, reckon, refuse_long_windows, refuse_too_large
from midas_engine.monitor.shards.shards import Shards

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from midas_engine.dsl.expression import Expression
    from midas_engine.market.feeds import ClosedBar
    from midas_engine.models import FeatureRecord
    from midas_engine.monitor.shards.shards import ShardNews
    from midas_engine.settings import Settings

COMPACT_LANES = 20_000
"""Values a bar (features x symbols) from which windows are kept in two levels; below, memory is no concern."""


JUDGED_VALUES = 2_000_000_000
"""Values (bars x features x symbols) of a history up to which all of it is gone through: some minutes of work."""
_PIECE_BYTES = 128 * 2**20


@dataclass(frozen=True, slots=True)
class CatchUp:
    """How a history is gone through.

    Attributes:
        warm_from: The first bar that windows are filled from.
        judge_from: The first bar that is judged.
        piece: Bars whose values are computed at once.
    """

    warm_from: int
    judge_from: int
    piece: int


def catch_up(bars: int, unseen: int, lanes: int, lookback: int) -> CatchUp:
    """How to go through a history of `bars`, of which those before `unseen` were judged before.

    A large watch fills its windows from as many bars as they look back, not from all there are, and at its first start
    judges the newest bars only: what it has seen before must all be gone through, whatever it takes.

    Args:
        bars: Bars of the history.
        unseen: The first that was not judged; 0: none was.
        lanes: Features x symbols.
        lookback: Bars of past that the features need.

    Example:
        >>> catch_up(9000, 0, 10_000 * 500, 300), catch_up(9000, 0, 400 * 20, 300)
        (CatchUp(warm_from=8300, judge_from=8600, piece=3), CatchUp(warm_from=0, judge_from=0, piece=64))
    """
    piece = max(1, min(CHUNK_BARS, _PIECE_BYTES // max(1, 8 * lanes)))
    if bars * lanes <= JUDGED_VALUES:
        return CatchUp(0, unseen, piece)
    first = unseen or max(0, bars - JUDGED_VALUES // lanes)
    return CatchUp(max(0, first - lookback), first, piece)


@dataclass(frozen=True, slots=True)
class Watchable:
    """Which features can be watched on some data.

    Attributes:
        records: Those that can.
        expressions: Theirs, by name.
        problems: Why the others cannot, by name.
    """

    records: tuple[FeatureRecord, ...]
    expressions: dict[str, Expression]
    problems: dict[str, str] = field(default_factory=dict)

    @property
    def lookback(self) -> int:
        """Bars of past that all of them need."""
        return max((e.lookback for e in self.expressions.values()), default=0) + 1


def history_bars(records: Sequence[FeatureRecord], bar_seconds: int, settings: Settings) -> int:
    """Bars of history to ask a feed for: a quarter of a year, or as many as the features look back where bars are long.

    Example:
        >>> from midas_engine.models import FeatureRecord, FeatureState
        >>> from midas_engine.settings import Settings
        >>> slow = FeatureRecord("slow", "ts_mean(close, 120)", FeatureState.DEPLOYED)
        >>> history_bars([slow], 3600, Settings()), history_bars([slow], 86_400, Settings())
        (2208, 120)
    """
    limits, lookback = settings.dsl.at(bar_seconds), 0
    for record in records:
        with contextlib.suppress(MidasError):  # what cannot be read is told with the columns at hand
            lookback = max(lookback, parse(record.expression, limits=limits).lookback)
    return min(MOST_HISTORY_BARS, max(HISTORY_HOURS * 3600 // bar_seconds, lookback + 1))


def refuse_unfit(records: Sequence[FeatureRecord], panel: Panel, settings: Settings, feed: str) -> None:
    """Refuse what would be watched in vain: it cannot be computed on this data, or has no value on any bar of it.

    Raises:
        FeedError: Names the feature, why, and what the feed has.
    """
    found = watchable(records, panel, settings)
    columns = ", ".join(panel.columns)
    for name, why in found.problems.items():
        raise FeedError(f"{name} {why}", hint=f"{feed} has {columns}")
    engine = FeatureEngine(panel, limits=settings.dsl.at(panel.bar_seconds), cache_bytes=0)
    for name, expression in found.expressions.items():
        if np.isfinite(engine.values(expression)).any():
            continue
        hollow = [c for c in expression.columns if not np.isfinite(panel.values(c)).any()]
        if hollow:
            raise FeedError(
                f"{name} has no value: {feed} gives {', '.join(hollow)} without a number in any of {panel.T:,} bars",
                hint="choose a feed that fills the column",
            )
        raise FeedError(
            f"{name} has no value on any of the {panel.T:,} bars that {feed} gives: it looks back "
            f"{expression.lookback:,} bars",
            hint="shorten its windows, or choose a feed with a longer history",
        )


def watchable(records: Sequence[FeatureRecord], panel: Panel, settings: Settings) -> Watchable:
    """Read every feature as it would be computed on this data."""
    limits = settings.dsl.at(panel.bar_seconds)
    found: dict[str, Expression] = {}
    problems: dict[str, str] = {}
    for record in records:
        try:
            expression = parsed({record.name: record.expression}, tuple(panel.fields), limits)[record.name]
            if panel.S == 1:
                refuse_cross_section(expression, build_plan([expression.ast], limits.min_share))
            found[record.name] = expression
        except MidasError as error:
            problems[record.name] = f"cannot be computed on this data: {error.message}"
    return Watchable(tuple(r for r in records if r.name in found), found, problems)


def stream_of(
    expressions: Mapping[str, Expression],
    panel: Panel,
    settings: Settings,
    *,
    tell: Callable[[ShardNews], None] = lambda news: None,
    folder: Path | None = None,
) -> StreamEngine | Shards:
    """What computes them from here on; it has seen no bar yet, and no process is started before the first.

    Args:
        expressions: The features.
        panel: The data: its columns and symbols.
        settings: How many shards, and how much memory.
        tell: Told of shards that go down and come back, from any thread.
        folder: Where shards keep their states; None: where temporary files are.

    Raises:
        MonitorError: It would not fit into memory, or a large watch has too many distinct long windows.
    """
    limits, count = settings.dsl.at(panel.bar_seconds), len(expressions)
    shards = shards_of(settings.monitor.shards, count, panel.S)
    compact = shards > 0 or count * panel.S >= COMPACT_LANES
    columns, allowed = tuple(panel.fields), allowed_memory(settings.monitor.memory_mb)
    if count:
        kept = sum(column.nbytes for column in panel.fields.values())
        weight = reckon(expressions, panel.S, min_share=limits.min_share, compact=compact, history=kept)
        if shards:
            if count * panel.S >= LARGE_LANES:  # a smaller one may be cut by setting, and is none the worse for them
                refuse_long_windows(weight)
            plan = cut(weight, shards)
            refuse_too_large(weight, len(plan.rows), allowed, sum(plan.windows))
            where = None if folder is None else str(folder)
            return Shards(expressions, columns, panel.symbols, limits=limits, plan=plan, tell=tell, folder=where)
        refuse_too_large(weight, 0, allowed)
    return StreamEngine(expressions, columns, panel.symbols, limits=limits, compact=compact)


def extended(panel: Panel, bar: ClosedBar) -> Panel:
    """The panel with `bar` at its end and, once long enough, one bar less at its start."""
    drop = 1 if panel.T >= MOST_HISTORY_BARS else 0
    stamp = np.datetime64(bar.at.replace(tzinfo=None), "ns")
    none = np.full(panel.S, np.nan)
    fields = {n: np.vstack([old[drop:], bar.values.get(n, none)[None, :]]) for n, old in panel.fields.items()}
    return Panel(
        np.append(panel.timestamps[drop:], stamp), panel.symbols, fields, panel.bar_seconds, provenance=panel.provenance
    )
