"""Rows of many files as one sorted table without copies; what had to be mended on the way is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.market.doctor.report import Defect, defect

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from midas_engine.market.raw_rows import Part

    Times = NDArray[np.datetime64]

SECOND = np.timedelta64(1, "s")
HOUR = np.timedelta64(3600, "s")
# Two files that say the same bar round it differently in the last digit.
SAME = 1e-7
_STEPS_TO_BE_SURE = 8
_OWN = ("timestamp", "symbol", "close_time", "_part", "_row")
# Exchanges stamp a settlement when they have written it, some milliseconds to seconds after the full hour it is for.
_SETTLEMENT_DELAY = np.timedelta64(60, "s")


@dataclass(frozen=True, slots=True)
class SymbolRows:
    """One symbol's rows, ascending in time, one a time.

    Attributes:
        symbol: Its name.
        times: Open times (or instants) [N].
        values: Column -> float64 [N].
    """

    symbol: str
    times: Times
    values: dict[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Gathered:
    """Rows of one kind from all files.

    Attributes:
        frame: `timestamp`, `symbol` and value columns, sorted by symbol and time, one row each.
        defects: Disorder, copies and conflicts.
        bar_seconds: The most common spacing within a symbol; None below two rows.
    """

    frame: pd.DataFrame
    defects: tuple[Defect, ...]
    bar_seconds: int | None

    def by_symbol(self) -> Iterator[SymbolRows]:
        """The rows of each symbol."""
        columns = value_columns(self.frame)
        for name, rows in self.frame.groupby("symbol", observed=True, sort=True):
            yield SymbolRows(
                str(name), rows["timestamp"].to_numpy(), {c: rows[c].to_numpy(dtype=np.float64) for c in columns}
            )


def value_columns(frame: pd.DataFrame) -> list[str]:
    """The columns that hold figures."""
    return [c for c in frame.columns if c not in _OWN]


def gather(parts: Sequence[Part], kinds: Iterable[str], now: Any) -> Gathered | None:
    """The rows of some kinds; None when there are none.

    Args:
        parts: Files as read.
        kinds: Which of them.
        now: datetime64 [ns]; a bar that was not over then, or when its file was written, is left out.
    """
    import pandas as pd

    wanted = set(kinds)
    chosen = [(i, p) for i, p in enumerate(parts) if p.kind in wanted]
    if not chosen:
        return None
    frames = [p.frame.assign(_part=i, _row=np.arange(1, len(p.frame) + 1)) for i, p in chosen]
    frame = pd.concat(frames, ignore_index=True)
    frame["symbol"] = pd.Categorical(frame["symbol"].astype(object))
    frame = frame[frame["timestamp"].notna() & (frame["symbol"] != "")].reset_index(drop=True)
    if wanted == {"funding"}:
        late = frame["timestamp"] - frame["timestamp"].dt.floor("h")
        settled = frame["timestamp"].dt.floor("h")
        frame["timestamp"] = frame["timestamp"].where(late >= _SETTLEMENT_DELAY, settled)
    found = list(_disorder(frame, parts))
    order = np.lexsort((frame["timestamp"].to_numpy(), frame["symbol"].cat.codes.to_numpy()))
    frame = frame.iloc[order].reset_index(drop=True)
    said = {p.bar_seconds for _, p in chosen if p.bar_seconds is not None}
    bar = said.pop() if len(said) == 1 else spacing(frame)
    if wanted & {"bars", "mark", "index", "premium"} and bar is not None:
        frame = _finished(frame, parts, bar, now, found)
    frame = _without_partial(frame, parts, found)
    frame = _single(frame, parts, found)
    return Gathered(frame.drop(columns=["_part", "_row"]), tuple(found), bar)


def place(parts: Sequence[Part], frame: pd.DataFrame, at: int) -> str:
    """File and row of a row."""
    row = frame.iloc[at]
    return f"{parts[int(row['_part'])].source} row {int(row['_row'])}"


def _disorder(frame: pd.DataFrame, parts: Sequence[Part]) -> Iterator[Defect]:
    step = frame.groupby(["_part", "symbol"], observed=True, sort=False)["timestamp"].diff()
    back = (step < np.timedelta64(0, "ns")).to_numpy()
    for name, rows in frame[back].groupby("symbol", observed=True):
        at = int(rows.index[0])
        # An exchange that answers newest first is in order, the other way round.
        yield defect(
            "disorder",
            "rows earlier than the row before them",
            count=len(rows),
            symbol=str(name),
            first_at=frame["timestamp"].iloc[at],
            place=place(parts, frame, at),
        )


def spacing(frame: pd.DataFrame, *, sure: bool = False) -> int | None:
    """The most common step between neighbouring times of a symbol, in seconds; None where no symbol has two.

    Args:
        frame: Rows in any order.
        sure: None, too, where it is not the step of most rows: a file full of holes does not tell its bar length.
    """
    codes = frame["symbol"].cat.codes.to_numpy()
    times = frame["timestamp"].to_numpy()
    order = np.lexsort((times, codes))
    steps = np.diff(times[order])
    steps = steps[(np.diff(codes[order]) == 0) & (steps > np.timedelta64(0, "ns"))]
    if not steps.size:
        return None
    seconds, counts = np.unique(steps // SECOND, return_counts=True)
    if sure and (len(steps) < _STEPS_TO_BE_SURE or 2 * counts.max() <= len(steps)):
        return None
    return max(1, int(seconds[np.argmax(counts)].astype(np.int64)))


def _finished(frame: pd.DataFrame, parts: Sequence[Part], bar: int, now: Any, found: list[Defect]) -> pd.DataFrame:
    """Without last bars that were not over when their file was written, or are not over now."""
    opens = frame["timestamp"].to_numpy()
    closes = opens + bar * SECOND
    written = np.array([np.inf if p.written_ns is None else p.written_ns for p in parts])[frame["_part"].to_numpy()]
    # A bar that opened after that instant was not unfinished; it is impossible, and another check says so.
    open_then = (closes.astype(np.int64) > written) & (opens.astype(np.int64) <= written)
    open_then |= (closes > now) & (opens <= now)
    # Only a file's newest bar can have been cut short: an older date on the file itself says nothing of the others.
    newest = frame.groupby(["_part", "symbol"], observed=True)["timestamp"].transform("max") == frame["timestamp"]
    cut = open_then & newest.to_numpy()
    for name, rows in frame[cut].groupby("symbol", observed=True):
        at = int(rows.index[0])
        found.append(
            defect(
                "unfinished",
                "its bar was not over yet",
                count=len(rows),
                symbol=str(name),
                first_at=frame["timestamp"].iloc[at],
                place=place(parts, frame, at),
            )
        )
    finished: pd.DataFrame = frame[~cut].reset_index(drop=True)
    return finished


def _without_partial(frame: pd.DataFrame, parts: Sequence[Part], found: list[Defect]) -> pd.DataFrame:
    """Without a file's newest row where another file has that time too and goes on: the bar was not over then."""
    shared = frame.duplicated(["symbol", "timestamp"], keep=False)
    if not shared.any():
        return frame
    ends = frame.groupby(["_part", "symbol"], observed=True)["timestamp"].transform("max")
    last = (ends == frame["timestamp"]) & shared
    goes_on = frame[shared & ~last].drop_duplicates(["symbol", "timestamp"])[["symbol", "timestamp"]]
    others = frame.merge(goes_on.assign(_goes_on=True), on=["symbol", "timestamp"], how="left")["_goes_on"]
    doubtful = last.to_numpy() & others.notna().to_numpy()
    columns = value_columns(frame)
    partial = np.zeros(len(frame), dtype=bool)
    for at in np.flatnonzero(doubtful):
        row = frame.iloc[at]
        same = frame[(frame["symbol"] == row["symbol"]) & (frame["timestamp"] == row["timestamp"]) & ~last]
        here, there = (x[columns].to_numpy(dtype=np.float64) for x in (row, same.iloc[0]))
        if (np.abs(here - there) > SAME * np.maximum(np.abs(here), np.abs(there))).any():
            partial[at] = True
            detail = "the file ends inside this bar; the whole bar of the other file is taken"
            found.append(
                defect(
                    "partial-bar", detail, symbol=str(row["symbol"]), first_at=row["timestamp"].to_datetime64(),
                    place=place(parts, frame, int(at)),
                )
            )  # fmt: skip
    return frame[~partial].reset_index(drop=True)


