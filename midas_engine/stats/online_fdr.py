"""Online control of false discoveries over a lifetime of accepted candidates.

* LORD++ (Ramdas, Yang, Wainwright and Jordan 2017): on p-values, FDR at most alpha for independent tests.
  alpha_t = gamma_t w0 + (alpha - w0) gamma_{t - tau_1} + alpha x sum over later discoveries of gamma_{t - tau_j}.
  alpha_t = alpha gamma_t (D_{t-1} + 1); a discovery is e >= 1 / alpha_t.

Both spend more after discoveries and never more than alpha in all. When every tested candidate is noise the false
discovery rate is the chance of any discovery at all, so a lifetime on noise promotes anything with chance alpha
at most, however long it is.

gamma falls as j^-1.6: few candidates ever reach this test, so the budget is spent early rather than saved for the
thousandth test as in the genomics defaults.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

LIFETIME_ALPHA = 0.10
START_SHARE = 0.75
"""Share of alpha that is there before anything was found (w0 of LORD++; any share up to one holds the rate). Most bases
see few looks and fewer finds: what is kept for after the first find would mostly never be spent."""
_POWER = 1.6
_ZETA = 2.2857656656801293  # zeta(1.6): makes the weights sum to one


def gamma(j: int) -> float:
    """Weight of the j-th test after a start or a discovery; sums to 1 over j = 1, 2, ..."""
    return j**-_POWER / _ZETA if j >= 1 else 0.0


@dataclass(slots=True)
class LordPlusPlus:
    """LORD++ with three quarters of alpha as starting wealth.

    Attributes:
        alpha: False discovery rate aimed at.
        tests: How many tests were made.
        discoveries: Their numbers, from 1.

    Example:
        >>> stream = LordPlusPlus(0.1)
        >>> round(stream.level(), 4), stream.test(0.001), stream.test(0.5)
        (0.0328, True, False)
    """

    alpha: float = LIFETIME_ALPHA
    tests: int = 0
    discoveries: list[int] = field(default_factory=list)

    def level(self) -> float:
        """What the next p-value must not exceed."""
        t = self.tests + 1
        start = START_SHARE * self.alpha
        level = gamma(t) * start
        for k, tau in enumerate(self.discoveries):
            level += (self.alpha - start if k == 0 else self.alpha) * gamma(t - tau)
        return level

    def test(self, p: float) -> bool:
        """Make the next test. A p that is not a number is no discovery, and is charged all the same."""
        found = p == p and p <= self.level()
        self.tests += 1
        if found:
            self.discoveries.append(self.tests)
        return found


def e_value(p: float) -> float:
    """An e-value from a p-value: the average of k p^(k - 1) over k in (0, 1) (Vovk and Wang 2021).

    (1 - p + p ln p) / (p (ln p)^2); 1/2 at p = 1. Its mean under the null is 1.

    Example:
        >>> round(e_value(0.001), 2)
        20.79
    """
    if not 0.0 <= p <= 1.0:
        return 0.0
    if p == 0.0:
        return math.inf
    log = math.log(p)
    if log > -1e-4:
        return 0.5
    return (1.0 - p + p * log) / (p * log * log)


def replay(p_values: Sequence[float], alpha: float = LIFETIME_ALPHA) -> LordPlusPlus:
    """The state of LORD++ after a sequence of tests."""
    stream = LordPlusPlus(alpha)
    for p in p_values:
        stream.test(p)
    return stream
