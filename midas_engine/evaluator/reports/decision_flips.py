"""How many decisions of a feature would have been others on other figures of the same bars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class DecisionFlips:
    """A feature on two versions of the same bars.

    Attributes:
        decisions: (bar, symbol) pairs where either version gives a value.
        flips: Where the side is another one, or one version gives none.
    """

    decisions: int
    flips: int

    @property
    def share(self) -> float:
        """Flips of all decisions; NaN where there is none."""
        return self.flips / self.decisions if self.decisions else float("nan")


def decision_flips(one: Matrix, other: Matrix, where: NDArray[np.bool_]) -> DecisionFlips:
    """Compare sides: above or below the mean of its bar, of one symbol above or below zero.

    Args:
        one: Values of the feature [T, S].
        other: The same on the other figures.
        where: Which bars of which symbols count [T, S].

    Example:
        >>> a, b = np.array([[1.0, 2.0, 3.0]]), np.array([[9.0, 2.0, 3.0]])
        >>> decision_flips(a, b, np.ones((1, 3), bool)).flips
        3
    """
    sides = [_side(values) for values in (one, other)]
    known = [np.isfinite(side) for side in sides]
    counted = where & (known[0] | known[1])
    with np.errstate(invalid="ignore"):
        flipped = counted & (~(known[0] & known[1]) | (sides[0] != sides[1]))
    return DecisionFlips(int(counted.sum()), int(flipped.sum()))


def _side(values: Matrix) -> Matrix:
    if values.shape[1] > 1:
        known = np.isfinite(values)
        count = known.sum(axis=1, keepdims=True)
        mean = np.where(known, values, 0.0).sum(axis=1, keepdims=True) / np.maximum(count, 1)
        values = values - mean
    out: Matrix = np.sign(np.where(np.isfinite(values), values, np.nan))
    return out
