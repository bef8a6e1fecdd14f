"""A table to its `Part`s: columns under their names in Midas, times in UTC, what the rows are, and whose they are."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.errors import DataFormatError
from midas_engine.market.doctor.gather import spacing
from midas_engine.market.doctor.report import Defect, defect
from midas_engine.market.importers.archive import market_of
from midas_engine.market.importers.cells import numbers, some
from midas_engine.market.importers.clocks import best_clock, opened_at, read_times, with_named_index, with_one_date
from midas_engine.market.importers.columns import canonical
from midas_engine.market.importers.headless import name_columns
from midas_engine.market.importers.layouts import PRICES, SNAPSHOT_COLUMNS, Evidence, Rows
from midas_engine.market.importers.names import NameHints, guessed_symbol, interval_seconds, name_hints
from midas_engine.market.importers.options import ImportOptions
from midas_engine.market.importers.plugin_layouts import read_layout
from midas_engine.market.importers.volumes import settle_volumes, with_named_volumes
from midas_engine.market.importers.wide import long_of_wide
from midas_engine.market.instants import read_instants
from midas_engine.market.raw_rows import BARS, FUNDING, OTHER_PRICES, SNAPSHOTS, Part

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from midas_engine.market.importers.files import Table

_NOT_FIELDS = (
    "timestamp",
    "symbol",
    "coin",
    "venue",
    "interval",
    "close_time",
    "ignore",
    "confirmed",
    "settles_at",
)
_UNDONE = ("0", "0.0", "false", "no")
# Where more than this share of all times stands in several rows of one symbol, it is not one symbol.
_SHARED_TIMES = 0.5


def read_table(table: Table, options: ImportOptions | None = None) -> list[Part]:
    """The table as parts: one, or one for each kind of figure and each bar length in it.

    Raises:
        DataFormatError: It is no layout Midas reads: no time column, or nothing known beside it.
    """
    said = options or ImportOptions()
    hints = name_hints(table.path)
    found: list[Defect] = []
    raw, frame = _named(table, hints, said, found)
    _refuse_ticks(table, frame)
    if cut := table.frame.attrs.get("cut"):
        found.append(defect("cut-short", f"its last line ends inside a row: {cut!r}", place=table.source))
    at_close = said.stamps == "close"
    if "timestamp" not in frame and "close_time" in frame:
        frame, at_close = frame.rename(columns={"close_time": "timestamp"}), said.stamps != "open"
    if "timestamp" not in frame:
        raise DataFormatError(
            f"{table.source} has no time column; it has {some(table.frame.columns)}",
            hint="call the open time of each bar `timestamp`, or say which it is: --column NAME=timestamp",
        )
    evidence = Evidence(table.source, raw, frame, hints, said, found)
    pieces = read_layout(evidence)
    parts = [part for rows in pieces for part in _parts(table, rows, evidence, at_close)]
    if not parts:
        raise DataFormatError(f"{table.source} has no row of a bar that was over")
    return [parts[0].with_defects((*found, *parts[0].defects)), *parts[1:]]


def _named(
    table: Table, hints: NameHints, said: ImportOptions, found: list[Defect]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows as the file calls their columns, and as Midas does."""
    if table.headless:
        frame = name_columns(table.frame, table.source, said.columns)
        return frame, frame
    raw = with_named_index(with_one_date(table.frame))
    raw = with_named_volumes(raw, _one_symbol(raw) or hints.symbol)
    raw = long_of_wide(raw, said, table.source)
    names = canonical(raw.columns, said.columns)
    clock = next((c for c, name in names.items() if name == "timestamp"), None)
    if clock is not None and "timestamp" not in said.columns.values():
        best = best_clock(raw, clock, found, table.source)
        if best is not clock:
            del names[clock]
            names[best] = "timestamp"
    kept = [c for c in raw.columns if c in names]
    return raw, raw[kept].set_axis([names[c] for c in kept], axis=1)


