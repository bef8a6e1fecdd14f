"""What the book may hold: part of the settings, in a file of its own."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BookSettings:
    """The book of all deployed features.

    Attributes:
        capital_usd: What the weights are fractions of; gross exposure is at most this.
        symbol_cap: Largest share of capital in one symbol, long or short.
        net_cap: Largest difference of longs and shorts, as a share of capital.
        neutrality: none, or dollar: longs equal shorts at every bar.
    """

    capital_usd: float = 100_000.0
    symbol_cap: float = 0.25
    net_cap: float = 1.0
    neutrality: str = "none"
