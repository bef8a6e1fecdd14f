"""Timestamps as files write them, to UTC instants: the unit and the zone are found out, never guessed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.market.written_dates import counted_days, iso_dates

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

# No perpetual is older than Bitcoin, and none of this data is from the next century. In every unit the epoch numbers
# of these years lie apart from those of the other units, so a number tells its unit by itself.
FIRST_YEAR, LAST_YEAR = 2009, 2100
UNITS: Mapping[str, int] = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
_FIRST_NS = int(np.datetime64(f"{FIRST_YEAR}-01-01", "ns").astype(np.int64))
_LAST_NS = int(np.datetime64(f"{LAST_YEAR}-01-01", "ns").astype(np.int64))
_ZONE = re.compile(r"(?:[zZ]|[+-]\d{2}(?::?\d{2})?|UTC|GMT)\s*$")
# 2026.02.01 00:00 and 2026/2/1, as trading terminals and spreadsheets write a date.
DOTTED_DATE = re.compile(r"^(\d{4})[./](\d{1,2})[./](\d{1,2})(?=$|[ T])")
NOT_A_TIME = np.datetime64("NaT", "ns")


@dataclass(frozen=True, slots=True)
class Instants:
    """A column of timestamps, read.

    Attributes:
        utc: datetime64[ns] [N], UTC; NaT where a value is no instant between 2009 and 2100.
        units: How many values were in each form: "s", "ms", "us", "ns", "text" or "date".
        naive: How many texts or dates carried no zone (taken as UTC).
        zoned: How many carried a zone other than UTC (converted).
    """

    utc: NDArray[np.datetime64]
    units: Mapping[str, int]
    naive: int = 0
    zoned: int = 0

    @property
    def unreadable(self) -> NDArray[np.bool_]:
        """Which values are no instant [N]."""
        return np.isnat(self.utc)


def read_instants(column: pd.Series[Any]) -> Instants:
    """What a column of epoch numbers, ISO 8601 texts or dates says.

    Example:
        >>> import pandas as pd
        >>> read = read_instants(pd.Series([1704067200000, 1735689600000000]))
        >>> [str(t)[:13] for t in read.utc], dict(read.units)
        (['2024-01-01T00', '2025-01-01T00'], {'ms': 1, 'us': 1})
    """
    import pandas as pd

    if pd.api.types.is_bool_dtype(column):
        return Instants(np.full(len(column), NOT_A_TIME), {})
    if pd.api.types.is_datetime64_any_dtype(column):
        return _from_dates(column)
    if pd.api.types.is_numeric_dtype(column):
        return _from_numbers(column.to_numpy(dtype=np.float64, na_value=np.nan), _whole(column))
    return _from_texts(column)


def _whole(column: pd.Series[Any]) -> NDArray[np.int64] | None:
    """Exact integers where the column has them: nanoseconds do not fit a float."""
    if column.dtype.kind == "i" and not column.hasnans:
        return column.to_numpy(dtype=np.int64)
    return None


def _from_numbers(values: NDArray[np.float64], exact: NDArray[np.int64] | None = None) -> Instants:
    out = np.full(len(values), NOT_A_TIME)
    units: dict[str, int] = {}
    numbers = values if exact is None else exact
    for unit, size in UNITS.items():
        inside = (numbers >= _FIRST_NS // size) & (numbers < _LAST_NS // size)
        count = int(inside.sum())
        if not count:
            continue
        units[unit] = count
        if exact is not None:
            nanoseconds = exact[inside] * size
        else:
            # Whole units first: a float of milliseconds is exact, a float of nanoseconds is not.
            whole = np.floor(values[inside])
            nanoseconds = whole.astype(np.int64) * size + ((values[inside] - whole) * size).astype(np.int64)
        out[inside] = nanoseconds.astype("datetime64[ns]")
    odd = np.isnat(out) & np.isfinite(values)
    if odd.any():
        days = counted_days(values[odd])
        if not np.isnat(days).all():
            out[odd] = days
            units["text"] = int((~np.isnat(days)).sum())
            return Instants(out, units, naive=units["text"])
    return Instants(out, units)


def _from_dates(column: pd.Series[Any]) -> Instants:
    import pandas as pd

    zone = getattr(column.dtype, "tz", None)
    utc = column.dt.tz_convert("UTC").dt.tz_localize(None) if zone is not None else column
    known = utc.notna().to_numpy()
    years = utc.dt.year.to_numpy(dtype=np.float64, na_value=np.nan)
    good = known & (years >= FIRST_YEAR) & (years < LAST_YEAR)
    out = np.full(len(column), NOT_A_TIME)
    out[good] = pd.DatetimeIndex(utc[good]).as_unit("ns").to_numpy()
    foreign = zone is not None and str(zone) not in ("UTC", "UTC+00:00", "Etc/UTC", "Zulu")
    return Instants(
        out,
        {"date": int(known.sum())},
        naive=0 if zone is not None else int(known.sum()),
        zoned=int(known.sum()) if foreign else 0,
    )


def _from_texts(column: pd.Series[Any]) -> Instants:
    import pandas as pd

    texts = column.astype("string").str.strip()
    numbers = pd.to_numeric(texts, errors="coerce")
    numeric = numbers.notna().to_numpy()
    out = np.full(len(column), NOT_A_TIME)
    units: dict[str, int] = {}
    naive = 0
    if numeric.any():
        plain = texts[numeric]
        # Digits go straight to integers: nanoseconds do not fit a float.
        whole = plain.str.fullmatch(r"[0-9]{1,18}|[0-8][0-9]{18}").all()
        read = read_instants(plain.astype("int64" if whole else "float64"))
        out[numeric], units, naive = read.utc, dict(read.units), read.naive
    written = texts[~numeric]
    parsed = pd.to_datetime(written, format="ISO8601", utc=True, errors="coerce")
    if parsed.isna().any():
        written = iso_dates(written)
        parsed = pd.to_datetime(written, format="ISO8601", utc=True, errors="coerce")
    found = _from_dates(parsed)
    out[~numeric] = found.utc
    good = written[~np.isnat(found.utc)]
    if len(good):
        units["text"] = units.get("text", 0) + len(good)
    ends = good.str.extract(f"({_ZONE.pattern})", expand=False)
    foreign = ends.notna() & ~ends.fillna("").str.strip().isin(["Z", "z", "UTC", "GMT", "+00:00", "+0000", "+00"])
    # "2026-01-01" ends in "-01": a zone needs a time of day before it.
    timed = good.str.contains(":", regex=False)
    naive += int((ends.isna() | ~timed).sum())
    return Instants(out, units, naive=naive, zoned=int((foreign & timed).sum()))


def wrong_unit(column: pd.Series[Any]) -> str:
    """The unit that a typed date column must have been read in by mistake, such as "ms read as ns"; or empty.

    Example:
        >>> import pandas as pd
        >>> wrong_unit(pd.to_datetime(pd.Series([1704067200000])))
        'ms read as ns'
    """
    import pandas as pd

    if not pd.api.types.is_datetime64_any_dtype(column):
        return ""
    values = column.dt.tz_convert("UTC").dt.tz_localize(None) if getattr(column.dtype, "tz", None) else column
    known = values.dropna().to_numpy()
    strange = known[(known < np.datetime64(str(FIRST_YEAR))) | (known >= np.datetime64(str(LAST_YEAR)))]
    if not strange.size:
        return ""
    size_then = UNITS[np.datetime_data(strange.dtype)[0]]
    nanoseconds = int(strange[0].astype(np.int64)) * size_then
    # The commonest mistake first: several pairs have the same ratio and cannot be told apart.
    for read_as in ("ns", "ms", "s", "us"):
        raw = nanoseconds / UNITS[read_as]
        for unit, size in UNITS.items():
            if unit != read_as and _FIRST_NS // size <= raw < _LAST_NS // size:
                return f"{unit} read as {read_as}"
    return ""


def as_utc(stamp: np.datetime64) -> datetime:
    """A stamp of a panel's time axis as an aware datetime, to the second.

    Example:
        >>> as_utc(np.datetime64("2026-03-01T05:00", "ns")).isoformat()
        '2026-03-01T05:00:00+00:00'
    """
    return datetime.fromtimestamp(int(stamp.astype("datetime64[s]").astype(np.int64)), tz=UTC)


def all_utc(stamps: NDArray[np.generic]) -> list[datetime]:
    """Every stamp of a time axis as `as_utc` gives it, several times as fast as one by one.

    Example:
        >>> [at.hour for at in all_utc(np.array(["2026-03-01T05:00", "2026-03-01T06:00"], "datetime64[ns]"))]
        [5, 6]
    """
    seconds: list[int] = stamps.astype("datetime64[s]").astype(np.int64).tolist()
    return [datetime.fromtimestamp(second, tz=UTC) for second in seconds]