def _one_symbol(raw: pd.DataFrame) -> str | None:
    column = next((c for c, name in canonical(raw.columns).items() if name == "symbol"), None)
    return str(raw[column].iloc[0]) if column is not None and len(raw) else None


def _parts(table: Table, rows: Rows, evidence: Evidence, at_close: bool) -> list[Part]:
    """The parts of rows of one kind."""
    said, hints = evidence.options, evidence.hints
    found: list[Defect] = []
    frame = _over(rows.frame, table.source, found)
    if not len(frame):
        return []
    instants = read_times(frame["timestamp"], table.source, found)
    out: dict[str, Any] = {"timestamp": instants}
    if "close_time" in frame:
        out["close_time"] = read_instants(frame["close_time"]).utc
    symbols, contract = _symbols(frame, hints, said, table, found)
    for column in _fields(frame, rows.kind):
        values = numbers(frame[column], column, symbols, instants, table.source, found)
        if values is not None:
            out[column] = values
    if rows.kind == BARS:
        settle_volumes(out, table.source, found)
    whole = _frame(out, symbols)
    if contract and not any(d.code == "rounded-times" for d in found):
        found.extend(_several_symbols(whole, evidence.raw, table.source, rows.kind))
    lengths = _lengths(frame)
    cut = [whole] if lengths is None else [whole[lengths == i].reset_index(drop=True) for i in np.unique(lengths)]
    told: list[int | None] = [None] if lengths is None else [int(n) or None for n in np.unique(lengths)]
    timed = rows.kind not in (FUNDING, SNAPSHOTS)
    closes = timed and said.stamps != "open" and (at_close or rows.at_close)
    parts = []
    market = market_of(table.path)
    for piece, length in zip(cut, told, strict=True):
        seconds = length or spacing(piece, sure=True) or hints.bar_seconds or (said.bar_seconds if timed else None)
        if closes or rows.seen_at_end:
            piece = _moved(piece, seconds, table.source, found, closes=closes)
        parts.append(
            Part(
                table.source, rows.kind, piece, seconds if timed else None, table.written_ns,
                contract=contract, market=market,
            )
        )  # fmt: skip
    return [parts[0].with_defects(tuple(found)), *parts[1:]]


def _moved(piece: pd.DataFrame, seconds: int | None, source: str, found: list[Defect], *, closes: bool) -> pd.DataFrame:
    """Bars under their open instead of their close, or figures under the end of their interval."""
    if seconds is None:
        raise DataFormatError(f"{source} does not tell how long its bars are", hint="say it: --bar 1h")
    times = piece["timestamp"].to_numpy()
    if not closes:
        return piece.assign(timestamp=times + np.timedelta64(seconds * 1_000_000_000, "ns"))
    found.append(
        defect("close-stamps", "times are the ends of bars; each is put under its open", count=len(piece), place=source)
    )
    moved = piece.assign(timestamp=opened_at(times, seconds))
    return moved.drop(columns="close_time", errors="ignore")


def _over(frame: pd.DataFrame, source: str, found: list[Defect]) -> pd.DataFrame:
    """Without rows that say themselves that their bar is not over."""
    if "confirmed" not in frame:
        return frame
    undone = frame["confirmed"].astype("string").str.strip().str.lower().isin(_UNDONE).fillna(False).to_numpy(bool)
    if undone.any():
        found.append(defect("unfinished", "its row says that the bar was not over", count=undone.sum(), place=source))
    return frame[~undone].reset_index(drop=True)


def _frame(columns: dict[str, Any], symbols: NDArray[np.object_]) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame(columns)
    frame["symbol"] = pd.Categorical(symbols)
    return frame


def _refuse_ticks(table: Table, frame: pd.DataFrame) -> None:
    names = {str(c).lower() for c in table.frame.columns}
    trades = {"price", "qty"} <= names or {"price", "size"} <= names or {"price", "amount"} <= names
    books = bool(names & {"bid", "bids", "best_bid_price", "bid_price"}) or any(n.startswith("bids[") for n in names)
    if "close" not in frame and (trades or books):
        what = "order books" if books else "trades"
        raise DataFormatError(f"{table.source} holds {what}", hint="Midas reads bars: aggregate them first")


