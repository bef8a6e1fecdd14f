"""Dates as spreadsheets, terminals and mails write them, to ISO 8601: only what can be read in one way."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

_MONTHS: Mapping[str, int] = {
    "jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6,
    "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12,
}  # fmt: skip
_NAME = r"(?P<mon>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\.?"
_DAY_NAME = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]{0,6},?\s+)?"
_REST = r"(?P<rest>(?:[ T,].{0,40})?)"
_YEAR_FIRST = re.compile(rf"(?P<year>\d{{4}})[./](?P<month>\d{{1,2}})[./](?P<day>\d{{1,2}}){_REST}")
_DOTTED = re.compile(rf"(?P<day>\d{{1,2}})\.(?P<month>\d{{1,2}})\.(?P<year>\d{{4}}){_REST}")
_NAMED = (
    re.compile(rf"{_DAY_NAME}(?P<day>\d{{1,2}})[- ]{_NAME}[- ](?P<year>\d{{4}}){_REST}", re.IGNORECASE),
    re.compile(rf"{_DAY_NAME}{_NAME} (?P<day>\d{{1,2}}),? (?P<year>\d{{4}}){_REST}", re.IGNORECASE),
)
_SLASHED = re.compile(rf"(?P<one>\d{{1,2}})[/-](?P<two>\d{{1,2}})[/-](?P<year>\d{{4}}){_REST}")
_OFFSET = re.compile(r"\(?(?:UTC|GMT) ?(?P<sign>[+-])(?P<hours>\d{1,2})(?::?(?P<minutes>\d{2}))?\)?$")
_ZULU = re.compile(r"\(?(?:UTC|GMT)\)?$")
_CLOCK = re.compile(r"^(?P<h>\d{1,2}):(?P<m>\d{2})(?P<s>:\d{2}(?:\.\d+)?)?\s*(?P<half>[AaPp])\.?[Mm]\.?")
_ONE_DIGIT = re.compile(r"^(\d):")
_FIRST_SERIAL, _LAST_SERIAL = 39_814, 73_051  # 2009 and 2100 as a spreadsheet counts days


def iso_dates(written: pd.Series[Any]) -> pd.Series[Any]:
    """Texts with their dates as ISO 8601 where they are written otherwise; the rest as it is.

    `3/4/2026` is a day of March or of April: the whole column says which, by a number above twelve, or nobody does
    and it stays unread.

    Example:
        >>> import pandas as pd
        >>> iso_dates(pd.Series(["1 Feb 2026 00:00 GMT", "13.02.2026 7:30 PM", "2026-02-01 08:00 GMT+8"])).tolist()
        ['2026-02-01T00:00Z', '2026-02-13T19:30', '2026-02-01 08:00+08:00']
        >>> [iso_dates(pd.Series(c)).tolist() for c in (["02/01/2026", "02/13/2026"], ["02/01/2026"])]
        [['2026-02-01', '2026-02-13'], ['02/01/2026']]
    """
    texts = [str(t) for t in written]
    slashed = [m for t in texts if (m := _SLASHED.fullmatch(t))]
    first = any(int(m["one"]) > 12 for m in slashed)
    second = any(int(m["two"]) > 12 for m in slashed)
    order = ("one", "two") if first and not second else ("two", "one") if second and not first else None
    out = written.copy()
    out[:] = [_iso(text, order) for text in texts]
    return out


def _iso(text: str, order: tuple[str, str] | None) -> str:
    zone = ""
    offset = _OFFSET.search(text)
    if offset:
        text, zone = (
            text[: offset.start()].rstrip(),
            f"{offset['sign']}{int(offset['hours']):02}:{offset['minutes'] or '00'}",
        )
    elif zulu := _ZULU.search(text):
        text, zone = text[: zulu.start()].rstrip(), "Z"
    for pattern in (_YEAR_FIRST, _DOTTED):
        if found := pattern.fullmatch(text):
            return _joined(found, int(found["month"]), found["day"], zone)
    for pattern in _NAMED:
        if found := pattern.fullmatch(text):
            return _joined(found, _MONTHS[found["mon"].lower()], found["day"], zone)
    if order and (found := _SLASHED.fullmatch(text)):
        return _joined(found, int(found[order[1]]), found[order[0]], zone)
    return text + zone


def _joined(found: re.Match[str], month: int, day: str, zone: str) -> str:
    rest = found["rest"].lstrip(" T,").strip()
    half = _CLOCK.match(rest)
    if half:
        hour = int(half["h"]) % 12 + 12 * (half["half"] in "pP")
        rest = f"{hour:02}:{half['m']}{half['s'] or ''}{rest[half.end() :].strip()}"
    rest = _ONE_DIGIT.sub(r"0\1:", rest)
    return f"{found['year']}-{month:02}-{int(day):02}" + (f"T{rest}" if rest else "") + zone


def counted_days(values: NDArray[np.float64]) -> NDArray[np.datetime64]:
    """Numbers that are dates all the same: digits of a date (20260201, 20260201083000), days as a spreadsheet counts.

    NaT where a number is neither. Shapes: [N] -> [N].

    Example:
        >>> numbers = np.array([20260201, 20260201083000, 46054.5, 1.0])
        >>> counted_days(numbers).astype("datetime64[m]").astype(str).tolist()
        ['2026-02-01T00:00', '2026-02-01T08:30', '2026-02-01T12:00', 'NaT']
    """
    out = np.full(len(values), np.datetime64("NaT", "ns"))
    days = (values >= _FIRST_SERIAL) & (values < _LAST_SERIAL)
    # A day's fraction has eleven digits left: a second is what can be told by them.
    seconds = np.round((values[days] - 25_569.0) * 86_400.0).astype(np.int64)
    out[days] = seconds.astype("datetime64[s]").astype("datetime64[ns]")
    for digits in (8, 12, 14):
        low, high = (float(f"{year}0101".ljust(digits, "0")) for year in (2009, 2100))
        for i in np.flatnonzero((values >= low) & (values < high) & (values == np.floor(values))):
            text = f"{int(values[i])}".ljust(14, "0")
            try:
                out[i] = np.datetime64(
                    f"{text[:4]}-{text[4:6]}-{text[6:8]}T{text[8:10]}:{text[10:12]}:{text[12:]}", "ns"
                )
            except ValueError:
                continue
    return out
