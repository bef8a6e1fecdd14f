"""The time of every row: which column says it, and whether it can be believed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.market.doctor.report import Defect, defect
from midas_engine.market.importers.columns import SPELLINGS, spelling
from midas_engine.market.instants import FIRST_YEAR, LAST_YEAR, Instants, read_instants, wrong_unit

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Times = NDArray[np.datetime64]

_CLOCK = r"\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?"
_DAY_ONLY = r"\d{4}[-./]\d{1,2}[-./]\d{1,2}"
_EITHER = re.compile(r"\d{1,2}[/-]\d{1,2}[/-]\d{4}")
_MINUTE = 60_000_000_000
_DAY = 1440 * _MINUTE


def with_one_date(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with its date and its time of day, where they stand in two columns, in one."""
    days = _matching(frame, _DAY_ONLY)
    clocks = _matching(frame, _CLOCK)
    if not days or not clocks:
        return frame
    day, clock = days[0], clocks[0]
    whole = frame[day].astype("string").str.strip() + " " + frame[clock].astype("string").str.strip()
    out: pd.DataFrame = frame.drop(columns=clock)
    out[day] = whole
    return out


def _matching(frame: pd.DataFrame, pattern: str) -> list[Any]:
    """Columns of texts that all have a form; a numeric one cannot."""
    found = []
    for column in frame.columns[:4]:
        head = frame[column].iloc[:3]
        if (
            head.dtype.kind in "ifbM"
            or not head.astype("string").str.strip().str.fullmatch(pattern).fillna(False).all()
        ):
            continue
        if frame[column].astype("string").str.strip().str.fullmatch(pattern).fillna(False).all():
            found.append(column)
    return found


def with_named_index(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with names for its first columns where it was written with an index that had none."""
    renamed: dict[Any, str] = {}
    spelled = {spelling(c) for c in frame.columns}
    for column in frame.columns[:3]:
        if not str(column).startswith("Unnamed: "):
            continue
        values = frame[column]
        if (
            not spelled & set(SPELLINGS["timestamp"])
            and "timestamp" not in renamed.values()
            and _reads_as_times(values)
        ):
            renamed[column] = "timestamp"
        elif (
            values.dtype.kind not in "ifb"
            and not spelled & set(SPELLINGS["symbol"])
            and values.notna().all()
            and "symbol" not in renamed.values()
        ):
            renamed[column] = "symbol"
    return frame.rename(columns=renamed)


def _reads_as_times(values: pd.Series[Any]) -> bool:
    return len(values) > 0 and not read_instants(values.iloc[:50]).unreadable.any()


def best_clock(table: pd.DataFrame, chosen: Any, found: list[Defect], source: str) -> Any:
    """The column of times to go by: of several, one that says its zone before one that does not.

    Args:
        table: As the file has it.
        chosen: The column that its name makes the time.
        found: Gets a remark where two clocks differ by one constant.
        source: The file.
    """
    others = [
        c for c in table.columns if c != chosen and spelling(c) in SPELLINGS["timestamp"] and c not in ("t", "ts", "T")
    ]
    if not others:
        return chosen
    first = read_instants(table[chosen])
    for other in others:
        second = read_instants(table[other])
        if second.unreadable.any():
            continue
        apart = np.unique(first.utc.astype(np.int64) - second.utc.astype(np.int64))
        if len(apart) != 1 or apart[0] == 0:
            continue
        if first.naive and not second.naive:
            chosen, other, first, apart = other, chosen, second, -apart
        hours = -float(apart[0]) / (60 * _MINUTE)
        found.append(
            defect(
                "two-clocks", f"{other} is {hours:+g} h from {chosen}; {chosen} is used", count=len(table), place=source
            )
        )
    return chosen


def read_times(column: pd.Series[Any], source: str, found: list[Defect]) -> Times:
    """The instants of a column; what is odd about them is added to `found`."""
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
            which = "; it does not say which is the month" if _EITHER.match(str(first)) else ""
            years = f"from {FIRST_YEAR} to {LAST_YEAR}"
            detail = f"{str(first)[:40]!r} is no instant {years} in s, ms, us, ns or ISO 8601{which}"
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
    found.extend(_rounded(read, source))
    return read.utc


def _rounded(read: Instants, source: str) -> list[Defect]:
    """Epoch numbers that lost their last digits, as a spreadsheet shows them: 1.76990E+12."""
    if set(read.units) - {"s", "ms", "us", "ns"} or read.unreadable.any() or len(read.utc) < 3:
        return []
    numbers = np.unique(read.utc.astype(np.int64))
    grain = int(np.gcd.reduce(numbers))
    # Bars stand at parts of a day; a power of ten of seconds that is none is what is left of a rounded number.
    if grain < _MINUTE or _DAY % grain == 0 or len(numbers) == len(read.utc) or grain % (10_000_000_000):
        return []
    minutes = grain / _MINUTE
    detail = f"times are rounded to {minutes:.3g} minutes and cannot be used: a spreadsheet shortened the numbers"
    return [defect("rounded-times", detail, count=len(read.utc), column="timestamp", place=source)]


def opened_at(times: Times, bar_seconds: int) -> Times:
    """Open times of bars that were stamped with their close, a full hour or the last moment before it."""
    second = 1_000_000_000
    stamps = times.astype("datetime64[ns]").astype(np.int64)
    ends = -(-stamps // second) * second
    # 23:59:59 without a fraction is the last second of its bar, too.
    ends = ends + np.where(ends % (bar_seconds * second) == (bar_seconds - 1) * second, second, 0)
    opened: Times = (ends - bar_seconds * second).astype("datetime64[ns]")
    return opened