def _fields(frame: pd.DataFrame, kind: str) -> list[str]:
    if kind == FUNDING:
        return ["funding_rate"]
    if kind == SNAPSHOTS:
        return [c for c in SNAPSHOT_COLUMNS if c in frame]
    if kind in OTHER_PRICES:
        return [c for c in PRICES if c in frame]
    return [c for c in frame.columns if c not in _NOT_FIELDS]


def _symbols(
    frame: pd.DataFrame, hints: NameHints, said: ImportOptions, table: Table, found: list[Defect]
) -> tuple[NDArray[np.object_], str]:
    """The symbol of every row, and what of the file's name it was read from."""
    if "symbol" in frame or "coin" in frame:
        column = frame["symbol"] if "symbol" in frame else frame["coin"]
        missing = column.isna().to_numpy() | (column.astype("string").str.strip() == "").fillna(True).to_numpy(bool)
        if missing.any():
            first = int(np.argmax(missing)) + 1
            found.append(
                defect("no-symbol", "rows without a symbol", count=missing.sum(), place=f"{table.source} row {first}")
            )
        texts = column.astype("string").str.strip().fillna("")
        # BTC/USDT:USDT, as ccxt writes it, is BTCUSDT to its exchange; but one name for two contracts would mix them.
        short = texts.str.replace(r":[A-Z]+$", "", regex=True).str.replace("/", "", regex=False)
        texts = short if short.nunique() == texts.nunique() else texts
        if "venue" in frame and frame["venue"].nunique() > 1:
            texts = texts + "." + frame["venue"].astype("string")
        return texts.to_numpy(dtype=object), ""
    if said.symbol is not None:
        return np.full(len(frame), said.symbol, dtype=object), f"said {said.symbol}"
    if hints.symbol is not None:
        return np.full(len(frame), hints.symbol, dtype=object), hints.contract
    name = guessed_symbol(table.path)
    found.append(defect("guessed-symbol", f"no symbol column; called {name} after the file", count=len(frame)))
    # A guess holds for this one file: another of the same name elsewhere is another thing.
    return np.full(len(frame), name, dtype=object), f"file {PurePosixPath(table.path)}"


def _several_symbols(rows: pd.DataFrame, raw: pd.DataFrame, source: str, kind: str) -> list[Defect]:
    """Whether rows without a symbol column are of several symbols: they share their times."""
    if kind == SNAPSHOTS or len(rows) < 4:
        return []
    times = rows["timestamp"]
    repeated = rows[times.duplicated(keep=False) & times.notna()]
    figures = [c for c in rows.columns if c not in ("timestamp", "symbol", "close_time")]
    apart = repeated.drop_duplicates(["timestamp", *figures])
    share = apart["timestamp"].duplicated().sum() / max(1, times.nunique())
    if share < _SHARED_TIMES:
        return []
    candidates = [str(c)[:40] for c in raw.columns if _tells_apart(raw[c], rows["timestamp"])]
    named = f"; {' or '.join(candidates[:4])} would tell them apart" if candidates else ""
    detail = f"several rows share every time, and no column is known as the symbol{named}"
    return [defect("unknown-symbol", detail, count=len(repeated), place=source)]


def _tells_apart(column: pd.Series[Any], times: pd.Series[Any]) -> bool:
    if len(column) != len(times) or column.dtype.kind == "f" or column.nunique() > len(column) / 2:
        return False
    pairs = times.to_frame("t").assign(c=column.astype("string").to_numpy())
    return not pairs.duplicated().any()


def _lengths(frame: pd.DataFrame) -> NDArray[np.int64] | None:
    """The bar length of every row in seconds, 0 where the interval is not understood; None without such a column."""
    if "interval" not in frame:
        return None
    seconds = {i: interval_seconds(i) or 0 for i in frame["interval"].dropna().unique()}
    return frame["interval"].map(seconds).fillna(0).to_numpy(dtype=np.int64)
