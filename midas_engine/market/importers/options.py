"""What a person says about files that do not say it themselves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from midas_engine.errors import DataFormatError
from midas_engine.market.importers.columns import SPELLINGS, plain_name
from midas_engine.market.importers.names import interval_seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

KINDS = ("candles", "funding", "mark", "index", "premium", "open_interest")
STAMPS = ("open", "close")


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What the caller says; nothing said is found out from the file.

    Attributes:
        columns: A file's column -> its name in Midas. Columns without names are counted from 1; `*` stands for every
            column of a table with one column a symbol.
        stamps: "open" or "close": what a bar's time is.
        kind: One of `KINDS`: what the rows are.
        symbol: The symbol of rows that name none.
        bar_seconds: Which bars, and the length of bars that do not tell it.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    stamps: str | None = None
    kind: str | None = None
    symbol: str | None = None
    bar_seconds: int | None = None


def import_options(
    *,
    columns: Iterable[str] = (),
    stamps: str | None = None,
    kind: str | None = None,
    symbol: str | None = None,
    bar: str | None = None,
) -> ImportOptions:
    """Options as they are typed; columns as `NAME=FIELD`.

    Example:
        >>> import_options(columns=["Asset_ID=symbol"], bar="1h").columns
        {'Asset_ID': 'symbol'}

    Raises:
        DataFormatError: One of them is none.
    """
    named: dict[str, str] = {}
    for text in columns:
        name, equals, given = text.rpartition("=")
        wanted = plain_name(given)
        if not equals or not name or wanted is None:
            raise DataFormatError(
                f"{text[:60]!r} names no column",
                hint=f"such as --column Asset_ID=symbol; known: {', '.join(SPELLINGS)}",
            )
        named[name] = wanted
    for chosen, known, option in ((stamps, STAMPS, "--stamps"), (kind, KINDS, "--kind")):
        if chosen is not None and chosen not in known:
            raise DataFormatError(f"{option} {chosen[:40]!r} is not known", hint=f"one of {', '.join(known)}")
    if symbol is not None and not symbol.strip():
        raise DataFormatError("--symbol is empty", hint="such as --symbol BTCUSDT")
    seconds = None
    if bar is not None:
        seconds = interval_seconds(bar)
        if seconds is None:
            raise DataFormatError(f"{bar!r} is no bar length", hint="such as 1m, 15m, 1h, 4h, 1d")
    return ImportOptions(named, stamps, kind, None if symbol is None else symbol.strip(), seconds)
