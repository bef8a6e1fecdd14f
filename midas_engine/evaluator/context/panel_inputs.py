"""What the evaluator takes from a panel: forward returns inside a part, volatility, funding paid, traded notional."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from midas_engine.evaluator.context.layout import is_cross
from midas_engine.evaluator.context.part_rows import PartRows, forward
from midas_engine.stats.scale import lagged_scale

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
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
    funding_known: tuple[float, tuple[str, ...]]
    cross: bool


def panel_inputs(panel: Panel, horizons: Sequence[int], rows: slice | None) -> PanelInputs:
    """Arrays for the rows of a part. Returns end with the part; volatility looks back before it.

    Raises:
        EvaluationError: The panel has no close, or the part is empty.
    """
    part = PartRows(panel, rows)
    bars, start, stop = part.bars, part.start, part.stop
    single = forward(panel, 1, 0, panel.T, panel.T)
    return PanelInputs(
        start=start,
        stop=stop,
        timestamps=panel.timestamps[start:stop],
        returns={h: part.forward(h, 0, bars) for h in horizons},
        scale=lagged_scale(single, 1)[start:stop],
        funding=part.funding(0, bars) if part.knows_funding else None,
        dollar_volume=part.dollar_volume(0, bars) if part.knows_volume else None,
        names={},
        funding_known=part.funding_known(),
        cross=is_cross(single),
    )
