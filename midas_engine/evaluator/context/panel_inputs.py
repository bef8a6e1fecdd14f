"""What the evaluator takes from a panel: forward returns inside a part, volatility, funding paid, traded notional."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from midas_engine.evaluator.context.horizons import PartReturns
from midas_engine.evaluator.context.layout import is_cross
from midas_engine.evaluator.context.part_rows import PartRows, forward
from midas_engine.stats.scale import lagged_scale

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from midas_engine.market import Panel
    from midas_engine.stats._jit import Floats


@dataclass(frozen=True, slots=True)
class PanelInputs:
    """Arrays of one part of a panel; the attributes are those of `EvaluationContext`."""

    start: int
    stop: int
    timestamps: NDArray[np.datetime64]
    returns: Mapping[int, Floats]
    scale: Floats
    funding: Floats | None
    volume: Callable[[], Floats] | None
    names: dict[int, str]
    funding_known: tuple[float, tuple[str, ...]]
    cross: bool

    @property
    def dollar_volume(self) -> Floats | None:
        """Traded notional; None where unknown."""
        return None if self.volume is None else self.volume()


def panel_inputs(panel: Panel, horizons: Sequence[int], rows: slice | None, target: int = 0) -> PanelInputs:
    """Arrays for the rows of a part. Returns end with the part; volatility looks back before it.

    Args:
        panel: The history.
        horizons: In bars, ascending.
        rows: The part; None: all of it.
        target: The horizon that candidates are judged on; 0: the first.

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
        returns=PartReturns(part, horizons, own=(horizons[0], target)),
        scale=np.array(lagged_scale(single, 1)[start:stop]),  # not a view, which would keep the whole history's
        funding=part.funding(0, bars) if part.knows_funding else None,
        volume=(lambda: part.dollar_volume(0, bars)) if part.knows_volume else None,
        names={},
        funding_known=part.funding_known(),
        cross=is_cross(single),
    )
