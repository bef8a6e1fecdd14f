"""Rows that are no market any more, or no figure: cut or left empty, and told."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.market.doctor.report import Defect, defect

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from numpy.typing import NDArray

    from midas_engine.market.doctor.gather import Gathered

# A contract without one trade for half a day and to the end of its data was taken off; halts are shorter or end.
_DEAD_NS = 12 * 3_600_000_000_000
_FEWEST_DEAD = 12
# A move of three times in one bar of an hour or less, held for a day, has been a new denomination, not a market.
_NEW_UNIT = np.log(3.0)
_HELD_BARS = 24
_LONGEST_BAR = 3600
_HELD_WITHIN = np.log(2.0)


def without_dead_bars(bars: Gathered) -> tuple[Gathered, list[Defect]]:
    """The bars up to the last trade of each symbol."""
    if bars.bar_seconds is None or "volume" not in bars.frame:
        return bars, []
    found: list[Defect] = []
    keep = np.ones(len(bars.frame), dtype=bool)
    for rows, places in _symbols(bars):
        volume = rows["volume"].to_numpy(dtype=np.float64)
        close = rows["close"].to_numpy(dtype=np.float64)
        alive = ~((volume == 0) | np.isnan(volume))
        if not alive.any():
            continue
        last = int(np.flatnonzero(alive)[-1])
        dead = len(rows) - 1 - last
        if (
            dead < _FEWEST_DEAD
            or dead * bars.bar_seconds * 1_000_000_000 < _DEAD_NS
            or (close[last + 1 :] != close[-1]).any()
        ):
            continue
        times = rows["timestamp"].to_numpy()
        keep[places[last + 1 :]] = False
        found.append(
            defect(
                "delisted",
                f"no trade after the bar of {str(times[last])[:16]} UTC; flat bars without volume are cut",
                count=dead,
                symbol=str(rows["symbol"].iloc[0]),
                first_at=times[last + 1],
            )
        )
    return (replace(bars, frame=bars.frame[keep].reset_index(drop=True)), found) if found else (bars, found)


def without_new_units(bars: Gathered) -> tuple[Gathered, list[Defect]]:
    """The bars of each symbol in one denomination: of two stretches whose prices do not compare, the longer one."""
    if bars.bar_seconds is None or bars.bar_seconds > _LONGEST_BAR:
        return bars, []
    found: list[Defect] = []
    keep = np.ones(len(bars.frame), dtype=bool)
    for rows, places in _symbols(bars):
        close = rows["close"].to_numpy(dtype=np.float64)
        good = np.flatnonzero(np.isfinite(close) & (close > 0))
        cuts = [good[i] for i in _jumps(np.log(close[good]))]
        if not cuts:
            continue
        edges = [0, *cuts, len(rows)]
        stretches = list(zip(edges, edges[1:], strict=False))
        longest = max(stretches, key=lambda s: s[1] - s[0])
        times = rows["timestamp"].to_numpy()
        for start, stop in stretches:
            if (start, stop) != longest:
                keep[places[start:stop]] = False
        at = int(cuts[0])
        factor = close[at] / close[good[np.searchsorted(good, at) - 1]]
        kept = f"{str(times[longest[0]])[:16]} to {str(times[longest[1] - 1])[:16]}"
        found.append(
            defect(
                "price-jump",
                f"close moves by a factor of {factor:.3g} in one bar and stays: no return is taken across; the longer "
                f"stretch, {kept}, is kept, {len(rows) - (longest[1] - longest[0])} bars are left out",
                count=len(cuts),
                symbol=str(rows["symbol"].iloc[0]),
                column="close",
                first_at=times[at],
            )
        )
    return (replace(bars, frame=bars.frame[keep].reset_index(drop=True)), found) if found else (bars, found)


def _jumps(logs: NDArray[np.float64]) -> list[int]:
    """Places of jumps that stay: the price is near its last ones before, and near its new ones after."""
    found = []
    for at in np.flatnonzero(np.abs(np.diff(logs)) > _NEW_UNIT) + 1:
        before, after = logs[max(0, at - _HELD_BARS) : at], logs[at : at + _HELD_BARS]
        if len(before) < 2 or len(after) < 2:
            continue
        calm = all(np.abs(part - np.median(part)).max() < _HELD_WITHIN for part in (before, after))
        if calm and abs(np.median(after) - np.median(before)) > _NEW_UNIT - _HELD_WITHIN:
            found.append(int(at))
    return found


def without_zero_figures(snapshots: Gathered) -> tuple[Gathered, list[Defect]]:
    """Snapshots whose zeros between large figures are left empty: a venue's answer that had none."""
    found: list[Defect] = []
    frame = snapshots.frame.copy()
    for column in [c for c in frame.columns if c not in ("timestamp", "symbol")]:
        values = frame[column].to_numpy(dtype=np.float64, copy=True)
        for rows, places in _symbols(snapshots):
            own = values[places]
            large = np.flatnonzero(own > 0)
            if not len(large):
                continue
            zero = own == 0
            zero[: large[0]] = zero[large[-1] :] = False  # before it began and after it ended, zero may be true
            if zero.any():
                values[places[zero]] = np.nan
                found.append(
                    defect(
                        "zero-figure",
                        f"0 between figures near {np.median(own[large]):.6g}",
                        count=zero.sum(),
                        symbol=str(rows["symbol"].iloc[0]),
                        column=column,
                        first_at=rows["timestamp"].to_numpy()[int(np.argmax(zero))],
                    )
                )
        frame[column] = values
    return (replace(snapshots, frame=frame), found) if found else (snapshots, found)


def _symbols(rows: Gathered) -> Iterator[tuple[pd.DataFrame, NDArray[np.int64]]]:
    """The rows of each symbol, and where they stand."""
    for _, own in rows.frame.groupby("symbol", observed=True, sort=True):
        yield own, own.index.to_numpy()
