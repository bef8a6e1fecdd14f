"""`Estimate`: a number with its error, which compares, converts and formats like the number."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its error: point value, standard error and 90 % interval (NaN where unknown).

    It stands where a number does: `float(x)`, `x >= 0.02`, `f"{x:.4f}"`. Two of them are equal when all of their fields
    are; with a number it is compared by its value. Without a format it shows its error too.

    Example:
        >>> x = Estimate(0.0312, 0.004)
        >>> x >= 0.02, float(x), f"{x:.3f}", round(x, 2), max(x, 0.01)
        (True, 0.0312, '0.031', 0.03, Estimate(value=0.0312, se=0.004, low=nan, high=nan))
    """

    value: float
    se: float = math.nan
    low: float = math.nan
    high: float = math.nan

    def __float__(self) -> float:
        return float(self.value)

    def __format__(self, spec: str) -> str:
        return format(float(self.value), spec) if spec else str(self)

    def __round__(self, digits: int | None = None) -> float:
        return round(float(self.value), digits or 0) if digits is not None else round(float(self.value))

    def __abs__(self) -> float:
        return abs(float(self.value))

    def __lt__(self, other: object) -> bool:
        return NotImplemented if (found := _number(other)) is None else bool(self.value < found)

    def __le__(self, other: object) -> bool:
        return NotImplemented if (found := _number(other)) is None else bool(self.value <= found)

    def __gt__(self, other: object) -> bool:
        return NotImplemented if (found := _number(other)) is None else bool(self.value > found)

    def __ge__(self, other: object) -> bool:
        return NotImplemented if (found := _number(other)) is None else bool(self.value >= found)

    def __add__(self, other: object) -> float:
        return NotImplemented if (found := _number(other)) is None else self.value + found

    __radd__ = __add__

    def __sub__(self, other: object) -> float:
        return NotImplemented if (found := _number(other)) is None else self.value - found

    def __rsub__(self, other: object) -> float:
        return NotImplemented if (found := _number(other)) is None else found - self.value

    def __mul__(self, other: object) -> float:
        return NotImplemented if (found := _number(other)) is None else self.value * found

    __rmul__ = __mul__

    def __truediv__(self, other: object) -> float:
        return NotImplemented if (found := _number(other)) is None else self.value / found

    def __rtruediv__(self, other: object) -> float:
        return NotImplemented if (found := _number(other)) is None else found / self.value

    def __neg__(self) -> float:
        return -float(self.value)


def _number(other: object) -> float | None:
    if isinstance(other, Estimate):
        return other.value
    return float(other) if isinstance(other, int | float) or type(other).__module__ == "numpy" else None  # type: ignore[arg-type]


NO_ESTIMATE = Estimate(math.nan)
