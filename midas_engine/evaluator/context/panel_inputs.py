"""What the evaluator takes from a panel: forward returns inside a part, volatility, funding paid, traded notional."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.errors import EvaluationError
from midas_engine.evaluator.context.funding import funding_paid
from midas_engine.evaluator.context.layout import is_cross
from midas_engine.stats.scale import lagged_scale

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from midas_engine.market import Panel
    from midas_engine.stats._jit import Floats


@dataclass(frozen=True, slots=True)
class PanelInputs:
    """Arrays of one part of a panel; the attributes are those of `EvaluationContext`."""

    start: int
    stop: int
    timestamps: NDArray[np.datetime64]
    returns: dict[int, Floats]
    scale: Floats
    funding: Floats | None
    dollar_volume: Floats | None
    names: dict[int, str]
    cross: bool


def forward(close: Floats, horizon: int) -> Floats:
    """close[t + h] / close[t] - 1, NaN for the last h bars. Shapes: [T, S] -> [T, S]."""
    out = np.full(close.shape, np.nan)
    if horizon < close.shape[0]:
        with np.errstate(invalid="ignore", divide="ignore"):
            out[:-horizon] = close[horizon:] / close[:-horizon] - 1.0
    out[~np.isfinite(out)] = np.nan
    return out


def panel_inputs(panel: Panel, horizons: Sequence[int], rows: slice | None) -> PanelInputs:
    """Arrays for the rows of a part. Returns end with the part; volatility looks back before it.

    Raises:
        EvaluationError: The panel has no close, or the part is empty.
    """
    if "close" not in panel.columns:
        raise EvaluationError("the data has no close column, so there are no returns", hint="add a close column")
    start, stop, _ = slice(None).indices(panel.T) if rows is None else rows.indices(panel.T)
    if stop - start < 1:
        raise EvaluationError("this part of the data is empty", hint="use more data or other shares")
    close = np.asarray(panel.values("close"))
    part, single = close[start:stop], forward(close, 1)
    volume = None
    if "quote_volume" in panel.columns:
        volume = np.array(panel.values("quote_volume")[start:stop])
    if "volume" in panel.columns:
        base = panel.values("volume")[start:stop] * part
        volume = base if volume is None else np.where(np.isnan(volume), base, volume)
    paid = None
    rates = [c for c in ("funding_paid", "funding_rate") if c in panel.columns]
    if not any(np.isfinite(panel.values(c)[start:stop]).any() for c in rates):
        pass  # no settlement is known: what is paid is unknown, not nothing
    elif "funding_paid" in panel.columns:
        paid = np.zeros(part.shape)  # what the bar that follows pays; the part's last bar is not held further
        paid[:-1] = np.nan_to_num(panel.values("funding_paid")[start + 1 : stop])
    elif "funding_rate" in panel.columns:
        paid = funding_paid(panel.values("funding_rate"), panel.timestamps, float(panel.bar_seconds))[start:stop]
    return PanelInputs(
        start=start,
        stop=stop,
        timestamps=panel.timestamps[start:stop],
        returns={h: forward(part, h) for h in horizons},
        scale=lagged_scale(single, 1)[start:stop],
        funding=paid,
        dollar_volume=volume,
        names={},
        cross=is_cross(single),
    )
