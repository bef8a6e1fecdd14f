"""`Estimate`: a number that carries its error."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, eq=False)
class Estimate(float):
    """A number with its error: point value, standard error and 90 % interval (NaN where unknown).

    It is a float: arithmetic, comparisons, formats, JSON, arrays and tables take it as its value, and what is computed
    from it is a plain number. Two of them are equal when all of their fields are; one that is not a number equals
    nothing. Without a format it shows its error too.

    Example:
        >>> x = Estimate(0.0312, 0.004)
        >>> x >= 0.02, x == 0.0312, x + 1, f"{x:.3f}", round(x, 2), max(x, 0.01)
        (True, True, 1.0312, '0.031', 0.03, Estimate(value=0.0312, se=0.004, low=nan, high=nan))
        >>> x == Estimate(0.0312, 0.005)
        False
    """

    value: float
    se: float = math.nan
    low: float = math.nan
    high: float = math.nan

    def __new__(cls, value: float = math.nan, *_: float, **__: float) -> Estimate:
        """The float of it; the fields beside follow."""
        return float.__new__(cls, value)

    def __eq__(self, other: object) -> bool:
        same = float.__eq__(self, other)
        return same and _fields(self)[1:] == _fields(other)[1:] if isinstance(other, Estimate) else same

    def __ne__(self, other: object) -> bool:
        equal = self.__eq__(other)
        return equal if equal is NotImplemented else not equal

    __hash__ = float.__hash__

    def __format__(self, spec: str) -> str:
        return format(float(self), spec) if spec else str(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return Estimate, _fields(self)


def _fields(of: Estimate) -> tuple[float, float, float, float]:
    return of.value, of.se, of.low, of.high


NO_ESTIMATE = Estimate(math.nan)
