"""Forward returns: what a feature known at the close of bar t is scored against."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd
    from numpy.typing import NDArray

    from midas_engine.market.panel import Panel


def forward_returns(panel: Panel, horizons: Iterable[int] = (1, 4, 24)) -> dict[int, NDArray[np.float64]]:
    """Simple returns over the next h bars, [T, S] each: r[t] = close[t + h] / close[t] - 1.

    r[t] is known only at the close of bar t + h; the last h rows are NaN.
    """
    close = panel.values("close")
    found: dict[int, NDArray[np.float64]] = {}
    for horizon in horizons:
        if horizon < 1:
            raise ValueError(f"a horizon is at least one bar, not {horizon}")
        returns = np.full(close.shape, np.nan)
        if horizon < len(close):
            with np.errstate(all="ignore"):
                returns[:-horizon] = close[horizon:] / close[:-horizon] - 1.0
        returns[~np.isfinite(returns)] = np.nan
        found[int(horizon)] = returns
    return found


def horizon_name(bars: int, bar_seconds: int) -> str:
    """The name of a horizon in the original's style.

    Example:
        >>> horizon_name(4, 3600), horizon_name(1, 300), horizon_name(24, 3600)
        ('ret_4h', 'ret_5m', 'ret_24h')
    """
    seconds = bars * bar_seconds
    for unit, size in (("h", 3600), ("m", 60)):
        if seconds % size == 0:
            return f"ret_{seconds // size}{unit}"
    return f"ret_{seconds}s"


def forward_return_frame(panel: Panel, horizons: Iterable[int] = (1, 4, 24)) -> pd.DataFrame:
    """`forward_returns` as a frame on `panel.index`, one `ret_...` column a horizon."""
    import pandas as pd

    return pd.DataFrame(
        {horizon_name(h, panel.bar_seconds): r.reshape(-1) for h, r in forward_returns(panel, horizons).items()},
        index=panel.index,
    )
