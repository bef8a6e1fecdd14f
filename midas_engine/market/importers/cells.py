"""Cells of a file to figures; what is none is told with its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.market.doctor.report import Defect, defect
from midas_engine.market.importers.columns import SPELLINGS
from midas_engine.market.importers.written_numbers import plain_numbers

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


def numbers(
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
        texts, style = plain_numbers(column.astype("string").str.strip())
        if style:
            found.append(defect("number-style", f"figures with {style}", count=len(texts), column=name, place=source))
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


def some(columns: Any) -> str:
    """The first names of columns, for a message."""
    names = [str(c)[:30] for c in columns]
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
