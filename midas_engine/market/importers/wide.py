"""Tables with one column a symbol: made long where it is said which figure they hold, else named for what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from midas_engine.errors import DataFormatError
from midas_engine.market.importers.columns import SPELLINGS, canonical
from midas_engine.market.importers.names import name_hints

if TYPE_CHECKING:
    import pandas as pd

    from midas_engine.market.importers.options import ImportOptions

EVERY = "*"
_FIELD_OF_KIND = {"candles": "close", "funding": "funding_rate", "open_interest": "open_interest"}
_FIELD_OF_KIND |= dict.fromkeys(("mark", "index", "premium"), "close")
_ROW = ("timestamp", "close_time")


def long_of_wide(frame: pd.DataFrame, said: ImportOptions, source: str) -> pd.DataFrame:
    """The frame, or, if it has one column a symbol, one row a time and symbol.

    Raises:
        DataFormatError: It has one column a symbol, and nobody said of what.
    """
    names = canonical(frame.columns, {k: v for k, v in said.columns.items() if k != EVERY})
    known = {name for name in names.values() if name in SPELLINGS}
    clock = next((c for c, name in names.items() if name == "timestamp"), None)
    if clock is None or known - set(_ROW):
        return frame
    columns = [c for c in frame.columns if c != clock and names.get(c) not in _ROW and _is_figures(frame[c])]
    field = said.columns.get(EVERY) or (_FIELD_OF_KIND[said.kind] if said.kind else None)
    alike = sum(_like_a_symbol(str(c)) for c in columns)
    if len(columns) < 2 or (EVERY not in said.columns and 2 * alike < len(columns)):
        return frame
    if field is None:
        listed = ", ".join(str(c)[:20] for c in columns[:4])
        raise DataFormatError(
            f"{source} has one column a symbol ({listed}...) and does not say of what",
            hint="say it: --column '*=close' (or '*=funding_rate'); or make it long: one row a time and symbol, as "
            "pandas' melt does",
        )
    long = frame.melt(id_vars=[clock], value_vars=columns, var_name="symbol", value_name=field)
    return long[long[field].notna()].reset_index(drop=True)


def _is_figures(column: pd.Series[Any]) -> bool:
    import pandas as pd

    return bool(np.isfinite(pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)).any())


def _like_a_symbol(name: str) -> bool:
    bare = name.replace("/", "").split(":")[0]
    return name_hints(bare).symbol is not None or (bare.isalnum() and bare.isupper() and 1 < len(bare) <= 12)
