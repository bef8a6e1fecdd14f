"""A table to a `Part`: which layout it is, its columns under their names in Midas, its times in UTC."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.errors import DataFormatError
from midas_engine.market.doctor.gather import spacing
from midas_engine.market.doctor.report import Defect, defect
from midas_engine.market.importers.columns import HEADLESS, SPELLINGS, canonical
from midas_engine.market.importers.names import interval_seconds, name_hints
from midas_engine.market.instants import FIRST_YEAR, LAST_YEAR, read_instants, wrong_unit
from midas_engine.market.raw_rows import BARS, FUNDING, OTHER_PRICES, SNAPSHOTS, Part

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from midas_engine.market.importers.files import Table
    from midas_engine.market.importers.names import NameHints

PRICES = ("open", "high", "low", "close")
_SNAPSHOT_COLUMNS = (
    "open_interest",
    "open_interest_usd",
    "mark_close",
    "toptrader_account_ratio",
    "toptrader_position_ratio",
    "account_ratio",
    "taker_ratio",
)
_NOT_FIELDS = ("timestamp", "symbol", "coin", "venue", "interval", "close_time", "ignore", "confirmed", "contracts")
_NEEDS = (
    "klines need a time, a close, and better open, high, low and volume; funding a time and a funding rate; "
    "open interest a time and an open interest"
)


def read_table(table: Table) -> list[Part]:
    """The table as parts: one, or one for each bar length that an interval column tells apart.

    Raises:
        DataFormatError: It is no layout Midas reads: no time column, or nothing known beside it.
    """
    hints = name_hints(table.path)
    frame = _named(table)
    _refuse_ticks(table, frame)
    if "timestamp" not in frame:
        raise DataFormatError(
            f"{table.source} has no time column; it has {_some(table.frame.columns)}",
            hint="call the open time of each bar `timestamp`",
        )
    kind = _kind(frame, hints, table.source)
    found: list[Defect] = []
    if "confirmed" in frame:
        frame = frame[frame["confirmed"].astype("string") != "0"]  # OKX says which bar is not over yet
    instants = _times(frame["timestamp"], table.source, found)
    out: dict[str, Any] = {"timestamp": instants}
    if "close_time" in frame:
        out["close_time"] = read_instants(frame["close_time"]).utc
    symbols = _symbols(frame, hints, table, found)
    for column in _fields(frame, kind):
        values = _numbers(frame[column], column, symbols, instants, table.source, found)
        if values is not None:
            out[column] = values
    rows = _frame(out, symbols)
    lengths = _lengths(frame)
    pieces = [rows[lengths == i].reset_index(drop=True) for i in np.unique(lengths)] if lengths is not None else [rows]
    timed = kind not in (FUNDING, SNAPSHOTS)
    said: list[int | None] = [None] if lengths is None else [int(n) or None for n in np.unique(lengths)]
    parts = [
        Part(
            table.source,
            kind,
            piece,
            (length or spacing(piece, sure=True) or hints.bar_seconds) if timed else None,
            table.written_ns,
        )
        for piece, length in zip(pieces, said, strict=True)
    ]
    return [parts[0].with_defects(tuple(found)), *parts[1:]]


def _frame(columns: dict[str, Any], symbols: NDArray[np.object_]) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame(columns)
    frame["symbol"] = pd.Categorical(symbols)
    return frame


def _named(table: Table) -> pd.DataFrame:
    frame = table.frame
    if not table.headless:
        names = canonical(frame.columns)
        return frame[list(names)].set_axis(list(names.values()), axis=1)
    cells: list[Any] = [c for c in frame.columns if c != "symbol"]
    if len(cells) not in HEADLESS:
        raise DataFormatError(
            f"{table.source} has no header and {len(cells)} columns; rows of "
            f"{', '.join(map(str, sorted(HEADLESS)))} are known",
            hint="put a first line with the names of the columns",
        )
    renamed = frame.rename(columns=dict(zip(cells, HEADLESS[len(cells)], strict=True)))
    if len(cells) == 3 and not renamed["funding_interval_hours"].isin([1, 2, 4, 8, 24]).all():
        raise DataFormatError(f"{table.source} has no header and 3 columns that are no funding rates", hint=_NEEDS)
    return renamed


def _refuse_ticks(table: Table, frame: pd.DataFrame) -> None:
    names = {str(c).lower() for c in table.frame.columns}
    trades = {"price", "qty"} <= names or {"price", "size"} <= names or {"price", "amount"} <= names
    books = bool(names & {"bid", "bids", "best_bid_price", "bid_price"}) or any(n.startswith("bids[") for n in names)
    if "close" not in frame and (trades or books):
        what = "order books" if books else "trades"
        raise DataFormatError(f"{table.source} holds {what}", hint="Midas reads bars: aggregate them first")


def _kind(frame: pd.DataFrame, hints: NameHints, source: str) -> str:
    if "close" in frame:
        if hints.price:
            return hints.price
        # A mark price has no volume: its dumps carry zeros, also where the file's name is lost.
        dump = {"volume", "quote_volume", "taker_buy_volume"} <= set(frame.columns)
        if dump and not frame[["volume", "quote_volume", "taker_buy_volume"]].astype("float64").to_numpy().any():
            return "mark" if len(frame) > 3 else BARS
        return BARS
    if "funding_rate" in frame:
        return FUNDING
    if any(c in frame for c in _SNAPSHOT_COLUMNS):
        return SNAPSHOTS
    raise DataFormatError(
        f"{source} has no price, funding or open interest; it has {_some(frame.columns)}", hint=_NEEDS
    )


def _fields(frame: pd.DataFrame, kind: str) -> list[str]:
    if kind == FUNDING:
        return ["funding_rate"]
    if kind == SNAPSHOTS:
        return [c for c in _SNAPSHOT_COLUMNS if c in frame]
    if kind in OTHER_PRICES:
        return [c for c in PRICES if c in frame]
    return [c for c in frame.columns if c not in _NOT_FIELDS]


def _times(column: pd.Series[Any], source: str, found: list[Defect]) -> NDArray[np.datetime64]:
    read = read_instants(column)
    bad = np.flatnonzero(read.unreadable)
    if bad.size:
        first = column.iloc[int(bad[0])]
        place = f"{source} row {bad[0] + 1}"
        unit = wrong_unit(column)
        if unit:
            detail = f"times such as {first} lie outside {FIRST_YEAR} to {LAST_YEAR}: {unit}"
            found.append(defect("wrong-unit", detail, count=bad.size, column="timestamp", place=place))
        else:
            detail = f"{str(first)[:40]!r} is no instant from {FIRST_YEAR} to {LAST_YEAR} in s, ms, us, ns or ISO 8601"
            found.append(defect("unreadable-time", detail, count=bad.size, column="timestamp", place=place))
    if len(read.units) > 1:
        shares = ", ".join(f"{n} in {unit}" for unit, n in read.units.items())
        found.append(defect("mixed-units", shares, count=min(read.units.values()), column="timestamp", place=source))
    if read.naive:
        found.append(
            defect("no-zone", "times say no zone; taken as UTC", count=read.naive, column="timestamp", place=source)
        )
    if read.zoned:
        found.append(defect("foreign-zone", "times in another zone, turned into UTC", count=read.zoned, place=source))
    return read.utc


def _symbols(frame: pd.DataFrame, hints: NameHints, table: Table, found: list[Defect]) -> NDArray[np.object_]:
    if "symbol" in frame or "coin" in frame:
        column = frame["symbol"] if "symbol" in frame else frame["coin"]
        missing = column.isna().to_numpy() | (column.astype("string").str.strip() == "").fillna(True).to_numpy(bool)
        if missing.any():
            first = int(np.argmax(missing)) + 1
            found.append(
                defect("no-symbol", "rows without a symbol", count=missing.sum(), place=f"{table.source} row {first}")
            )
        texts = column.astype("string").str.strip().fillna("")
        # BTC/USDT:USDT, as ccxt writes it, is BTCUSDT to its exchange.
        texts = texts.str.replace(r":[A-Z]+$", "", regex=True).str.replace("/", "", regex=False)
        if "venue" in frame and frame["venue"].nunique() > 1:
            texts = texts + "." + frame["venue"].astype("string")
        return texts.to_numpy(dtype=object)
    if hints.symbol is not None:
        return np.full(len(frame), hints.symbol, dtype=object)
    stem = PurePosixPath(table.path).name.split(".")[0]
    name = re.sub(r"[^A-Z0-9]+", "_", stem.upper()).strip("_")[:40] or "ASSET"
    found.append(defect("guessed-symbol", f"no symbol column; called {name} after the file", count=len(frame)))
    return np.full(len(frame), name, dtype=object)


def _numbers(
    column: pd.Series[Any],
    name: str,
    symbols: NDArray[np.object_],
    times: NDArray[np.datetime64],
    source: str,
    found: list[Defect],
) -> NDArray[np.float64] | None:
    """The column as float64; None for text columns that are no figures at all."""
    import pandas as pd

    if pd.api.types.is_bool_dtype(column) or pd.api.types.is_datetime64_any_dtype(column):
        column = column.astype("string")  # True is no figure
    if pd.api.types.is_numeric_dtype(column):
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        texts = column.astype("string").str.strip()
        values = pd.to_numeric(texts, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        given = texts.notna() & ~texts.str.lower().isin(["", "nan", "null", "none", "na", "-"])
        words = given.to_numpy(bool) & np.isnan(values)
        if words.all() and name not in SPELLINGS:
            return None
        if words.any():
            at = int(np.argmax(words))
            detail = f"{str(texts.iloc[at])[:40]!r} where a number belongs"
            found.append(_spot("not-a-number", detail, words, at, name, symbols, times, source))
    infinite = np.isinf(values)
    if infinite.any():
        at = int(np.argmax(infinite))
        found.append(_spot("infinite", "infinite values", infinite, at, name, symbols, times, source))
    return values


def _spot(
    code: str,
    detail: str,
    mask: NDArray[np.bool_],
    at: int,
    column: str,
    symbols: NDArray[np.object_],
    times: NDArray[np.datetime64],
    source: str,
) -> Defect:
    place = f"{source} row {at + 1}"
    return defect(
        code, detail, count=mask.sum(), symbol=str(symbols[at]), column=column, first_at=times[at], place=place
    )


def _lengths(frame: pd.DataFrame) -> NDArray[np.int64] | None:
    """The bar length of every row in seconds, 0 where the interval is not understood; None without such a column."""
    if "interval" not in frame:
        return None
    seconds = {i: interval_seconds(i) or 0 for i in frame["interval"].dropna().unique()}
    return frame["interval"].map(seconds).fillna(0).to_numpy(dtype=np.int64)


def _some(columns: Any) -> str:
    names = [str(c)[:30] for c in columns]
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
