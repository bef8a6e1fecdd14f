"""Rows without names: which column is which is decided by their number and by their figures, or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.errors import DataFormatError
from midas_engine.market.importers.clocks import with_one_date
from midas_engine.market.importers.columns import HEADLESS
from midas_engine.market.importers.volumes import is_quote_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

_FUNDING_HOURS = (1, 2, 4, 8, 24)
_SEVENTH = 6
_TOGETHER = 0.3  # how far a number of trades goes with the volume, at the least


def name_columns(frame: pd.DataFrame, source: str, said: Mapping[str, str]) -> pd.DataFrame:
    """The rows under their names in Midas.

    Args:
        frame: Columns 0, 1, 2..., and `symbol` where something around the rows said it.
        source: The file.
        said: Names by position, counted from 1.

    Raises:
        DataFormatError: Nothing tells what the columns are.
    """
    told = {int(k) - 1: name for k, name in said.items() if k.isdigit()}
    frame = with_one_date(frame)
    cells: list[Any] = [c for c in frame.columns if c != "symbol"]
    if len(told) == len(cells):
        return frame.rename(columns=dict(zip(cells, (told.get(i, "ignore") for i in range(len(cells))), strict=True)))
    if len(cells) not in HEADLESS:
        raise DataFormatError(
            f"{source} has no header and {len(cells)} columns; rows of "
            f"{', '.join(map(str, sorted(HEADLESS)))} are known",
            hint="put a first line with the names of the columns, or say them: --column 1=timestamp --column 2=open",
        )
    names = list(HEADLESS[len(cells)])
    renamed = frame.rename(columns=dict(zip(cells, names, strict=True)))
    if len(cells) == len(HEADLESS[3]) and not renamed["funding_interval_hours"].isin(_FUNDING_HOURS).all():
        raise DataFormatError(
            f"{source} has no header and 3 columns that are no funding rates",
            hint="put a first line with the names of the columns",
        )
    if len(cells) == _SEVENTH + 1 and _SEVENTH not in told:
        names[_SEVENTH - 1 :] = _last_two(renamed, source)
    for at, name in told.items():
        if at < len(names):
            names[at] = name
    return frame.rename(columns=dict(zip(cells, names, strict=True)))


def _last_two(frame: pd.DataFrame, source: str) -> tuple[str, str]:
    """What the last two of seven columns are, by their figures.

    Raises:
        DataFormatError: The last is neither the quote volume nor a number of trades.
    """
    figures = {c: _figures(frame[c]) for c in ("high", "low", "volume", "quote_volume")}
    high, low, sixth, seventh = figures.values()
    if is_quote_of(seventh, sixth, high, low):
        return "volume", "quote_volume"
    if is_quote_of(sixth, seventh, high, low):
        return "quote_volume", "volume"
    known = np.isfinite(sixth) & np.isfinite(seventh)
    whole = known.any() and bool((seventh[known] == np.floor(seventh[known])).all() and (seventh[known] >= 0).all())
    broken = known.any() and bool((sixth[known] != np.floor(sixth[known])).any())
    if whole and broken and _together(sixth[known], seventh[known]):
        return "volume", "trades"
    if known.sum() and (seventh[known] == 0).all():
        return "volume", "ignore"
    # Contracts that are no coins: their ratio misses the price by one factor, and is mended or refused with the rest.
    with np.errstate(all="ignore"):
        ratio = seventh / sixth / ((high + low) / 2)
    ratio = ratio[np.isfinite(ratio) & (ratio > 0)]
    if len(ratio) and np.quantile(ratio, 0.9) < 1.05 * np.quantile(ratio, 0.1):
        return "volume", "quote_volume"
    raise DataFormatError(
        f"{source} has no header, and its seventh column is neither the quote volume (it is not price times volume) "
        "nor a number of trades",
        hint="put a first line with the names of the columns, or say it: --column 7=trades",
    )


def _figures(column: pd.Series[Any]) -> NDArray[np.float64]:
    import pandas as pd

    values: NDArray[np.float64] = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    return values


def _together(first: NDArray[np.float64], second: NDArray[np.float64]) -> bool:
    """Whether two columns rise and fall together, by ranks."""
    ranks = [np.argsort(np.argsort(x)).astype(np.float64) for x in (first, second)]
    if len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return False
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1]) > _TOGETHER
