"""Cost bands: how much a feature trades, which is what its costs are a multiple of."""

from __future__ import annotations

import math

BANDS = (0.1, 0.3, 0.8)
"""Upper ends of the turnover bands: holds for days, for hours, changes every bar; above them it cannot pay."""
BAND_WORDS = ("up to 0.1", "up to 0.3", "up to 0.8", "above 0.8")


def band_of(turnover: float) -> int:
    """Which band a turnover (mean absolute change a bar at unit gross) is in; one that is unknown is in the first."""
    return sum(turnover > upper for upper in BANDS)


def band_words(turnover: float) -> str:
    """The band in words, "unknown" where the turnover is.

    Example:
        >>> band_words(0.25), band_words(float("nan"))
        ('up to 0.3', 'unknown')
    """
    return BAND_WORDS[band_of(turnover)] if math.isfinite(turnover) else "unknown"