def _single(frame: pd.DataFrame, parts: Sequence[Part], found: list[Defect]) -> pd.DataFrame:
    """One row a symbol and time; rows that agree, or fill each other's blanks, are one."""
    times, codes = frame["timestamp"].to_numpy(), frame["symbol"].cat.codes.to_numpy()
    again = np.zeros(len(frame), dtype=bool)
    again[1:] = (times[1:] == times[:-1]) & (codes[1:] == codes[:-1])
    if not again.any():
        return frame
    group = np.cumsum(~again)
    member = again.copy()
    member[:-1] |= again[1:]
    columns = value_columns(frame)
    some = frame.loc[member, columns].groupby(group[member])
    low, high = some.min(), some.max()
    apart = ((high - low) > SAME * np.maximum(high.abs(), low.abs())).any(axis=1)
    conflicting = set(apart.index[apart])
    for code, detail, mask in (
        ("conflict", "rows of one time that disagree", again & np.isin(group, list(conflicting))),
        ("duplicates", "rows that repeat another", again & ~np.isin(group, list(conflicting))),
    ):
        for name, rows in frame[mask].groupby("symbol", observed=True):
            at = int(rows.index[0])
            found.append(
                defect(
                    code,
                    detail,
                    count=len(rows),
                    symbol=str(name),
                    first_at=frame["timestamp"].iloc[at],
                    place=place(parts, frame, at),
                )
            )
    merged = frame.loc[member].groupby(group[member])[columns].first()
    single = frame[~again].copy()
    heads = member[~again]
    single.loc[heads, columns] = merged.to_numpy()
    return single.reset_index(drop=True)
