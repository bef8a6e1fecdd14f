"""One feature as the pieces of an evaluation read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from midas_engine.stats._jit import Floats, Ints
    from midas_engine.stats.bar_scores import BarScores


@dataclass(frozen=True, slots=True)
class Candidate:
    """One feature on its way through: values [T, S], ranked rows with their order, and its bar scores.

    Attributes:
        horizon: Of the return it is scored on, in bars.
        holding: Bars that its book holds each forecast; 0: as long as the horizon.
    """

    values: Floats
    rows: Floats
    order: Ints
    key: bytes
    bars: BarScores
    horizon: int
    count: int
    coverage: float
    holding: int = 0

    @property
    def held(self) -> int:
        """Bars that its book holds each forecast."""
        return self.holding or self.horizon
