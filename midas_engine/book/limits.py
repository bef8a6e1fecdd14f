"""What a book may hold at most: gross 1, a cap per symbol, a cap on the net, and neutrality where it is wanted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from midas_engine.stats._jit import Floats, kernel


@dataclass(frozen=True, slots=True)
class Limits:
    """Fractions of capital.

    Attributes:
        symbol: Largest absolute holding of one symbol.
        net: Largest absolute sum of holdings.
        neutral: Take the mean of the held symbols away, so that longs equal shorts.
    """

    symbol: float = 1.0
    net: float = 1.0
    neutral: bool = False


@kernel
def _limit(p: Floats, symbol: float, net: float, neutral: bool) -> None:
    bars, symbols = p.shape
    for t in range(bars):
        if neutral:
            total, held = 0.0, 0
            for s in range(symbols):
                if p[t, s] != 0.0:
                    total += p[t, s]
                    held += 1
            for s in range(symbols):
                if p[t, s] != 0.0:
                    p[t, s] -= total / held
        gross = 0.0
        for s in range(symbols):
            gross += abs(p[t, s])
        if gross > 1.0:
            for s in range(symbols):
                p[t, s] /= gross
        long, short = 0.0, 0.0
        for s in range(symbols):
            p[t, s] = min(max(p[t, s], -symbol), symbol)
            if p[t, s] > 0.0:
                long += p[t, s]
            else:
                short -= p[t, s]
        # Only the heavier side is cut: neither cap nor gross can be broken by it.
        room = 0.0 if neutral else net
        for s in range(symbols):
            if long - short > room and p[t, s] > 0.0:
                p[t, s] *= (short + room) / long
            elif short - long > room and p[t, s] < 0.0:
                p[t, s] *= (long + room) / short


def limited(wanted: Floats, limits: Limits) -> Floats:
    """Holdings [T, S] within `limits`.

    Example:
        >>> limited(np.array([[0.9, 0.3, -0.2]]), Limits(symbol=0.5, net=0.2)).round(3).tolist()
        [[0.24, 0.103, -0.143]]
    """
    out = np.array(wanted, np.float64, order="C")
    _limit(out, limits.symbol, limits.net, limits.neutral)
    return out
