"""Settlements to bars: the rate known at each close, and what was paid inside each bar, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from midas_engine.market.funding import align_rates
from midas_engine.market.panel import Panel

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

_HOUR = 3_600_000


def settlement_bars(settled: Mapping[int, float], begin: int, end: int, step: int, now_ms: int) -> pd.DataFrame | None:
    """`funding_rate` and `funding_paid` of the bars that open from `begin` to before `end` (ms), as far as certain.

    A bar that closes when the next settlement is due is not certain before that settlement is there: it would say
    that nothing was paid. Where none has come for twice the usual time the contract has stopped to settle.

    Args:
        settled: Instant (ms) -> rate; also from before `begin`.
        begin: Open time of the first bar.
        end: Open time of the bar after the last.
        step: Length of a bar.
        now_ms: The present.

    Returns:
        Both columns by UTC open time, without bars before the first settlement; None where no bar is certain.
    """
    import pandas as pd

    if not settled:
        return None
    stamps = sorted(settled)
    usual = int(np.median(np.diff(stamps[-10:]))) if len(stamps) > 1 else 8 * _HOUR
    due = stamps[-1] + usual
    if now_ms < stamps[-1] + 2 * usual:
        end = min(end, -(-(due - step) // step) * step)  # bars that close before it is due
    count = max(0, end - begin) // step
    if not count:
        return None
    times = (begin + np.arange(count) * step).astype("datetime64[ms]").astype("datetime64[ns]")
    frame = Panel(times, ("one",), {}, step // 1000)
    rates = np.array([settled[t] for t in stamps])
    fields = align_rates(frame, {"one": (np.array(stamps).astype("datetime64[ms]").astype("datetime64[ns]"), rates)})
    index = pd.DatetimeIndex(times, name="timestamp").tz_localize("UTC")
    out = pd.DataFrame({name: values[:, 0] for name, values in fields.items()}, index=index)
    out = out[out["funding_rate"].notna()]
    return out if len(out) else None
