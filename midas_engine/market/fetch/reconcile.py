"""Live bars against the venue's final ones: what the live path saw, and where the venue says otherwise now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.errors import DataFormatError
from midas_engine.market.store.segment_file import read_segment
from midas_engine.market.venues.base import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from midas_engine.market.store import MarketStore
    from midas_engine.market.store.manifest import Series


@dataclass(frozen=True, slots=True)
class Difference:
    """One column that differs.

    Attributes:
        column: Which.
        bars: In how many bars of a symbol.
        lacked: How many of them were unknown live.
        symbol: Of the first one.
        at: Its open time, UTC, as text.
        live: What the live path saw; NaN: unknown.
        final: What the venue says now.
        largest: The largest difference as a share of the final figure; NaN where none was known.
    """

    column: str
    bars: int
    lacked: int
    symbol: str
    at: str
    live: float
    final: float
    largest: float


@dataclass(frozen=True, slots=True)
class Reconciled:
    """Live bars against final ones.

    Attributes:
        bars: Bars of a symbol that were compared.
        differing: How many of them differ in any column.
        first: The earliest difference, in the usual order of the columns; None where all are equal.
        columns: By column, in the order of their first difference.
        unanswered: Live bars that the venue has no bar for now.
        not_recorded: Columns that the venue gives and no live bar has.
    """

    bars: int
    differing: int
    first: Difference | None
    columns: tuple[Difference, ...]
    unanswered: int
    not_recorded: tuple[str, ...] = ()


def recorded(store: MarketStore, key: str) -> dict[str, pd.DataFrame]:
    """What the live feed wrote down of a series, as it first was: symbol -> figures by UTC open time.

    Raises:
        DataFormatError: No live bar of it was ever kept.
    """
    series = store.manifest().series.get(key)
    live = [
        segment
        for segment in (series.segments() if series is not None else ())
        if any(o.how == "recorded" for note in segment.columns.values() for o in note.origins)
    ]
    if series is None or not live:
        raise DataFormatError(
            f"the store {store.path} holds no live bar of {key}",
            hint="`midas monitor --data live:EXCHANGE` keeps what comes, where the setting `store` is not empty",
        )
    found: dict[str, list[pd.DataFrame]] = {}
    for segment in live:
        rows = read_segment(store.path, segment)
        for code, symbol in enumerate(rows.symbols):
            mine = rows.codes == code
            found.setdefault(symbol, []).append(
                _frame(rows.seconds[mine], {c: v[mine] for c, v in rows.columns.items()})
            )
    return _as_first_said(store, series, found)


def _frame(seconds: Any, columns: Mapping[str, Any]) -> pd.DataFrame:
    import pandas as pd

    index = pd.DatetimeIndex(seconds.astype("datetime64[s]").astype("datetime64[ns]"), name="timestamp")
    return pd.DataFrame(dict(columns), index=index.tz_localize("UTC"))


def _as_first_said(
    store: MarketStore, series: Series, found: Mapping[str, list[pd.DataFrame]]
) -> dict[str, pd.DataFrame]:
    """With the figures that were restated since put back."""
    import pandas as pd
    import pyarrow.parquet as pq

    frames = {symbol: pd.concat(parts).sort_index() for symbol, parts in found.items()}
    for entry in series.revisions:
        table = pq.read_table(store.path / str(entry["file"])).to_pandas()
        before = table.sort_values("revision", ascending=False)  # the oldest is put back last
        for row in before.itertuples():
            frame = frames.get(str(row.symbol))
            at = pd.Timestamp(str(row.timestamp))
            at = at.tz_localize("UTC") if at.tzinfo is None else at
            if frame is not None and at in frame.index and row.column in frame.columns:
                frame.loc[at, str(row.column)] = float(str(row.old))
    return frames


def compare(live: Mapping[str, pd.DataFrame], final: Mapping[str, pd.DataFrame]) -> Reconciled:
    """Every live bar against the venue's, in the columns that both have."""
    bars = differing = unanswered = 0
    kept = {str(c) for frame in live.values() for c in frame.columns}
    given = {str(c) for frame in final.values() for c in frame.columns}
    found: dict[str, list[tuple[Any, int, str, float, float]]] = {}
    for symbol, frame in live.items():
        other = final.get(symbol)
        both = frame.index if other is None else frame.index.intersection(other.index)
        unanswered += len(frame) - (len(both) if other is not None else 0)
        if other is None or not len(both):
            continue
        odd = np.zeros(len(both), dtype=bool)
        for place, column in enumerate(c for c in COLUMNS if c in kept and c in other.columns):
            theirs = other.loc[both, column].to_numpy(dtype=np.float64)
            empty = np.full(len(both), np.nan)
            ours = frame.loc[both, column].to_numpy(dtype=np.float64) if column in frame.columns else empty
            apart = ~np.isnan(theirs) & (ours != theirs)  # unknown live is a difference, unknown now is none
            odd |= apart
            rows = found.setdefault(column, [])
            for i in np.flatnonzero(apart).tolist():
                rows.append((both[i], place, symbol, float(ours[i]), float(theirs[i])))
        bars, differing = bars + len(both), differing + int(odd.sum())
    ordered = sorted((min(rows)[:3], column) for column, rows in found.items() if rows)
    columns = tuple(_difference(column, found[column]) for _, column in ordered)
    lacking = tuple(c for c in COLUMNS if c in given - kept)
    return Reconciled(bars, differing, columns[0] if columns else None, columns, unanswered, lacking)


def _difference(column: str, rows: list[tuple[Any, int, str, float, float]]) -> Difference:
    at, _, symbol, ours, theirs = min(rows, key=lambda row: row[:3])
    shares = [abs(live - final) / abs(final) for *_, live, final in rows if live == live and final]
    lacked = sum(live != live for *_, live, _ in rows)
    return Difference(column, len(rows), lacked, symbol, str(at)[:16], ours, theirs, max(shares, default=float("nan")))
